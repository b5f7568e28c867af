"""That a database knows less than it did is seen by how far it has come."""

from porthole_control.db.position import Position

NOW = Position(system=1, written=100)


def test_nothing_is_lacking_at_the_first_look() -> None:
    assert not NOW.lacks(None)


def test_a_database_that_goes_on_lacks_nothing() -> None:
    assert not NOW.lacks(NOW)
    assert not Position(system=1, written=101).lacks(NOW)


def test_a_database_that_has_written_less_was_set_back() -> None:
    assert Position(system=1, written=99).lacks(NOW)


def test_another_server_may_lack_anything() -> None:
    assert Position(system=2, written=1000).lacks(NOW)
