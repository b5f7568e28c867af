"""What a container uses is read from either cgroup; what a desktop says of it is judged."""

from pathlib import Path
from typing import Any

import pytest

from porthole_desktop.gate import usage
from porthole_desktop.gate.usage import Meter
from porthole_desktop.supervisor.usage import Used, look

DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo:  999999     100    0    0    0     0          0         0   999999     100    0
  eth0:    4096      12    0    0    0     0          0         0     2048      10    0
"""
SAID = {"cpu": 1_500_000, "memory": 100}


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_group_of_either_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    v1 = {
        "cpuacct/cpuacct.usage": "1234567\n",
        "memory/memory.usage_in_bytes": "5000\n",
        "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 1000\n",
    }
    v2 = {
        "cpu.stat": "usage_usec 1234\nuser_usec 1000\n",
        "memory.current": "5000\n",
        "memory.stat": "anon 1\ninactive_file 1000\n",
    }
    assert look(written(tmp_path / "one", v1)) == Used(1234, 4000)
    assert look(written(tmp_path / "two", v2)) == Used(1234, 4000)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"memory.current": "5000\n"},
        {"memory.current": "max\n", "cpu.stat": "", "memory.stat": ""},
    ],
)
def test_who_is_shown_no_group_of_its_own_says_nothing(
    tmp_path: Path, files: dict[str, str]
) -> None:
    assert look(written(tmp_path, files)) is None


class Time:
    """A clock that is set, and what is read at its times."""

    def __init__(self) -> None:
        self.now = 100.0
        self.reads = 0

    def own(self) -> Used | None:
        self.reads += 1
        return Used(500_000, 10)

    def meter(self, network: str = DEV) -> Meter:
        return Meter(lambda: self.now, self.own, lambda: network)


def test_desktop_and_gate_count_together_and_their_network_once() -> None:
    time = Time()
    meter = time.meter()
    assert meter.now() is None
    meter.told(SAID)
    time.now += 4
    found = meter.now()
    assert found is not None
    assert (found.age, found.cpu_seconds, found.memory) == (4, 2.0, 110)
    assert (found.received, found.sent) == (4096, 2048)


def test_who_says_it_all_the_time_is_heard_once_a_second() -> None:
    time = Time()
    meter = time.meter()
    for turn in range(1000):
        time.now += 0.01
        meter.told({"cpu": turn, "memory": turn})
    assert time.reads <= 11


def test_what_was_said_long_ago_is_not_told() -> None:
    time = Time()
    meter = time.meter()
    meter.told(SAID)
    time.now += usage.GOOD_FOR + 1
    assert meter.now() is None


def test_a_gate_that_sees_nothing_of_its_own_tells_what_the_desktop_said() -> None:
    meter = Meter(lambda: 0.0, lambda: None, lambda: "no such\nthing\neth0: many 1 2 3 4 5 6 7 8")
    meter.told(SAID)
    found = meter.now()
    assert found is not None
    assert (found.cpu_seconds, found.memory, found.received) == (1.5, 100, 0)


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "much",
        {},
        {"cpu": 1},
        {"cpu": -1, "memory": 1},
        {"cpu": 1, "memory": 2**53},
        {"cpu": 10**400, "memory": 1},
        {"cpu": 1.5, "memory": 1},
        {"cpu": float("nan"), "memory": 1},
        {"cpu": True, "memory": 1},
        {"cpu": "1", "memory": 1},
    ],
)
def test_what_cannot_be_used_is_not_taken(said: Any) -> None:
    time = Time()
    meter = time.meter()
    meter.told(SAID)
    time.now += 2
    meter.told(said)
    found = meter.now()
    assert found is not None
    assert (found.age, found.memory, time.reads) == (2, 110, 1)
