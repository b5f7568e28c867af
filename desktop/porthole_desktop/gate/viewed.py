"""What every stream has towards its viewer: what is told of it, and an end to one that stalls."""

import asyncio
from abc import ABC, abstractmethod
from datetime import datetime

from porthole_contract.stream.closing import CloseReason
from porthole_contract.stream.control import Viewer
from porthole_desktop.gate.admission import Admission
from porthole_desktop.gate.side import Side


class Viewed(ABC):
    """One open stream, as its viewer's side has it.

    Args:
        viewer: that side.
        admission: what the viewer may do.
        since: when it was admitted.
        stalled_seconds: how long it may take nothing.
    """

    def __init__(
        self, viewer: Side, admission: Admission, since: datetime, stalled_seconds: float
    ) -> None:
        self.id = admission.stream
        self.mode = admission.mode
        self.channel = admission.channel
        self.issuer = admission.issuer.key_id
        self._since = since
        self._viewer = viewer
        self._stalled_seconds = stalled_seconds
        self._stalled: asyncio.TimerHandle | None = None
        self._after: Viewed | None = None

    def describe(self) -> Viewer:
        """Return what observers hear of it."""
        return Viewer(
            stream=self.id,
            channel=self.channel,
            mode=self.mode,
            since=self._since,
            sent=self._viewer.sent,
            received=self._viewer.received,
        )

    @abstractmethod
    def close(self, reason: CloseReason, message: str) -> None:
        """End it; only the first reason counts."""

    async def gone(self) -> None:
        """Wait until the desktop has nothing of it any more, once it was closed.

        What goes by the supervisor has nothing to wait for: its last word there is said.
        """
        if self._after is not None:
            await self._after.gone()

    async def _come_after(self) -> None:
        """Wait until the desktop has nothing of the stream that this one replaces."""
        await Viewed.gone(self)
        self._after = None

    def _takes(self, *, can: bool) -> None:
        """Note whether the viewer takes bytes; one that does not has its deadline."""
        if self._stalled is not None:
            self._stalled.cancel()
        loop = asyncio.get_running_loop()
        seconds = self._stalled_seconds
        self._stalled = None if can else loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        seconds = self._stalled_seconds
        self.close(CloseReason.VIEWER_STALLED, f"The viewer took nothing for {seconds:.0f} s.")
