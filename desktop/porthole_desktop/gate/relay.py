"""One viewer's stream: a greeting on both sides, then bytes through two parsers.

    viewer --TLS--> parser --> rfb.sock or rdp.sock
    viewer <--TLS-- parser <-- rfb.sock or rdp.sock

What a parser lets pass is written at once; when one side does not take it, the other is
not read. How it ends is said once, to whoever asked to be told. What is the same for all
protocols stands here; `relay_rfb` and `relay_rdp` have the rest.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.stream.channels import Mode
from porthole_contract.stream.closing import CloseReason
from porthole_desktop.gate.admission import Admission
from porthole_desktop.gate.config import Limits
from porthole_desktop.gate.people import Idleness, Pace
from porthole_desktop.gate.side import Side
from porthole_desktop.gate.sockets import Unreachable, connect
from porthole_desktop.gate.viewed import Viewed
from porthole_desktop.gate.ways import Ways

SETTLE: Final = 1.5
"""Seconds in which a change of rights takes effect, or the stream is closed."""
LAST_WORD: Final = 0.25
"""Seconds in which the supervisor may still say why a desktop has closed its streams."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a stream needs of the gate it is at."""

    desktop_uid: int
    limits: Limits
    ways: Ways
    idleness: Idleness
    say: Callable[[str], None]
    changed: Callable[[], None]
    closed: Callable[["Stream", CloseReason, str], None]
    replaced: Callable[["Stream"], bool]


class Stream(Viewed):
    """One open stream on a channel of the desktop.

    Args:
        viewer: the viewer's side; this becomes its owner.
        admission: what it may do.
        since: when it was admitted.
        around: the gate.
        path: the desktop's socket.
    """

    def __init__(
        self, viewer: Side, admission: Admission, since: datetime, around: Around, path: Path
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(viewer, admission, since, around.limits.stalled_seconds)
        self._around = around
        self._path = path
        self._desktop: Side | None = None
        self._pace = Pace(around.limits.input_events_per_second, loop.time)
        self._over = False
        self._deadline = loop.call_later(around.limits.greeting_seconds, self._too_late)
        self._connecting: asyncio.Task[None] | None = None

    def begin(self, rest: bytes, after: Viewed | None = None) -> None:
        """Greet the viewer; `rest` is what it said already.

        The desktop is reached when it has nothing of the stream `after` any more.
        """
        self._after = after
        self._connecting = asyncio.get_running_loop().create_task(self._connect())
        self._viewer.owner = self
        if hello := self._hello():
            self._viewer.write(hello)
        if rest:
            self.received(self._viewer, rest)

    def set_mode(self, mode: Mode) -> None:
        """Change what the viewer may do; in effect within `SETTLE` seconds."""
        self.mode = mode
        self._allow(may_use=mode is Mode.CONTROL)
        if not self._settled:
            asyncio.get_running_loop().call_later(SETTLE, self._settle)

    def close(self, reason: CloseReason, message: str) -> None:
        """End it; only the first reason counts."""
        if self._over:
            return
        self._over = True
        self._deadline.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._stalled is not None:
            self._stalled.cancel()
        if words := self._goodbye(reason):
            self._viewer.write(words)
        self._viewer.finish()
        if self._desktop is not None:
            self._desktop.hang_up()
        self._around.closed(self, reason, message)

    def received(self, side: Side, data: bytes) -> None:
        """Bytes have come from one of the two."""
        try:
            if side is self._viewer:
                self._from_viewer(data)
                self._keep_pace()
            else:
                self._from_desktop(side, data)
        except RemoteProtocolError as error:
            self.close(CloseReason(error.code), str(error))

    def writable(self, side: Side, *, can: bool) -> None:
        """One of the two takes bytes, or does not."""
        other = self._desktop if side is self._viewer else self._viewer
        if other is None:
            return
        if can:
            other.release("full")
        else:
            other.hold("full")
        if side is self._viewer:
            self._takes(can=can)

    def lost(self, side: Side) -> None:
        """One of the two is gone."""
        if side is self._viewer:
            self.close(CloseReason.VIEWER_LEFT, "The viewer closed the stream.")
        else:
            # If that is on purpose, its supervisor says so on a connection of its own, which
            # is read more slowly. What it causes then closes the stream, and this does nothing.
            why = CloseReason.DESKTOP_LEFT, "The desktop closed the stream."
            if self._around.replaced(self):
                why = CloseReason.SUPERSEDED, "Another viewer has taken this desktop over."
            asyncio.get_running_loop().call_later(LAST_WORD, self.close, *why)

    async def gone(self) -> None:
        """Wait until the desktop has closed its connection, `GOODBYE` at the most."""
        if self._desktop is not None and self._desktop.made:
            await self._desktop.over.wait()
        await super().gone()

    def event(self) -> None:
        """Count a key or pointer event (`people.Input`)."""
        self._pace.event()

    def used(self) -> None:
        """Somebody uses the desktop (`people.Input`)."""
        self._around.idleness.used()

    @abstractmethod
    def _hello(self) -> bytes:
        """Return what a viewer hears first."""

    @abstractmethod
    def _goodbye(self, reason: CloseReason) -> bytes:
        """Return what a viewer hears last."""

    @abstractmethod
    def _connected(self, side: Side) -> None:
        """The desktop's socket is there."""

    @abstractmethod
    def _from_viewer(self, data: bytes) -> None:
        """The viewer has said something; raises RemoteProtocolError if that cannot be."""

    @abstractmethod
    def _from_desktop(self, side: Side, data: bytes) -> None:
        """The desktop has said something; raises RemoteProtocolError if that cannot be."""

    @abstractmethod
    def _allow(self, *, may_use: bool) -> None:
        """Change what the viewer may do from its next message on."""

    @property
    @abstractmethod
    def _settled(self) -> bool:
        """Whether the last change of what the viewer may do has taken effect."""

    @property
    @abstractmethod
    def _waits_for_desktop(self) -> bool:
        """Whether it is the desktop that has not greeted."""

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        await self._come_after()
        try:
            connection = await connect(self._path, self._around.desktop_uid)
            side = self._desktop = Side(self)
            await loop.create_unix_connection(lambda: side, sock=connection)
        except (Unreachable, OSError) as error:
            self.close(CloseReason.DESKTOP_UNREACHABLE, str(error))
        else:
            self._connected(side)

    def _keep_pace(self) -> None:
        debt = self._pace.debt()
        if debt:
            self._viewer.hold("pace")
            asyncio.get_running_loop().call_later(debt, self._viewer.release, "pace")

    def _settle(self) -> None:
        if not self._settled:
            self.close(CloseReason.REVOKED, "The right was taken back in the middle of a message.")

    def _too_late(self) -> None:
        if self._waits_for_desktop:
            self.close(CloseReason.DESKTOP_UNREACHABLE, "The desktop did not greet in time.")
        else:
            self.close(CloseReason.VIEWER_PROTOCOL, "The viewer did not greet in time.")
