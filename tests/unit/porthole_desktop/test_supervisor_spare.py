"""Keys for whatever is typed: which they are, and when they have to be freed."""

import pytest

from porthole_desktop.supervisor.spare import crowded, is_media, runs, spare

MUTE, PLAY, HELP, LETTER = 0x1008FF12, 0x1008FF14, 0xFF6A, 0x100044F


def test_keys_without_a_meaning_and_media_keys_are_spare() -> None:
    rows = [(0, 0), (HELP, HELP), (MUTE, MUTE), (MUTE, HELP), (0, PLAY), (0, 0)]
    assert spare(136, rows) == {136, 138, 140, 141}


def test_keys_that_only_some_layouts_have_are_left_alone() -> None:
    assert spare(134, [(0,), (MUTE,), (0,)]) == {136}


@pytest.mark.parametrize("row", [(0, 0), (HELP,), (LETTER,), (MUTE, LETTER)])
def test_what_was_typed_is_no_media_key(row: tuple[int, ...]) -> None:
    assert not is_media(row)


def test_half_of_them_taken_is_crowded() -> None:
    assert not crowded([(0,), (0,), (LETTER,)])
    assert crowded([(0,), (LETTER,)])


def test_neighbours_are_cleared_at_once() -> None:
    assert runs({9, 5, 7, 6}) == [range(5, 8), range(9, 10)]
    assert runs(()) == []
