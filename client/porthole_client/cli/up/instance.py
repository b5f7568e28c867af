"""One running instance: its parts started in order, kept, and ended in the reverse order.

Which parts, and what happens in between, is told by `whole` (all of Porthole) and `joined`
(an agent alone).
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

from porthole_client.cli.exits import Failure
from porthole_client.cli.up import logs, ready
from porthole_client.cli.up.keeper import Keeper
from porthole_client.cli.up.plan import Part
from porthole_client.cli.up.processes import Identity
from porthole_client.cli.up.record import PartRecord, Record
from porthole_client.home import Home

_LOG_CHECK = 20.0  # seconds between two looks at the sizes of the logs
_SHOWN = 12  # lines of a part's log, when it did not come up


class Instance:
    """The parts of one home while `up` runs.

    Args:
        home: where they keep everything.
        say: prints a line of progress.
    """

    def __init__(self, home: Home, say: Callable[[str], None]) -> None:
        self._home = home
        self._say = say
        self._keepers: list[Keeper] = []
        me = Identity.of(os.getpid())
        assert me is not None
        self._record = Record(up=me)
        self._stop = asyncio.Event()
        self.life = uuid4().hex

    async def run(self, start: Callable[["Instance"], Coroutine[Any, Any, None]]) -> None:
        """Start everything by `start`, keep it running, and end it when asked to.

        Returns once everything has ended.

        Raises:
            Failure: a part did not come up; everything has ended.
        """
        loop = asyncio.get_running_loop()
        for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(sent, self._stop.set)
        self._record.write(self._home)
        starting = asyncio.create_task(start(self))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await self._look_after(stopping)
        finally:
            for task in (starting, stopping):
                task.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)
            await self._end()

    async def bring_up(self, part: Part, is_ready: ready.Check) -> None:
        """Start a part and wait until it is ready.

        Raises:
            Failure: it is not ready in time, or it ends again and again.
        """
        begun = time.monotonic()
        keeper = Keeper(part, self._home, changed=self._changed, say=self._say)
        self._keepers.append(keeper)
        await keeper.start()
        sentence = ""
        while time.monotonic() - begun < ready.PATIENCE and keeper.restarts < ready.STARTS:
            sentence = await is_ready(keeper)
            if not sentence:
                self._say(f"  {part.name:<14} ready in {time.monotonic() - begun:.1f} s")
                return
            await asyncio.sleep(0.1)
        last = "\n".join(f"  {line}" for line in logs.last_lines(keeper.log, _SHOWN))
        raise Failure(f"{part.name} did not come up: {sentence}\nThe end of {keeper.log}:\n{last}")

    async def _look_after(self, stopping: asyncio.Task[bool]) -> None:
        while not stopping.done():
            for keeper in self._keepers:
                logs.bound(keeper.log)
            await asyncio.wait({stopping}, timeout=_LOG_CHECK)

    async def _end(self) -> None:
        """End the parts, the last one first; a second request hurries."""
        self._say("Stopping")
        self._stop.clear()
        hurry = asyncio.create_task(self._stop.wait())
        with contextlib.suppress(FileNotFoundError):
            self._home.server.unlink()
        for keeper in reversed(self._keepers):
            ending = asyncio.create_task(keeper.stop())
            await asyncio.wait({ending, hurry}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                keeper.hurry()
            await ending
        hurry.cancel()
        self._home.parts.unlink(missing_ok=True)

    def _changed(self, part: PartRecord) -> None:
        self._record = self._record.with_part(part)
        try:
            self._record.write(self._home)
        except OSError as error:  # their locks tell of the parts, too
            self._say(f"  {self._home.parts} cannot be written: {error}")
