"""One program of the run: started, struck, and started again when it ends."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.reaper import processes

ROOT = Path(__file__).resolve().parents[2]
_AGAIN_AFTER = 0.3
_ENDS_WITHIN = 20.0


class Part:
    """A program that is kept running.

    Args:
        name: what it is called in the story.
        command: with arguments.
        environment: besides our own.
        log: where its output goes.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.lives = 0
        self._command = command
        self._environment = {**os.environ, **environment}
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self.codes: list[int] = []

    @property
    def pid(self) -> int | None:
        """Its process id, if it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def start(self) -> None:
        """Keep it running from now on."""
        self._wanted.set()
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name=self.name)

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            with self._log.open("ab") as log:
                process = self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    env=self._environment,
                    cwd=ROOT,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self.lives += 1
            self.codes.append(await process.wait())
            await asyncio.sleep(_AGAIN_AFTER)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if (pid := self.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def kill(self) -> None:
        """End it in a way that it does not notice; it is started again."""
        self.signal(signal.SIGKILL)
        await self._has_ended()

    async def end(self, within: float = _ENDS_WITHIN) -> None:
        """Ask it to end, at last make it, and do not start it again until `start`."""
        self._wanted.clear()
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(within):
                await self._has_ended()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._has_ended()

    async def close(self) -> None:
        """End it for good."""
        await self.end()
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    async def _has_ended(self) -> None:
        while self.pid is not None:
            await asyncio.sleep(0.02)

    def family(self) -> list[int]:
        """Return its process and all that these have started."""
        children: dict[int, list[int]] = {}
        for pid, (parent, _) in processes().items():
            children.setdefault(parent, []).append(pid)
        found = [] if self.pid is None else [self.pid]
        for pid in found:
            found += children.get(pid, [])
        return found
