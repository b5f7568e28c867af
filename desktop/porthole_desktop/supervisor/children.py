"""Processes: begun in sessions of their own, reaped, started again with back-off, ended.

The supervisor is the first process of its container, so it inherits every orphan and has
to reap them all; that is why it waits for children itself and not through asyncio.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final

from .log import Log

FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 30.0
STEADY: Final = 30.0
"""Seconds after which a program counts as well again, and the pause starts over."""
_OUTPUT_CHUNK: Final = 8192
_POLITE: Final = 0.5
"""Seconds that a program with nothing to put away has to end by itself."""


class Process:
    """One child: `ended` becomes its exit status (negative: the signal that killed it)."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]") -> None:
        self.name = name
        self.pid = popen.pid
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._popen = popen

    def finish(self, status: int) -> None:
        """Take note that it has ended; called once, by whoever reaped it."""
        self._popen.returncode = status  # so that Popen does not wait for it as well
        if not self.ended.done():
            self.ended.set_result(status)

    def signal(self, number: int) -> None:
        """Send a signal to it and to what it started in its session."""
        if self.ended.done():
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def signal_alone(self, number: int) -> None:
        """Send a signal to it, and not to what it started."""
        if self.ended.done():
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, number)


class Children:
    """All children of the supervisor.

    Args:
        log: where their output goes, line by line.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._alive: dict[int, Process] = {}

    def spawn(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        cwd: str | None = None,
        pass_fds: Sequence[int] = (),
        stdio: tuple[int, int, int] | None = None,
    ) -> Process:
        """Start `command`; it inherits no descriptor but `pass_fds`.

        With `stdio` these are its input, output and errors (the caller closes them); else it
        has no input, and what it says goes to the log.

        Raises:
            OSError: it cannot be started.
        """
        if stdio is not None:
            return self._begin(name, command, env, stdio, cwd=cwd, pass_fds=pass_fds)
        read, write = os.pipe()
        try:
            stdio = (subprocess.DEVNULL, write, write)
            process = self._begin(name, command, env, stdio, cwd=cwd, pass_fds=pass_fds)
        except OSError:
            os.close(read)
            raise
        finally:
            os.close(write)
        _Output(name, read, self._log)
        return process

    @contextlib.asynccontextmanager
    async def piped(
        self, command: Sequence[str], env: Mapping[str, str], *, reads: bool
    ) -> AsyncIterator[int]:
        """Run `command` with one pipe to us while the block runs; yield our end of it.

        It `reads` what is written there, or what it writes is read there. The end is the
        block's to close.

        Raises:
            OSError: it cannot be started.
        """
        nothing = os.open(os.devnull, os.O_RDWR)
        read, write = os.pipe()
        ours, theirs = (write, read) if reads else (read, write)
        stdio = (theirs, nothing, nothing) if reads else (nothing, theirs, nothing)
        try:
            process = self.spawn(command[0], command, env, stdio=stdio)
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
            os.close(nothing)
        try:
            yield ours
        finally:
            await self.end([process], _POLITE)

    def _begin(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        stdio: tuple[int, int, int],
        *,
        cwd: str | None,
        pass_fds: Sequence[int],
    ) -> Process:
        popen = subprocess.Popen(  # noqa: S603 - starting programs is what we are for
            list(command),
            env=dict(env),
            cwd=cwd,
            stdin=stdio[0],
            stdout=stdio[1],
            stderr=stdio[2],
            pass_fds=pass_fds,
            start_new_session=True,
        )
        process = Process(name, popen)
        self._alive[process.pid] = process
        return process

    def reap(self) -> None:
        """Wait for everything that has ended, ours or inherited; never blocks."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            process = self._alive.pop(pid, None)
            if process is not None:
                process.finish(os.waitstatus_to_exitcode(status))

    async def end(self, processes: Sequence[Process], seconds: float) -> None:
        """End `processes`: politely, and after `seconds` not."""
        waiting = [process for process in processes if not process.ended.done()]
        for process in waiting:
            process.signal(signal.SIGTERM)
        if waiting:
            await asyncio.wait([process.ended for process in waiting], timeout=seconds)
        left = [process for process in waiting if not process.ended.done()]
        for process in left:
            process.signal(signal.SIGKILL)
        if left:
            await asyncio.wait([process.ended for process in left], timeout=1.0)


async def keep(
    start: Callable[[], Process],
    ended: Callable[[Process, int], Awaitable[None]],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Start a program, and again whenever it ends, with growing pauses; runs forever.

    Args:
        start: starts it; an OSError counts as an end.
        ended: told of every end.
        clock: seconds, monotonic.
    """
    pause = FIRST_PAUSE
    while True:
        begun = clock()
        with contextlib.suppress(OSError):
            process = start()
            await ended(process, await asyncio.shield(process.ended))
        if clock() - begun >= STEADY:
            pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


class _Output:
    """Carries what a child prints into the log, and keeps its pipe from filling up."""

    def __init__(self, name: str, fd: int, log: Log) -> None:
        self._name = name
        self._fd = fd
        self._log = log
        self._rest = b""
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _OUTPUT_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _OUTPUT_CHUNK:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            if line.strip():
                self._log.say(f"{self._name}: {line.decode(errors='replace')}")
