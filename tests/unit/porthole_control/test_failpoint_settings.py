"""Failpoints are asked for by names that exist, or not at all."""

import signal
from pathlib import Path

import pytest

from porthole_contract.failpoints import Failpoints
from porthole_control import failpoints
from porthole_control.failpoints import NAMES, failpoint


@pytest.mark.parametrize(
    "setting",
    ["nowhere=kill:1", f"{NAMES[0]}=kill:0", f"{NAMES[0]}=end:1", NAMES[0], f"{NAMES[0]}=kill:x"],
)
def test_what_is_no_failpoint_is_an_error(setting: str):
    with pytest.raises(ValueError, match="PORTHOLE_FAILPOINTS"):
        Failpoints(NAMES, setting)


def test_names_are_unique():
    assert len(set(NAMES)) == len(NAMES)


def test_the_process_is_killed_the_nth_time(monkeypatch: pytest.MonkeyPatch):
    kills: list[tuple[int, int]] = []
    monkeypatch.setattr(failpoints.os, "kill", lambda *args: kills.append(args))
    asked = Failpoints(NAMES, "commands.claimed=kill:2, CommandResult.written=stop:1")
    monkeypatch.setattr(failpoints, "_asked", asked)
    failpoint("commands.claimed")
    failpoint("written", 1, "two")
    failpoint("create_token.handled")
    assert not kills
    failpoint("commands.claimed")
    assert [number for _, number in kills] == [signal.SIGKILL]


def test_a_folder_is_looked_into_when_a_place_is_passed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    kills: list[tuple[int, int]] = []
    monkeypatch.setattr(failpoints.os, "kill", lambda *args: kills.append(args))
    folder = tmp_path / "failpoints"  # not made before something is asked for
    asked = Failpoints(NAMES, str(folder), failpoints._take)
    monkeypatch.setattr(failpoints, "_asked", asked)
    failpoint("commands.claimed")
    folder.mkdir()
    (folder / "commands.claimed").write_text("kill:2\n")
    (folder / "create_token.handled").write_text("kill:1\n")
    failpoint("commands.claimed")
    failpoint("create_token.handled")
    assert not kills
    failpoint("commands.claimed")
    failpoint("commands.claimed")
    assert [number for _, number in kills] == [signal.SIGKILL]
    assert [file.name for file in folder.iterdir()] == ["create_token.handled"]


def test_a_file_that_asks_for_nothing_is_an_error(tmp_path: Path):
    (tmp_path / NAMES[0]).write_text("end:1")
    with pytest.raises(ValueError, match="PORTHOLE_FAILPOINTS"):
        Failpoints(NAMES, str(tmp_path), failpoints._take).due(NAMES[0])
