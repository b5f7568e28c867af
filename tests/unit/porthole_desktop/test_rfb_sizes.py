"""Pixel formats and encodings."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_desktop.gate.rfb.encodings import HINTS, RECTANGLES, admitted
from porthole_desktop.gate.rfb.pixels import PixelFormat


def pixels(bits: int, depth: int, true: int = 1, most: int = 255, shift: int = 8) -> bytes:
    return struct.pack(">BBBBHHHBBB3x", bits, depth, 0, true, most, most, most, shift, 0, 0)


@pytest.mark.parametrize(
    ("raw", "size", "tight"),
    [
        (pixels(32, 24), 4, 3),
        (pixels(32, 32), 4, 4),
        (pixels(32, 24, most=1023), 4, 4),
        (pixels(32, 24, true=0), 4, 4),
        (pixels(16, 16, most=31), 2, 2),
        (pixels(8, 8, most=7, shift=5), 1, 1),
        (pixels(8, 8, true=0, shift=99), 1, 1),
    ],
)
def test_pixels_are_sized(raw: bytes, size: int, tight: int) -> None:
    assert PixelFormat.read(raw) == PixelFormat(size, tight)


@pytest.mark.parametrize(
    "raw", [bytes(16), pixels(24, 24), pixels(8, 24), pixels(32, 24, shift=32)]
)
def test_pixels_that_cannot_be_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="pixel"):
        PixelFormat.read(raw)


@given(st.binary(min_size=16, max_size=16))
def test_any_format_is_sized_or_refused(raw: bytes) -> None:
    try:
        read = PixelFormat.read(raw)
    except ValueError:
        return
    assert read.size in {1, 2, 4}
    assert read.tight_size in {read.size, 3}


@given(st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_only_known_encodings_are_admitted_once_and_in_order(wanted: list[int]) -> None:
    kept = admitted([*wanted, 0, *wanted])
    assert len(kept) == len(set(kept))
    assert set(kept) <= RECTANGLES | HINTS
    assert 0 in kept


def test_hints_and_rectangles_are_different_things() -> None:
    assert not HINTS & RECTANGLES
