"""RDP servers: what they are, what is refused, which port they get, what they use."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from porthole_contract.errors import Refused
from porthole_contract.lifecycle import Phase
from porthole_control.errors import Conflict
from porthole_control.people import rules as people_rules
from porthole_control.rdp_servers import rules
from porthole_control.rdp_servers.rules import Sample, ServerStatus, Used
from porthole_control.rdp_servers.schemas import (
    NewRdpServer,
    RdpConfiguration,
    RdpResources,
    RdpUsageOut,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)
USUAL: dict[str, Any] = RdpResources().model_dump()


def test_every_phase_is_a_status():
    assert {rules.status_of(phase) for phase in Phase} == set(ServerStatus)
    assert rules.status_of(None) is ServerStatus.STOPPED


def test_one_that_sleeps_and_is_to_run_is_being_started():
    assert rules.status_of("Hibernated", "Hibernated") is ServerStatus.STOPPED
    assert rules.status_of("Hibernated", "Running") is ServerStatus.STARTING
    assert rules.status_of("Running", "Hibernated") is ServerStatus.RUNNING


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"desktop_environment": "gnome"}, "GNOME"),
        ({"desktop_environment": "kde"}, "KDE"),
        ({"use_tls": False}, "TLS"),
        ({"audio_enabled": False}, "Sound"),
        ({"clipboard_enabled": False}, "clipboard"),
        ({"drive_redirection": True}, "drives"),
        ({"printer_redirection": True}, "Printers"),
    ],
)
def test_what_cannot_be_had_is_refused_in_a_sentence(change: dict[str, Any], word: str):
    rules.check_startable(RdpConfiguration().model_dump())
    with pytest.raises(Refused, match=word) as refused:
        rules.check_startable(RdpConfiguration(**change).model_dump())
    assert refused.value.code == "configuration_not_available"


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 256},
        {"name": "x", "resources": {"cpu_limit": -1}},
        {"name": "x", "resources": {"memory_limit": 0}},
        {"name": "x", "resources": {"memory_limit": 600}},
        {"name": "x", "resources": {"disk_limit": -100}},
        {"name": "x", "configuration": {"resolution": "invalid"}},
        {"name": "x", "configuration": {"resolution": "319x240"}},
        {"name": "x", "configuration": {"resolution": "7680x4321"}},
        {"name": "x", "configuration": {"color_depth": 999}},
        {"name": "x", "configuration": {"desktop_environment": "cde"}},
        {"name": "x", "unknown": 1},
    ],
)
def test_what_is_not_as_it_must_be(body: dict[str, Any]):
    with pytest.raises(ValidationError):
        NewRdpServer.model_validate(body)


@pytest.mark.parametrize("resolution", ["320x240", "999x1080", "7680x4320", "1001x703"])
def test_every_size_of_a_screen_may_be_asked_for(resolution: str):
    asked = RdpConfiguration(resolution=resolution)
    assert "x".join(map(str, rules.size_of(asked.resolution))) == resolution


def test_a_server_becomes_a_session():
    resources = {**USUAL, "cpu_limit": 0.1}
    spec = rules.spec_of(RdpConfiguration().model_dump(), resources, "home")
    assert spec == {
        "protocol": "rdp",
        "display": {"width": 1920, "height": 1080},
        "resources": {
            "requests": {"cpu": "50m", "memory": "192Mi"},
            "limits": {"cpu": "100m", "memory": "4096Mi", "storage": "20480Mi"},
        },
        "home": "home",
    }


def test_ports_go_round_and_run_out():
    assert rules.free_port(set(), None) == 33890
    assert rules.free_port({33890}, 33890) == 33891
    assert rules.free_port({33999}, 33999) == 33890
    assert rules.free_port(set(rules.PORTS) - {33950}, 33950) == 33950
    with pytest.raises(Refused) as refused:
        rules.free_port(set(rules.PORTS), 33900)
    assert refused.value.code == "ports_exhausted"


def used(session: UUID = ONE, cpu: float = 10.0, carried: int = 0) -> Used:
    return Used(session, cpu, 2**30, 2**30, carried, 0)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_sample_counts_from_the_one_before():
    first = rules.sampled(used(carried=1000), after(20), None, NOW, 2)
    assert first.cpu_percent == 50
    assert first.network_mbps == pytest.approx(0.0004, abs=0.001)
    second = rules.sampled(used(cpu=20, carried=1000 + 12_500_000), after(30), first, NOW, 2)
    assert (second.cpu_percent, second.network_mbps) == (100, 10)


def test_a_desktop_that_was_begun_again_counts_from_nothing():
    before = rules.sampled(used(cpu=100, carried=10**9), after(100), None, NOW, 2)
    again = rules.sampled(used(cpu=1), after(110), before, NOW, 2)
    assert (again.cpu_percent, again.network_mbps) == (10, 0)
    other = rules.sampled(used(TWO, cpu=1), after(120), before, after(110), 2)
    assert other.cpu_percent == 10


def test_of_what_was_begun_again_in_part_nothing_is_counted_twice():
    before = rules.sampled(used(cpu=100, carried=10**9), after(100), None, NOW, 2)
    again = rules.sampled(used(cpu=90, carried=10**9 + 1_250_000), after(110), before, NOW, 2)
    assert (again.cpu_percent, again.network_mbps) == (0, 1)
    later = rules.sampled(used(cpu=95, carried=10**9 + 1_250_000), after(120), again, NOW, 2)
    assert later.cpu_percent == 50


def test_what_is_no_measure_is_a_number_nevertheless():
    most = rules.sampled(used(cpu=1.7e308, carried=2**63 - 1), NOW, None, NOW, 2)
    assert 0 < 50 * most.cpu_percent < 1e12
    assert 0 < most.network_mbps < 1e12


def sample(**changes: Any) -> Sample:
    values = dict.fromkeys(Sample.__dataclass_fields__, 0) | {"at": NOW, "session_id": ONE}
    return Sample(**values | changes)


def test_what_is_told_is_never_more_than_the_limits():
    out = RdpUsageOut.of(sample(cpu_percent=950.0, memory_bytes=2**40), USUAL)
    assert (out.cpu_percent, out.memory_percent) == (200, 100)


def test_an_alert_begins_above_and_ends_well_below():
    def judged(percent: float, open_now: set[str]) -> tuple[list[str], set[str]]:
        shares = rules.shares(sample(cpu_percent=2 * percent), USUAL)
        raised, over = rules.judge(shares, open_now)
        return [one.resource for one in raised], over

    assert judged(80, set()) == ([], set())
    assert judged(81, set()) == (["cpu"], set())
    assert judged(95, {"cpu"}) == ([], set())
    assert judged(71, {"cpu"}) == ([], set())
    assert judged(69, {"cpu"}) == ([], {"cpu"})
    disk = rules.judge(rules.shares(sample(disk_bytes=19 * 2**30), USUAL), set())[0]
    assert [(one.resource, one.severity) for one in disk] == [("disk", "critical")]


def test_a_port_can_be_had_where_the_agent_says_that_it_listens():
    rules.check_exposable("one", "local", {"rdp_listen": "127.0.0.1"})


@pytest.mark.parametrize(
    ("runtime", "capacity", "word"),
    [
        ("kubernetes", {"rdp_listen": None}, "In a cluster nothing listens"),
        ("local", {"rdp_listen": None}, "'one' does not say that it listens"),
        (None, {}, "'one' does not say that it listens"),
    ],
)
def test_elsewhere_the_sentence_names_the_other_way(
    runtime: str | None, capacity: dict[str, Any], word: str
):
    with pytest.raises(Conflict, match=word) as refused:
        rules.check_exposable("one", runtime, capacity)
    assert refused.value.code == "expose_not_served"
    assert "`porthole session connect SESSION --rdp`" in str(refused.value)


def test_of_a_session_s_conditions_one_is_about_its_port():
    ready = {"type": "Ready", "status": "True", "reason": "Drawn", "message": "It is."}
    words = {"type": "Exposed", "message": "So it is."}
    assert rules.port_condition([ready]) == (False, "")
    listens = {**words, "status": "True", "reason": "Listening"}
    assert rules.port_condition([ready, listens]) == (True, "")
    taken = {**words, "status": "False", "reason": "PortUnavailable"}
    assert rules.port_condition([ready, taken]) == (False, "So it is.")
    starts = {**words, "status": "False", "reason": "Starting"}
    assert rules.port_condition([starts]) == (False, "")


def test_a_password_can_be_typed():
    made = people_rules.password(bytes(range(256)))
    assert len(set(made)) == 32
    assert not set(made) & set("0Oo1lI")
