"""Programs that somebody outside runs in the desktop, and what they say: channel `exec`.

    them -> us   run {command, env, cwd, seconds}   BYTES 0: its standard input
                 end_input {}   signal {number}
    us -> them   started {pid}   BYTES 1: standard output   BYTES 2: standard error
                 exited {status, timed_out}   failed {code, message}

One channel is one program. If its channel ends before it, it is ended, with its process group.
What it started to live on, lives on. `status` is negative if a signal ended it.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .channels import Channel, Over, Refusal, Work
from .children import Children, Process
from .protocol import Broken, Frame, Kind
from .talk import PIECE, Talk

MOST: Final = 32
"""Programs at one time."""
_STDIN, _STDOUT, _STDERR = 0, 1, 2
_POLITE: Final = 2.0
"""Seconds between SIGTERM and SIGKILL."""
_LAST_WORDS: Final = 0.5
"""Seconds of silence after its end; its children may keep its pipes open for ever."""
_MOST_WORDS: Final = 4096


class Failed(Exception):
    """The program is not started: `code` for programs, a sentence for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Runs:
    """All programs that were asked for on channels.

    Args:
        children: starts and reaps them.
    """

    def __init__(self, children: Children) -> None:
        self._children = children
        self._running = 0

    def begin(self, channel: Channel, env: Mapping[str, str]) -> Work:
        """Serve a channel with one program, whose environment begins with `env`.

        Raises:
            Refusal: too many run already.
        """
        if self._running >= MOST:
            raise Refusal("too_many", f"{MOST} programs run already; wait until one has ended.")
        self._running += 1
        return self._counted(channel, env)

    async def _counted(self, channel: Channel, env: Mapping[str, str]) -> None:
        try:
            talk = Talk(channel)
            try:
                asked = await talk.message()
                command, more, cwd, seconds = read(asked)
                folder = str(Path(env.get("HOME", "/")) / cwd)
                await Run(talk, self._children, seconds).live(command, {**env, **more}, folder)
            except Failed as failed:
                await talk.say("failed", code=failed.code, message=str(failed))
        finally:
            self._running -= 1


def read(asked: dict[str, Any]) -> tuple[list[str], dict[str, str], str, float | None]:
    """Return command, environment, folder and seconds that were asked for.

    Raises:
        Failed: they are not what they should be.
    """
    command, env, cwd, seconds = (asked.get(key) for key in ("command", "env", "cwd", "seconds"))
    if asked["type"] != "run":
        raise Failed("unknown_request", "The first message says which program to run.")
    if not isinstance(command, list) or not command or len(command) > _MOST_WORDS:
        raise Failed("invalid_command", "The command is a list of words, the program first.")
    if not all(_is_word(word) for word in command) or not command[0]:
        raise Failed("invalid_command", "The words of a command are texts without zeros.")
    env = {} if env is None else env
    if not isinstance(env, dict) or not all(
        _is_word(name) and name and "=" not in name and _is_word(value)
        for name, value in env.items()
    ):
        raise Failed("invalid_env", "The environment is an object of names and texts.")
    if cwd is not None and not _is_word(cwd):
        raise Failed("invalid_folder", "The folder to run in is a text.")
    if seconds is not None and (
        isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0
    ):
        raise Failed("invalid_seconds", "How long it may take is a number of seconds.")
    return command, env, cwd or "", seconds


class Run:
    """One program.

    Args:
        talk: to whom asked for it.
        children: starts it.
        seconds: how long it may take; None: as long as it likes.
    """

    def __init__(self, talk: Talk, children: Children, seconds: float | None) -> None:
        self._talk = talk
        self._children = children
        self._seconds = seconds
        self._readers: list[asyncio.ReadTransport] = []
        self._input: asyncio.WriteTransport | None = None

    async def live(self, command: list[str], env: Mapping[str, str], cwd: str) -> None:
        """Start it, carry what it says, say how it ended; it ends with the channel.

        Raises:
            Failed: it cannot be started.
            Over: the channel ended before it did.
            Broken: what came on the channel makes no sense.
        """
        process, stdin, stdout, stderr = await self._start(command, env, cwd)
        listening = asyncio.create_task(self._listen(process, stdin))
        gone = asyncio.create_task(self._talk.over())
        words: asyncio.Future[Any] | None = None
        try:
            await self._talk.say("started", pid=process.pid)
            words = asyncio.gather(
                self._carry(process, stdout, _STDOUT), self._carry(process, stderr, _STDERR)
            )
            ended = await self._first(process.ended, listening, gone, seconds=self._seconds)
            if not ended:
                await self._children.end([process], _POLITE)
            await self._first(words, listening, gone)
            status = await asyncio.shield(process.ended)
            await self._talk.say("exited", status=status, timed_out=not ended)
        finally:
            tasks = [task for task in (listening, gone, words) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for transport in (*self._readers, self._input):
                if transport is not None:
                    transport.close()
            if not process.ended.done():
                await self._children.end([process], _POLITE)

    @staticmethod
    async def _first(
        wanted: "asyncio.Future[Any]",
        *others: "asyncio.Task[None]",
        seconds: float | None = None,
    ) -> bool:
        """Wait for `wanted`; return whether it is done, else so many seconds have gone by.

        Raises:
            Over: the channel ended first.
            Broken: what came on it makes no sense.
        """
        await asyncio.wait((wanted, *others), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if wanted.done():
            wanted.result()
            return True
        for other in others:
            if other.done():
                other.result()
                raise Over
        return False

    async def _start(
        self, command: list[str], env: Mapping[str, str], cwd: str
    ) -> tuple[Process, asyncio.StreamWriter, asyncio.StreamReader, asyncio.StreamReader]:
        pipes = [os.pipe() for _ in range(3)]
        theirs = (pipes[0][0], pipes[1][1], pipes[2][1])
        ours = (pipes[0][1], pipes[1][0], pipes[2][0])
        try:
            process = self._children.spawn(command[0], command, env, cwd=cwd, stdio=theirs)
        except (OSError, ValueError) as error:
            for fd in ours:
                os.close(fd)
            why = error.strerror if isinstance(error, OSError) else str(error)
            what = error.filename if isinstance(error, OSError) else None
            raise Failed("not_started", f"{what or command[0]} cannot be run: {why}.") from None
        finally:
            for fd in theirs:
                os.close(fd)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.streams.FlowControlMixin(loop), os.fdopen(ours[0], "wb", 0)
        )
        self._input = transport
        stdin = asyncio.StreamWriter(transport, protocol, None, loop)
        return process, stdin, await self._reader(ours[1]), await self._reader(ours[2])

    async def _reader(self, fd: int) -> asyncio.StreamReader:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=PIECE)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0)
        )
        self._readers.append(transport)
        return reader

    async def _carry(self, process: Process, reader: asyncio.StreamReader, number: int) -> None:
        while data := await _next(reader, process):
            await self._talk.carry(number, data)

    async def _listen(self, process: Process, stdin: asyncio.StreamWriter) -> None:
        while True:
            frame = await self._talk.hear()
            if frame.kind is not Kind.BYTES or frame.channel != _STDIN:
                self._obey(frame, process, stdin)
            elif not stdin.is_closing():
                with contextlib.suppress(OSError):  # it reads no more
                    stdin.write(frame.payload)
                    await stdin.drain()

    @staticmethod
    def _obey(frame: Frame, process: Process, stdin: asyncio.StreamWriter) -> None:
        match frame.message():
            case {"type": "end_input"}:
                stdin.close()
            case {"type": "signal", "number": int(number)} if number in set(signal.Signals):
                process.signal(number)
            case {"type": str(kind)}:
                raise Broken(f"A program is not told {kind[:32]!r}.")


async def _next(reader: asyncio.StreamReader, process: Process) -> bytes:
    """Return what a program says next; nothing once it has ended and its pipe is silent."""
    reading = asyncio.ensure_future(reader.read(PIECE))
    try:
        await asyncio.wait((reading, process.ended), return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            await asyncio.wait((reading,), timeout=_LAST_WORDS)
        return reading.result() if reading.done() else b""
    finally:
        reading.cancel()


def _is_word(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value
