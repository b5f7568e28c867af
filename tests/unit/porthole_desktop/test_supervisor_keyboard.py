"""Which key makes which character, and what is done for those that no key makes."""

from hypothesis import given
from hypothesis import strategies as st

from porthole_desktop.supervisor.keyboard import Keyboard, Stroke, of_character

# Codes from 8: a/A, 1/!, ä/Ä on the second layout, Shift, and twelve keys without a meaning.
TABLE = [
    [0x61, 0x41, 0xE4, 0xC4],
    [0x31, 0x21, 0x31, 0x21],
    [0xFFE1, 0, 0xFFE1, 0],
    *[[0, 0, 0, 0]] * 12,
]


def test_plain_and_shifted_keys():
    keyboard = Keyboard(8, TABLE)
    assert keyboard.stroke(0x61) == Stroke(8, shifted=False)
    assert keyboard.stroke(0x41) == Stroke(8, shifted=True)
    assert keyboard.stroke(0x21) == Stroke(9, shifted=True)


def test_under_a_shift_that_is_held_a_plain_key_makes_something_else():
    keyboard = Keyboard(8, TABLE)
    assert keyboard.stroke(0x61, shift=True) is None
    assert keyboard.stroke(0x41, shift=True) == Stroke(8, shifted=True)
    code = keyboard.give(0x61)
    assert code is not None
    assert keyboard.stroke(0x61, shift=True) == Stroke(code, shifted=False)
    assert keyboard.stroke(0x61) == Stroke(8, shifted=False)


def test_the_layout_that_is_switched_on_counts():
    keyboard = Keyboard(8, TABLE)
    assert keyboard.stroke(0xE4, group=1) == Stroke(8, shifted=False)
    assert keyboard.stroke(0xE4) is None


def test_what_no_key_makes_is_given_one_that_was_free():
    keyboard = Keyboard(8, TABLE)
    assert keyboard.stroke(0x10020AC) is None
    code = keyboard.give(0x10020AC)
    assert code is not None
    assert code >= 11
    assert keyboard.stroke(0x10020AC) == Stroke(code, shifted=False)


def test_half_of_the_free_keys_is_left_to_others_and_the_oldest_is_given_anew():
    keyboard = Keyboard(8, TABLE)
    given_ = [keyboard.give(0x1000400 + number) for number in range(7)]
    assert len(set(given_)) == 6
    assert given_[6] == given_[0]
    assert keyboard.stroke(0x1000400) is None


def test_the_same_keys_are_taken_when_the_map_is_read_again():
    first = Keyboard(8, TABLE)
    code = first.give(0x10020AC)
    table = [list(row) for row in TABLE]
    assert code is not None
    table[code - 8][:2] = [0x10020AC, 0x10020AC]
    again = Keyboard(8, table, first.spare)
    assert again.stroke(0x10020AC) == Stroke(code, shifted=False)
    assert sorted(again.spare) == sorted(first.spare)


def test_without_free_keys_there_is_nothing_to_give():
    assert Keyboard(8, TABLE[:3]).give(0x10020AC) is None


@given(st.characters(exclude_categories=["Cs"]))
def test_any_character_has_a_keysym(character: str):
    assert 0 < of_character(character) <= 0x110FFFF or character == "\0"
