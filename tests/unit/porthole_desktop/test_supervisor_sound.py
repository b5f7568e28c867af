"""Sound on its way to a listener: as fast as it is taken, and never the past."""

import asyncio

from porthole_desktop.supervisor import sound
from tests.support.waiting import eventually

PIECES = 200


class Ears:
    """A listener that takes pieces while the test lets it."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.heard: list[int] = []

    async def carry(self, _number: int, piece: bytes) -> None:
        await self.may.wait()
        self.heard.append(int.from_bytes(piece[:2], "little"))


async def carrying(ears: Ears) -> tuple[asyncio.StreamReader, asyncio.Task[None]]:
    reader = asyncio.StreamReader(limit=sound._SAMPLES * 4)
    gone = asyncio.create_task(asyncio.Event().wait())
    work = sound._carry(ears, reader, bytes, gone)  # type: ignore[arg-type]
    return reader, asyncio.create_task(work)


def play(reader: asyncio.StreamReader, *pieces: int) -> None:
    """Have pieces played that can be told apart."""
    reader.feed_data(b"".join(one.to_bytes(2, "little") * (sound._SAMPLES // 2) for one in pieces))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_takes_nothing_hears_the_present_afterwards() -> None:
    ears = Ears()
    reader, carried = await carrying(ears)
    for piece in range(PIECES):
        play(reader, piece)
        await settle()
    ears.may.set()
    # One was on its way already; of the others there is what was played in the last 0.3 s.
    present = [0, *range(PIECES - 15, PIECES)]
    await eventually(lambda: asyncio.sleep(0, ears.heard), present)
    play(reader, 500)
    await eventually(lambda: asyncio.sleep(0, ears.heard), [*present, 500])
    carried.cancel()
    await asyncio.gather(carried, return_exceptions=True)


async def test_who_keeps_up_misses_nothing() -> None:
    ears = Ears()
    ears.may.set()
    reader, carried = await carrying(ears)
    for piece in range(PIECES):
        play(reader, piece)
        await settle()
    assert ears.heard == list(range(PIECES))
    reader.feed_eof()  # what plays has ended
    await carried
