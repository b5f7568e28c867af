"""When a segment counts as settled."""

from e2e.chaos.driver import Mine
from e2e.chaos.entries import Held, Shown
from e2e.chaos.segment import _is_settled

S = "session-1"


def mine(**more: object) -> Mine:
    return Mine("k1", S, mark=3, **more)  # type: ignore[arg-type]


def held(mark: int = 3, phase: str = "Running") -> dict[str, Held]:
    return {S: Held(9, "place-0", S, 4, 0, phase, "Running", "k1", mark)}


def shown(mark: int = 3, phase: str = "Running") -> Shown:
    return Shown(9, S, phase, "Running", mark)


def test_all_has_become_of_it_that_was_asked_for() -> None:
    assert _is_settled(mine(), shown(), held(), is_known=True)
    assert not _is_settled(mine(), shown(2), held(2), is_known=True)
    assert not _is_settled(mine(), shown(2), held(), is_known=True)
    assert not _is_settled(mine(), shown(), held(phase="Starting"), is_known=True)
    assert _is_settled(mine(ended=True), shown(phase="Terminated"), {}, is_known=True)
    assert not _is_settled(mine(ended=True), shown(), held(), is_known=True)


def test_what_a_backup_did_not_know_is_not_waited_for() -> None:
    assert _is_settled(mine(), shown(2), held(2), is_known=False)
    assert not _is_settled(mine(), shown(1), held(2), is_known=False)
    assert _is_settled(mine(ended=True), shown(), held(), is_known=False)
    assert _is_settled(mine(ended=True), shown(phase="(nothing)"), {}, is_known=False)
    assert not _is_settled(mine(ended=True), shown(phase="(nothing)"), {}, is_known=True)
