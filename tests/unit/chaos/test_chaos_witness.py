"""The witness of a place, and the clock that a run sets wrong."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from uuid import UUID

import pytest

from e2e.chaos import start
from e2e.chaos.entries import Begun, Buried, Held, read
from e2e.chaos.start import Witness

SESSION = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def test_what_it_writes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "place-0.jsonl"
    witness = Witness(str(path), "place-0")
    labels = {"key": "k1", "mark": "7"}
    record = SimpleNamespace(
        session=SESSION,
        order=3,
        restarts=1,
        phase="Running",
        spec=SimpleNamespace(labels=labels, desired="Running"),
    )
    witness.held(record)
    witness.begun(f"porthole-{SESSION.hex}-gate")
    witness.begun(f"porthole-{SESSION.hex}-desktop")
    witness.buried(SimpleNamespace(session=SESSION, order=4))
    with path.open("a") as file:
        file.write('{"is":"Held","at":1')  # somebody was killed
    told, begun, buried = read([path])
    name = str(SESSION)
    assert told == Held(told.at, "place-0", name, 3, 1, "Running", "Running", "k1", 7)
    assert begun == Begun(begun.at, "place-0", name)
    assert buried == Buried(buried.at, "place-0", name, 4)


def test_a_program_sees_the_time_that_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = ModuleType("porthole_somewhere")
    ours.datetime = datetime  # type: ignore[attr-defined]
    monkeypatch.setitem(start.sys.modules, "porthole_somewhere", ours)
    monkeypatch.setitem(start.sys.modules, "a_program.__main__", ModuleType("a_program.__main__"))
    file = tmp_path / "clock"
    file.write_text("0")
    changed = {
        name: module
        for name, module in start.sys.modules.items()
        if name.startswith("porthole_") and getattr(module, "datetime", None) is datetime
    }
    for name in changed.keys() - {"porthole_somewhere"}:
        monkeypatch.setattr(changed[name], "datetime", datetime)  # put back afterwards
    start._skew(str(file), "a_program")
    there = ours.datetime  # type: ignore[attr-defined]
    assert abs(there.now(UTC) - datetime.now(UTC)) < timedelta(seconds=5)
    file.write_text("3600")
    assert abs(there.now(UTC) - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=5)
    assert isinstance(datetime.now(UTC), there)
