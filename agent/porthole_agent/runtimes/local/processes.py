"""Other programs: run one and wait, or hand one some descriptors and let it go its way."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Final

from porthole_contract.errors import PortholeError

ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
"""What programs of the machine are started with: nothing of ours leaks into them."""

_ABOVE: Final = 100
"""Descriptors are first moved above this number, so that none is in another's place."""


class CommandFailed(PortholeError):
    """A program of the machine did not do what it was asked to do."""

    code = "command_failed"

    def __init__(self, program: str, status: int, said: str) -> None:
        words = " ".join(said.split())[-600:] or "it did not say why"
        super().__init__(f"{program} ended with status {status}: {words}")
        self.status = status


def find_program(name: str) -> str | None:
    """Return the path of a program of the machine, or None."""
    return shutil.which(name, path=ENVIRONMENT["PATH"])


async def run(
    *argv: str, given: str = "", accept: Sequence[int] = (0,), within: float = 60.0
) -> str:
    """Run a program to its end and return what it printed.

    Args:
        argv: the program, found as a shell would find it, and its arguments.
        given: what it reads.
        accept: exit codes that mean success.
        within: seconds after which it is killed.

    Raises:
        CommandFailed: it is not there, failed, or took too long.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            # No pipe for nothing: uvloop raises if the program ended before it is written to.
            stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=ENVIRONMENT,
            # Ctrl-C at the terminal is ours to answer, not that of what we run.
            start_new_session=True,
        )
    except OSError as error:
        raise CommandFailed(argv[0], 127, str(error.strerror)) from None
    try:
        async with asyncio.timeout(within):
            out, err = await process.communicate(given.encode() or None)
    except TimeoutError:
        raise CommandFailed(argv[0], -9, f"it took longer than {within:.0f} seconds") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode not in accept:
        said = (err or out).decode(errors="replace")
        raise CommandFailed(argv[0], process.returncode or 0, said)
    return out.decode(errors="replace")


async def run_apart(*argv: str, within: float) -> None:
    """Run a program that is not to be interrupted: who waits no longer lets it go its way.

    Args:
        argv: as in `run`.
        within: seconds after which it is killed, if it is waited for.

    Raises:
        CommandFailed: as in `run`.
    """
    with tempfile.TemporaryFile() as said:  # a pipe to us would end it when we end
        try:
            # Not by the loop, which kills what it has begun when it is closed.
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - see above
                argv,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=ENVIRONMENT,
                start_new_session=True,
            )
        except OSError as error:
            raise CommandFailed(argv[0], 127, str(error.strerror)) from None
        try:
            async with asyncio.timeout(within):
                await _ended(process.pid)
        except TimeoutError:
            process.kill()
            await _ended(process.pid)
            process.wait()
            raise CommandFailed(argv[0], -9, f"it took longer than {within:.0f} seconds") from None
        except asyncio.CancelledError:
            process.returncode = 0  # so that Popen does not complain that it goes on
            raise
        if process.wait():
            said.seek(0)
            raise CommandFailed(argv[0], process.returncode, said.read().decode(errors="replace"))


async def _ended(pid: int) -> None:
    """Return when a child of ours has ended; it is still to be waited for."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    handle = os.pidfd_open(pid)
    loop.add_reader(handle, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def run_with(argv: Sequence[str], keep: Sequence[int], log: int) -> int:
    """Run a program with `keep` as its descriptors 3, 4 ... and return its exit code.

    What it leaves behind inherits them and `log` as its standard output and error. The
    caller's descriptors stay as they are.
    """
    # Begun here and not in a thread: while uvloop begins a program, that one's ends of its pipes
    # are inheritable, and whatever inherited them and stays would keep its end from being seen.
    pid = _spawn(list(argv), list(keep), log)
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    return os.waitstatus_to_exitcode(status)


def _spawn(argv: list[str], keep: list[int], log: int) -> int:
    program = find_program(argv[0])
    if program is None:
        raise CommandFailed(argv[0], 127, "it is not installed")
    moved: list[int] = []
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        moved.extend(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE) for fd in (nothing, log, *keep))
        wanted = [(moved[0], 0), (moved[1], 1), (moved[1], 2)]
        wanted += [(fd, number) for number, fd in enumerate(moved[2:], start=3)]
        return os.posix_spawn(
            program,
            argv,
            ENVIRONMENT,
            file_actions=[(os.POSIX_SPAWN_DUP2, source, number) for source, number in wanted],
            setsid=True,
        )
    finally:
        for fd in (nothing, *moved):
            os.close(fd)
