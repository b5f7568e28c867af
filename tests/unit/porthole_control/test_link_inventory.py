from uuid import uuid4

import pytest

from porthole_contract.link.reports import HomeObserved, InventoryPart
from porthole_control.link import inventory
from porthole_control.link.inventory import Assembly, Snapshot

PLACE = uuid4()
SNAPSHOT = uuid4()


def part(index: int, *, last: bool = False, homes: int = 1, **changes) -> InventoryPart:
    fields = {"snapshot": SNAPSHOT, "place": PLACE, "index": index, "last": last, **changes}
    return InventoryPart(
        homes=tuple(HomeObserved(home=uuid4(), owner="x", size=1) for _ in range(homes)), **fields
    )


def test_pieces_make_a_whole():
    assembly = Assembly()
    first, second = part(0), part(1, last=True)
    assert assembly.add(first) is None
    whole = assembly.add(second)
    assert whole == Snapshot(PLACE, (), (*first.homes, *second.homes), ())
    assert assembly.add(part(0, last=True, homes=0)) == Snapshot(PLACE, (), (), ())


@pytest.mark.parametrize(
    "pieces",
    [
        [part(1, last=True)],
        [part(0), part(2, last=True)],
        [part(0), part(0), part(2, last=True)],
        [part(0), part(1, last=True, snapshot=uuid4())],
        [part(0), part(1, last=True, place=uuid4())],
        [part(0), part(1, snapshot=uuid4()), part(1, last=True)],
    ],
)
def test_pieces_that_do_not_fit_prove_nothing(pieces):
    assembly = Assembly()
    assert [assembly.add(piece) for piece in pieces] == [None] * len(pieces)


def test_a_new_beginning_replaces_an_old_one():
    assembly = Assembly()
    assembly.add(part(0))
    again, end = part(0, homes=2), part(1, last=True)
    assembly.add(again)
    whole = assembly.add(end)
    assert whole is not None
    assert whole.homes == (*again.homes, *end.homes)


def test_what_is_too_much_is_not_believed(monkeypatch):
    assembly = Assembly()
    monkeypatch.setattr(inventory, "MOST", 2)
    assembly.add(part(0, homes=2))
    assert assembly.add(part(1, last=True)) is None
    monkeypatch.setattr(inventory, "MOST", 20)
    monkeypatch.setattr(inventory, "MOST_BYTES", 100)
    assert assembly.add(part(0, last=True)) is None
