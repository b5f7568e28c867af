"""Programs that are run in a session's desktop, heard while they run."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection as SyncConnection

from porthole_client.errors import ProgramFault
from porthole_client.talks import lost
from porthole_contract.stream import frames
from porthole_contract.stream.frames import Decoder, Frame, Kind

_STDERR: Final = 2
_SIGNALLED: Final = 128

Output = Callable[[int, bytes], object]
"""Is given what a program says: 1 (standard output) or 2 (standard error), and the bytes."""


@dataclass(frozen=True)
class Ran:
    """How a program ended, and what it said if nobody listened meanwhile.

    Attributes:
        status: its exit status; the negative number of the signal that ended it.
        timed_out: whether it was ended because its time was up.
    """

    status: int
    timed_out: bool
    stdout: bytes = b""
    stderr: bytes = b""

    @property
    def exit_code(self) -> int:
        """The status as shells say it: 128 and the number of a signal."""
        return self.status if self.status >= 0 else _SIGNALLED - self.status


def run_message(
    command: Sequence[str],
    env: Mapping[str, str] | None,
    cwd: str | None,
    seconds: float | None,
) -> bytes:
    """Return the frame that asks for a program."""
    asked = {"command": list(command), "env": dict(env or {}), "cwd": cwd, "seconds": seconds}
    return frames.say("run", **{key: value for key, value in asked.items() if value is not None})


@dataclass
class Hearing:
    """What is heard of a program (pure)."""

    output: Output | None = None
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def take(self, frame: Frame) -> Ran | None:
        """Take a frame; return how the program ended, once it has.

        Raises:
            ProgramFault: it was not run.
        """
        if frame.kind is Kind.BYTES:
            if self.output is not None:
                self.output(frame.number, frame.payload)
            else:
                (self.stderr if frame.number == _STDERR else self.stdout).extend(frame.payload)
            return None
        message = frame.message()
        if message["type"] == "exited":
            timed_out = message.get("timed_out") is True
            status = int(message.get("status", -1))
            return Ran(status, timed_out, bytes(self.stdout), bytes(self.stderr))
        if message["type"] in {"failed", "error"}:
            raise ProgramFault(str(message.get("code")), str(message.get("message")))
        return None


def pieces(given: bytes | BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    """Return what a program is to read, in frames."""
    if isinstance(given, bytes | bytearray):
        given = (bytes(given),)
    elif hasattr(given, "read"):
        read = getattr(given, "read1", given.read)
        given = iter(lambda: read(frames.LARGEST), b"")
    for data in given:
        for at in range(0, len(data), frames.LARGEST):
            yield frames.carry(0, data[at : at + frames.LARGEST])
    yield frames.say("end_input")


def run(
    socket: SyncConnection,
    asked: bytes,
    given: bytes | BinaryIO | Iterable[bytes],
    output: Output | None,
) -> Ran:
    """Run a program over a stream, and return how it ended.

    Raises:
        ProgramFault: it was not run.
        StreamLost: the stream ended first, and the program with it.
    """
    hearing, decoder = Hearing(output), Decoder()

    def feed() -> None:
        try:
            for piece in pieces(given):
                socket.send(piece)
        except (ConnectionClosed, OSError, ValueError):
            pass  # it has ended, or what it was to read has

    try:
        socket.send(asked)
        # A daemon: it may wait for a terminal that nobody types on any more.
        threading.Thread(target=feed, daemon=True).start()
        while True:
            data = socket.recv()
            for frame in decoder.feed(data if isinstance(data, bytes) else data.encode()):
                if (ran := hearing.take(frame)) is not None:
                    return ran
    except ConnectionClosed as error:
        raise lost(error) from None


async def run_async(
    socket: ClientConnection,
    asked: bytes,
    given: bytes | Iterable[bytes],
    output: Output | None,
) -> Ran:
    """Run a program over a stream, and return how it ended; see `run`."""
    hearing, decoder = Hearing(output), Decoder()

    async def feed() -> None:
        for piece in pieces(given):
            await socket.send(piece)

    feeding: asyncio.Task[None] | None = None
    try:
        await socket.send(asked)
        feeding = asyncio.create_task(feed())
        while True:
            data = await socket.recv()
            for frame in decoder.feed(data if isinstance(data, bytes) else data.encode()):
                if (ran := hearing.take(frame)) is not None:
                    return ran
    except ConnectionClosed as error:
        raise lost(error) from None
    finally:
        if feeding is not None:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
