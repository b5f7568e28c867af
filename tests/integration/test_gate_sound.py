"""What a desktop plays is heard through its gate, and it hears who speaks; both only if asked."""

import array
import asyncio
import itertools
import math
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from porthole_contract.stream.frames import Kind
from tests.support.desktop_pair import DesktopPair, NotAdmitted
from tests.support.loudness import loudness
from tests.support.talking import Fault, Talker

RATE = 48_000
SPOKEN = 16_000
TONE = 440.0
PIECE = 0.02


@pytest.fixture(scope="module")
def pair() -> Iterator[DesktopPair]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        made = DesktopPair(Path(folder))
        made.start_desktop()
        made.start_gate()
        try:
            made.wait_healthy()
            yield made
        finally:
            made.stop()


@pytest.fixture(autouse=True)
async def _closed(pair: DesktopPair) -> AsyncIterator[None]:
    yield
    await pair.close_streams()


def tone(seconds: float, rate: int = RATE) -> bytes:
    """Return samples of a tone, mono."""
    swing = (math.sin(2 * math.pi * TONE * at / rate) for at in range(int(rate * seconds)))
    return array.array("h", (int(12_000 * one) for one in swing)).tobytes()


async def listen(pair: DesktopPair, *codecs: str, mode: str = "view") -> tuple[Talker, str]:
    """Begin to listen; return what is spoken."""
    until = time.monotonic() + 15
    while True:
        talker = await Talker.open(pair, "audio", mode)
        talker.say("listen", codecs=list(codecs))
        playing = await talker.answer()
        assert (playing["rate"], playing["channels"]) == (RATE, 2)
        try:
            async with asyncio.timeout(2):
                await talker.hear()
        except (EOFError, TimeoutError):  # what plays begins once the screen was drawn
            assert time.monotonic() < until, "nothing is heard"
            continue
        return talker, playing["codec"]


async def to_the_end(ears: Talker) -> None:
    while True:
        await ears.hear()


async def test_a_tone_is_heard_as_it_is(pair: DesktopPair) -> None:
    ears, codec = await listen(pair, "s16le")
    assert codec == "s16le"
    player = await Talker.open(pair, "exec")
    command = ("pacat", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1")
    playing = asyncio.create_task(player.run(*command, given=tone(3)))
    heard = array.array("h")
    for _ in itertools.repeat(None, int(6 / PIECE)):
        frame = await ears.hear()
        assert (frame.kind, frame.number) == (Kind.BYTES, 1)
        piece = array.array("h", frame.payload)
        if heard or max(piece) > 6_000:
            heard += piece[::2]
        if len(heard) > RATE:
            break
    assert loudness(heard[4800:], TONE, RATE) > 20 * loudness(heard[4800:], 660, RATE)
    assert (await playing).end["status"] == 0


async def test_it_is_made_small_for_who_understands_that(pair: DesktopPair) -> None:
    ears, codec = await listen(pair, "opus", "s16le")
    assert codec == "opus"
    begun = time.monotonic()
    packets = [(await ears.hear()).payload for _ in range(100)]
    # As fast as it plays, and a fraction of 3,840 bytes each.
    assert 1 < time.monotonic() - begun < 6
    assert max(map(len, packets)) < 1_000


async def test_a_listener_says_nothing_but_that(pair: DesktopPair) -> None:
    ears, _ = await listen(pair, "s16le")
    await ears.carry(1, b"noise")
    with pytest.raises(EOFError):
        await to_the_end(ears)
    deaf = await Talker.open(pair, "audio", "view")
    deaf.say("run", command=["true"])
    with pytest.raises(Fault) as refused:
        await deaf.answer()
    assert refused.value.code == "unknown_request"


async def speak(pair: DesktopPair) -> Talker:
    """Return a stream on which the desktop hears what is sent."""
    until = time.monotonic() + 15
    while True:
        voice = await Talker.open(pair, "microphone")
        voice.say("speak")
        hearing = await voice.answer()
        assert (hearing["rate"], hearing["channels"]) == (SPOKEN, 1)
        try:
            async with asyncio.timeout(1):
                await voice.hear()
        except TimeoutError:
            return voice
        except EOFError:  # what hears begins once the screen was drawn
            assert time.monotonic() < until, "nothing hears"


async def test_who_speaks_is_heard_by_programs(pair: DesktopPair) -> None:
    voice = await speak(pair)
    recorder = await Talker.open(pair, "exec")
    # No device is named: what programs record by themselves is the microphone.
    command = ("timeout", "4", "parec", "--raw", "--format=s16le", f"--rate={SPOKEN}")
    recording = asyncio.create_task(recorder.run(*command, "--channels=1", "--latency-msec=40"))
    samples, piece = tone(3, SPOKEN), int(SPOKEN * PIECE) * 2
    begun = time.monotonic()
    for number, at in enumerate(range(0, len(samples), piece)):
        await voice.carry(1, samples[at : at + piece])
        await asyncio.sleep(max(0.0, begun + number * PIECE - time.monotonic()))
    heard = array.array("h", bytes((await recording).out))
    loud = next(at for at, sample in enumerate(heard) if abs(sample) > 6_000)
    part = heard[loud + 800 : loud + 800 + SPOKEN]
    assert loudness(part, TONE, SPOKEN) > 20 * loudness(part, 660, SPOKEN)


async def test_who_only_looks_says_nothing(pair: DesktopPair) -> None:
    with pytest.raises(NotAdmitted):
        await Talker.open(pair, "microphone", "view")


@pytest.mark.parametrize("noise", [b"odd", bytes(8192)])
async def test_what_is_no_sound_ends_the_stream(pair: DesktopPair, noise: bytes) -> None:
    voice = await speak(pair)
    await voice.carry(1, noise)
    with pytest.raises(EOFError):
        await to_the_end(voice)
