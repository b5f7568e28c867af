"""Keep one part running: start it, start it again when it dies, end it when told.

The part is its own process group and is asked to end when `up` dies, however that
happens. Whoever keeps it learns of every start through `changed`.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable

from porthole_client.cli.up import locks, logs
from porthole_client.cli.up.plan import Part, part_lock, part_log
from porthole_client.cli.up.processes import Identity
from porthole_client.cli.up.record import PartRecord
from porthole_client.home import Home

SHORTEST_PAUSE = 0.2  # seconds before the first restart
LONGEST_PAUSE = 10.0
SETTLED = 30.0  # seconds after which a part counts as healthy and its pause as used up


def next_pause(pause: float, lived: float) -> float:
    """Return how long to wait before the next start of a part that lived `lived` seconds."""
    return SHORTEST_PAUSE if lived >= SETTLED else min(pause * 2, LONGEST_PAUSE)


class Keeper:
    """One part and the task that keeps it running.

    Args:
        part: what to run.
        home: where its lock and its log are.
        changed: called with the part's record whenever its process changes.
        say: prints a line for the person who watches.
    """

    def __init__(
        self,
        part: Part,
        home: Home,
        *,
        changed: Callable[[PartRecord], None],
        say: Callable[[str], None],
    ) -> None:
        self.part = part
        self.log = part_log(home, part.name)
        self._lock = part_lock(home, part.name)
        self._changed = changed
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending = False
        self._log_from = 0
        self.restarts = 0
        self.exit_code: int | None = None

    async def start(self) -> None:
        """Start the part and keep it running from now on."""
        await self._spawn()
        self._task = asyncio.create_task(self._keep(), name=f"keep {self.part.name}")

    def said(self, word: str) -> bool:
        """Whether the part has printed a line that begins with `word` since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return any(line.startswith(word.encode()) for line in log)

    async def stop(self) -> None:
        """End the part: ask, wait as long as it may take, then end its process group."""
        self._ending = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await self._wait_or_end(process)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self.part.afterwards and process is not None and process.returncode != 0:
            await self._wait_or_end(await self._run(*self.part.afterwards))
        self._changed(PartRecord(self.part.name, None, self.restarts))

    async def _wait_or_end(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(self.part.patience):
                await process.wait()
        except TimeoutError:
            self._say(f"  {self.part.name} did not end when asked; it is ended now")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def hurry(self) -> None:
        """End the part's process group without asking."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _spawn(self) -> None:
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        self._process = await self._run(*self.part.command)
        identity = Identity.of(self._process.pid)
        self._changed(PartRecord(self.part.name, identity, self.restarts))

    async def _run(self, *command: str) -> asyncio.subprocess.Process:
        # Shared: what the part's last process has started may live on, and is the part's to
        # adopt or to end (an agent's desktops outlive it).
        lock = locks.share(self._lock)
        output = logs.open_for(self.log)
        try:
            os.set_inheritable(lock, True)
            return await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "TERM", "--", *command),
                env=_environment(self.part),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=(lock,),
            )
        finally:
            os.close(lock)
            os.close(output)

    async def _keep(self) -> None:
        pause = SHORTEST_PAUSE
        while self._process is not None:
            began = time.monotonic()
            self.exit_code = await self._process.wait()
            if self._ending:
                return
            self._say(f"{self.part.name} {_ended(self.exit_code)}; it is started again")
            pause = next_pause(pause, time.monotonic() - began)
            await asyncio.sleep(pause)
            self.restarts += 1
            try:
                await self._spawn()
            except OSError as error:  # no room, say: that passes, and nobody else would try again
                self._say(f"{self.part.name} could not be started: {error}")


def _environment(part: Part) -> dict[str, str]:
    """Return a part's environment: this one, without what is meant for the command line."""
    ours = {"PORTHOLE_TOKEN", "PORTHOLE_SERVER"}
    inherited = {key: value for key, value in os.environ.items() if key not in ours}
    return {**inherited, "PYTHONUNBUFFERED": "1", **part.environment}


def _ended(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended by itself (exit code {code})"
