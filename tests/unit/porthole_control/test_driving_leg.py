"""The control plane's own end of a stream to a desktop, without a desktop."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.stream import drive
from porthole_control.driving.leg import DriveLeg
from porthole_control.sockets import Gone


def picture(number: int, png: bytes) -> bytes:
    answer = drive.Picture(id=number, width=1, height=1, bytes=len(png))
    return drive.encode(answer) + png


async def said(leg: DriveLeg, data: bytes, size: int) -> None:
    for at in range(0, len(data), size):
        await leg.say(data[at : at + size])


@given(st.binary(min_size=1, max_size=500), st.integers(1, 600))
def test_an_answer_is_whole_whatever_the_chunks(png: bytes, size: int):
    async def ask() -> None:
        leg = DriveLeg()
        for number in (1, 2):
            asked = asyncio.ensure_future(leg.ask(drive.TakePicture(id=leg.next_id)))
            heard = await leg.hear()
            assert json.loads(heard)["id"] == number
            await said(leg, picture(number, png), size)
            answer, data = await asked
            assert (answer.id, data) == (number, png)

    asyncio.run(ask())


async def test_a_text_goes_in_parts():
    leg, text = DriveLeg(), b"x" * 200_000
    asked = asyncio.ensure_future(leg.ask(drive.WriteClipboard(id=1, bytes=len(text)), text))
    assert json.loads(await leg.hear())["bytes"] == len(text)
    parts = [await leg.hear() for _ in range(4)]
    assert sum(map(len, parts)) == len(text)
    await leg.say(drive.encode(drive.Done(id=1)))
    assert await asked == (drive.Done(id=1), b"")


@pytest.mark.parametrize("rubbish", [b"rubbish\n", picture(7, b"."), b'{"type":"act"}\n'])
async def test_what_is_no_answer_ends_it(rubbish: bytes):
    leg = DriveLeg()
    asked = asyncio.ensure_future(leg.ask(drive.TakePicture(id=1)))
    await leg.hear()
    with pytest.raises(Gone):
        await leg.say(rubbish)
    with pytest.raises(RemoteProtocolError):
        await asked


async def test_who_leaves_is_gone():
    leg = DriveLeg()
    leg.leave()
    with pytest.raises(Gone):
        await leg.hear()
