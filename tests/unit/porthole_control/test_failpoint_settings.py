"""Failpoints are asked for by names that exist, or not at all."""

import signal

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
