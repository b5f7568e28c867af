"""Frames are found in a stream of bytes, however it is cut."""

import pytest
from websockets.frames import Frame, Opcode

from e2e.chaos.frames import Cutter

FRAMES = [
    Frame(opcode, body).serialize(mask=mask)
    for mask in (True, False)
    for opcode, body in [
        (Opcode.TEXT, b"a"),
        (Opcode.TEXT, b""),
        (Opcode.TEXT, b"b" * 200),
        (Opcode.BINARY, b"c" * 70_000),
        (Opcode.PING, b"d"),
    ]
]


@pytest.mark.parametrize("step", [1, 2, 7, 1000, 1_000_000])
def test_frames_are_the_bytes_that_they_were(step: int) -> None:
    data, cutter = b"".join(FRAMES), Cutter()
    pieces = (data[start : start + step] for start in range(0, len(data), step))
    found = [frame for piece in pieces for frame in cutter.feed(piece)]
    assert [frame.whole for frame in found] == FRAMES
    assert [frame.is_data for frame in found] == [True, True, True, False, False] * 2
