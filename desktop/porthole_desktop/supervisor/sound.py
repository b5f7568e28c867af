"""What the desktop plays, for those who listen: channel `audio`.

    them -> us   listen {codecs: ["opus", "s16le"]}: what they understand, the best first
    us -> them   playing {codec, rate, channels}   BYTES 1: one packet of Opus, or samples
                 failed {code, message}

Programs play to a PulseAudio server that has no card (`server`); each listener has a recorder
of its own. Sound that nobody took in time is thrown away: who comes late hears the present.
"""

import asyncio
import contextlib
import os
import shutil
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Final

from . import voices
from .channels import Channel, Refusal, Work
from .children import Children
from .opus import Encoder, Missing
from .talk import Talk

RATE: Final = 48_000
CHANNELS: Final = 2
MOST: Final = 8
"""Listeners at one time."""
_PIECE_MS: Final = 20
_SAMPLES: Final = RATE * CHANNELS * 2 * _PIECE_MS // 1000
"""Bytes of samples in one piece: signed, 16 bits, little-endian."""
_WAITING: Final = 15
"""Pieces that wait for a listener, 0.3 s; older ones are thrown away."""
_SINK: Final = "desktop"
_BITS: Final = 96_000
"""Bits a second that Opus takes."""


def available() -> bool:
    """Whether this machine has what a desktop with sound needs."""
    return shutil.which("pulseaudio") is not None and shutil.which("parec") is not None


def socket(runtime: Path) -> Path:
    """Return where programs find the server, for a desktop's runtime directory."""
    return runtime / "sound.sock"


def server(runtime: Path) -> list[str]:
    """Return the command of a server that plays to nobody, and reads no settings of others."""
    return [
        *("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--disallow-exit=yes"),
        *("--exit-idle-time=-1", "--realtime=no", "--high-priority=no", "--disable-shm=yes"),
        f"--load=module-native-protocol-unix socket={socket(runtime)} auth-anonymous=1",
        f"--load=module-null-sink sink_name={_SINK} rate={RATE} channels={CHANNELS}",
        *voices.source(),
    ]


def _recorder() -> list[str]:
    return [
        *("parec", "--raw", f"--device={_SINK}.monitor", "--format=s16le", f"--rate={RATE}"),
        *(f"--channels={CHANNELS}", f"--latency-msec={_PIECE_MS}", "--client-name=porthole"),
    ]


class Sound:
    """All listeners of one desktop.

    Args:
        children: starts and reaps what they need.
    """

    def __init__(self, children: Children) -> None:
        self._children = children
        self._listeners = 0

    def begin(self, channel: Channel, env: Mapping[str, str]) -> Work:
        """Serve a channel with what is played; `env` is that of the desktop's programs.

        Raises:
            Refusal: the desktop has no sound, or too many listen.
        """
        if not available():
            raise Refusal("no_sound", "This desktop has nothing that could play sound.")
        if self._listeners >= MOST:
            raise Refusal("too_many", f"{MOST} listen already.")
        self._listeners += 1
        return self._serve(Talk(channel), env)

    async def _serve(self, talk: Talk, env: Mapping[str, str]) -> None:
        gone = asyncio.create_task(talk.over())
        try:
            asked = await talk.message()
            codecs = asked.get("codecs")
            if asked["type"] != "listen" or not isinstance(codecs, list):
                sentence = "The first message says what the listener understands."
                await talk.say("failed", code="unknown_request", message=sentence)
                return
            with contextlib.ExitStack() as stack:
                encode = _encoder(stack) if "opus" in codecs else None
                codec = "s16le" if encode is None else "opus"
                await talk.say("playing", codec=codec, rate=RATE, channels=CHANNELS)
                async with self._recording(env) as reader:
                    await _carry(talk, reader, encode or bytes, gone)
        finally:
            gone.cancel()
            self._listeners -= 1

    @contextlib.asynccontextmanager
    async def _recording(self, env: Mapping[str, str]) -> AsyncIterator[asyncio.StreamReader]:
        """Record what is played; yield where it comes out."""
        async with self._children.piped(_recorder(), env, reads=False) as end:
            loop = asyncio.get_running_loop()
            reader = asyncio.StreamReader(limit=_SAMPLES * 4)
            transport, _ = await loop.connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(end, "rb", 0)
            )
            try:
                yield reader
            finally:
                transport.close()


def _encoder(stack: contextlib.ExitStack) -> Callable[[bytes], bytes] | None:
    """Return what makes packets of pieces, until the stack is left; None: nothing does here."""
    try:
        encoder = Encoder(RATE, CHANNELS, _BITS)
    except Missing:
        return None
    stack.callback(encoder.close)
    return encoder.encode


async def _carry(
    talk: Talk,
    reader: asyncio.StreamReader,
    encode: Callable[[bytes], bytes],
    gone: "asyncio.Task[None]",
) -> None:
    """Send pieces as fast as they are taken, the newest if not all are; until somebody leaves."""
    waiting: deque[bytes] = deque(maxlen=_WAITING)
    there = asyncio.Event()

    async def collect() -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                waiting.append(await reader.readexactly(_SAMPLES))
                there.set()

    async def send() -> None:
        while True:
            await there.wait()
            there.clear()
            while waiting:
                await talk.carry(1, encode(waiting.popleft()))

    tasks = {asyncio.create_task(collect()), asyncio.create_task(send()), gone}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
