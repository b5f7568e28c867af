"""The home of a desktop that does not run: its files are served, and nothing else.

There is no X server and there are no programs. It ends by itself when nobody has used a file for
`files_seconds`, so that a home is never held for long because somebody forgot to let go of it.
"""

import asyncio
import contextlib
import os
import signal
from typing import Any, Final

from .channels import Channel, Refusal, Work
from .config import Config
from .files import serve_files
from .log import Log
from .server import Server

STOPPED: Final = 0


class Shelf:
    """Serves the files of one home; `live` runs it once.

    Args:
        config: says where and for how long.
        log: what the supervisor says.
    """

    def __init__(self, config: Config, log: Log) -> None:
        assert config.files_seconds is not None
        self._seconds = float(config.files_seconds)
        self._log = log
        self._stop = asyncio.Event()
        self._used_at = 0.0
        self._channels: set[Channel] = set()
        self._server = Server(
            config.sockets / "supervisor.sock",
            gate_uid=config.gate_uid,
            state=self._state,
            order=self._obey,
            openers={"files": self._serve},
            log=log,
        )

    async def live(self) -> int:
        """Serve until told to stop, or until nobody wants it any more; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._used_at = loop.time()
        await self._server.open()
        try:
            while not self._stop.is_set():
                left = self._used() + self._seconds - loop.time()
                if left <= 0:
                    self._log.say("Nobody uses the files any more.")
                    break
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self._stop.wait()
            # Not "asked", which ends a session: who comes again is served anew.
            self._server.tell("stopping", reason="let_go")
        finally:
            await self._server.close()
        return STOPPED

    def _used(self) -> float:
        """Return when something was last said or done on a channel: now, if it still is."""
        now = asyncio.get_running_loop().time()
        moments = (channel.used_at if channel.waits else now for channel in self._channels)
        return max([self._used_at, *moments])

    def _serve(self, channel: Channel) -> Work:
        work = serve_files(channel, os.environ.get("HOME", "/"))
        return self._serving(channel, work)

    async def _serving(self, channel: Channel, work: Work) -> None:
        self._channels.add(channel)
        try:
            await work
        finally:
            self._used_at = self._used()
            self._channels.discard(channel)

    def _state(self) -> dict[str, Any]:
        # There is nothing more to wait for.
        return {"drawn": True, "stopping": self._stop.is_set()}

    def _obey(self, message: dict[str, Any]) -> None:
        if message["type"] != "stop":
            raise Refusal("not_now", "The desktop does not run; only its files are here.")
        self._stop.set()
