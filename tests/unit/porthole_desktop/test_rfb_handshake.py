"""The greeting of RFB, both ends, and against each other."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_desktop.gate.faults import DesktopFault, ViewerFault
from porthole_desktop.gate.rfb.handshake import DesktopGreeting, ViewerGreeting

PIXELS = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)


def server_init(
    width: int = 800, height: int = 600, pixels: bytes = PIXELS, name: bytes = b"d"
) -> bytes:
    return struct.pack(">HH", width, height) + pixels + struct.pack(">I", len(name)) + name


SERVER = [b"RFB 003.008\n", b"\x02\x02\x01", bytes(4), server_init()]


@given(st.lists(st.integers(1, 5)))
def test_a_viewer_is_greeted_in_any_chunks(sizes: list[int]) -> None:
    greeting, said, answer, at = ViewerGreeting(), b"RFB 003.008\n\x01\x00more", b"", 0
    for size in [*sizes, len(said)]:
        answer += greeting.feed(said[at : at + size])
        at += size
    assert answer == b"\x01\x01" + bytes(4)
    assert greeting.done
    assert greeting.rest == b"more"


@pytest.mark.parametrize("said", [b"RFB 003.003\n", b"GET / HTTP/1.1", b"RFB 003.008\n\x02"])
def test_a_viewer_that_speaks_otherwise_is_not(said: bytes) -> None:
    with pytest.raises(ViewerFault):
        ViewerGreeting().feed(said)


@given(st.lists(st.integers(1, 9)))
def test_a_desktop_is_greeted_in_any_chunks(sizes: list[int]) -> None:
    greeting, said, answer, at = DesktopGreeting(), b"".join(SERVER) + b"more", b"", 0
    for size in [*sizes, len(said)]:
        answer += greeting.feed(said[at : at + size])
        at += size
    assert answer == b"RFB 003.008\n" + b"\x01" + b"\x01"  # the last: shared
    assert greeting.screen is not None
    assert (greeting.screen.width, greeting.screen.height) == (800, 600)
    assert greeting.screen.pixels.size == 4
    assert greeting.server_init == server_init()
    assert greeting.rest == b"more"


@pytest.mark.parametrize(
    "said",
    [
        [b"RFB 004.000\n"],
        [SERVER[0], b"\x01\x02"],
        [SERVER[0], b"\x00"],
        [*SERVER[:2], b"\0\0\0\1"],
        [*SERVER[:3], server_init(width=0)],
        [*SERVER[:3], server_init(height=40000)],
        [*SERVER[:3], server_init(name=b"x" * 2000)],
        [*SERVER[:3], server_init(pixels=bytes(16))],
        [*SERVER[:3], server_init(pixels=b"\x18\x18" + PIXELS[2:])],
    ],
)
def test_a_desktop_that_cannot_be_is_refused(said: list[bytes]) -> None:
    with pytest.raises(DesktopFault):
        DesktopGreeting().feed(b"".join(said))


@given(st.binary(max_size=100), st.integers(0, 4))
def test_rubbish_only_ever_raises_the_typed_error(rubbish: bytes, after: int) -> None:
    for greeting, fault, good in (
        (DesktopGreeting(), DesktopFault, SERVER[:after]),
        (ViewerGreeting(), ViewerFault, [b"RFB 003.008\n"] * min(after, 1)),
    ):
        with contextlib.suppress(fault):
            greeting.feed(b"".join(good) + rubbish)
