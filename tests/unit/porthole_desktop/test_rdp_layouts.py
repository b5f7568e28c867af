"""Keyboard layouts by their numbers in RDP."""

import pytest

from porthole_desktop.gate.rdp.agreed import Agreed
from porthole_desktop.gate.rdp.connect import rewrite_initial
from porthole_desktop.gate.rdp.layouts import number_of
from tests.support.rdp_recorded import MOST, recorded


def place(initial: bytes) -> slice:
    """Return where the layout stands: in Client Core Data, the first block of GCC's."""
    block = initial.index(b"\x01\xc0", initial.index(b"Duca"))
    return slice(block + 16, block + 20)


@pytest.mark.parametrize(
    ("layout", "number"),
    [
        ("us", 0x409),
        ("de", 0x407),
        ("de(nodeadkeys)", 0x407),
        ("ch(fr)", 0x100C),
        ("us(dvorak)", 0x10409),
        ("us(colemak)", 0x409),
        ("gr", 0x409),
    ],
)
def test_a_layout_has_a_number(layout: str, number: int) -> None:
    assert number_of(layout) == number


@pytest.mark.parametrize(("said", "told"), [(0, 0x407), (0x40C, 0x40C)])
def test_who_does_not_say_which_keyboard_is_theirs_gets_the_desktops(said: int, told: int) -> None:
    pdu = bytearray(recorded()[2][1])
    pdu[place(pdu)] = said.to_bytes(4, "little")
    made = rewrite_initial(bytes(pdu), Agreed(1), MOST, None, number_of("de"))
    assert int.from_bytes(made[place(made)], "little") == told
