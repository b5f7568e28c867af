"""Why a stream was closed: one word for programs, and whose doing it was.

RFB has no way to say goodbye, so the reason travels on control channels and in reports;
a viewer's own program learns it from the side that carried its stream.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class CloseReason(StrEnum):
    """Why a stream ended. Each is documented by the line beside it."""

    VIEWER_LEFT = "viewer_left"  # the viewer closed it
    VIEWER_PROTOCOL = "viewer_protocol"  # the viewer said what the parser does not admit
    VIEWER_STALLED = "viewer_stalled"  # the viewer read nothing for too long
    DESKTOP_LEFT = "desktop_left"  # the desktop closed its side
    DESKTOP_PROTOCOL = "desktop_protocol"  # the desktop said what the parser does not admit
    DESKTOP_UNREACHABLE = "desktop_unreachable"  # its socket is missing, foreign or silent
    KICKED = "kicked"  # the commander closed it
    REVOKED = "revoked"  # the right to it was taken back
    SUPERSEDED = "superseded"  # a newer one took its place
    REPLACED = "replaced"  # its own viewer has come again
    SESSION_ENDED = "session_ended"  # the session was stopped, hibernated or deleted
    GATE_STOPPED = "gate_stopped"  # the gate itself was told to stop
    INTERNAL = "internal"  # our fault; the gate's log says more


WEBSOCKET_CODES: Mapping[str, int] = MappingProxyType(
    {
        CloseReason.SESSION_ENDED: 4001,
        CloseReason.REVOKED: 4002,
        CloseReason.KICKED: 4003,
        "agent_unreachable": 4004,
        "gate_refused": 4005,
        "mode_changed": 4006,
        "ticket_invalid": 4007,
        CloseReason.VIEWER_PROTOCOL: 4008,
        CloseReason.DESKTOP_PROTOCOL: 4008,
        CloseReason.SUPERSEDED: 4003,
        CloseReason.REPLACED: 4003,
        CloseReason.VIEWER_STALLED: 4009,
        CloseReason.VIEWER_LEFT: 1000,
    }
)
"""Close codes of a stream's WebSocket. 4001-4008 mean that opening it again at once is of no
use; any other that the viewer is to try again."""
_AGAIN: Final = 4010
_LONGEST_REASON: Final = 123
"""Bytes that a WebSocket's close frame has for its reason (RFC 6455, 5.5)."""


def websocket_close(code: str, message: str) -> tuple[int, str]:
    """Return the close code and the reason `code: sentence` of a stream's WebSocket."""
    text = f"{code}: {message}" if message else code
    short = text.encode()[:_LONGEST_REASON].decode(errors="ignore")
    return WEBSOCKET_CODES.get(code, _AGAIN), short
