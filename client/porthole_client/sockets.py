"""The WebSocket of a stream, for both kinds of programs: opaque bytes of RFB or RDP."""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.sync.client import ClientConnection as SyncConnection
from websockets.sync.client import connect as connect_sync

from porthole_client.models import Ticket
from porthole_client.place import Place
from porthole_client.trust import context_for
from porthole_client.turns import TakingTurns

SUBPROTOCOL = "binary"
LONGEST = 256 * 1024  # bytes of one message; the same as is in flight on each leg
_PATIENCE = 120.0
"""Seconds that a pong may take: it stands behind what a slow desktop, or this program, takes its
time for."""


def _options(place: Place, ticket: Ticket) -> dict[str, Any]:
    secure = ticket.url.startswith("wss:")
    return {
        "subprotocols": [SUBPROTOCOL],
        "compression": None,  # the bytes are compressed, or secret, or both
        "max_size": LONGEST,
        "ping_timeout": _PATIENCE,
        "proxy": None,
        "ssl": context_for(place) if secure else None,
    }


def open_sync(place: Place, ticket: Ticket) -> AbstractContextManager[SyncConnection]:
    """Open a stream; leaving the context closes it."""
    options = _options(place, ticket)
    if options["ssl"] is not None:
        options["ssl"].sslsocket_class = TakingTurns  # a thread of the library's own reads
    opened: SyncConnection = connect_sync(ticket.url, **options)
    return opened


def open_async(place: Place, ticket: Ticket) -> AbstractAsyncContextManager[ClientConnection]:
    """Open a stream; leaving the context closes it."""
    return connect(ticket.url, **_options(place, ticket))
