"""What containers, networks and people are given: descriptions, made without a machine."""

import json
import signal
from uuid import UUID

import pytest

from porthole_agent.failpoints import NAMES
from porthole_agent.runtimes.local.decide import Seen
from porthole_agent.runtimes.local.egress import ruleset
from porthole_agent.runtimes.local.ids import BLOCK, block, take
from porthole_agent.runtimes.local.makers import (
    Places,
    desktop_container,
    desktop_identity,
    gate_container,
    hostname,
    supervisor_config,
)
from porthole_agent.runtimes.local.oci import Container, configuration
from porthole_agent.runtimes.local.offers import own_templates
from porthole_agent.runtimes.local.ourselves import SUPERVISOR, Ourselves
from porthole_agent.runtimes.local.room import Room
from porthole_agent.runtimes.local.rootfs import NEVER, desktop_root, etc_names
from porthole_agent.runtimes.local.seccomp import profile
from porthole_agent.runtimes.local.status import observation, with_conditions
from porthole_contract.conditions import Reason
from porthole_contract.effective import resolve
from porthole_contract.errors import Refused
from porthole_contract.failpoints import Failpoints
from porthole_contract.lifecycle import Phase
from porthole_contract.template import Egress, EgressMode
from tests.support.local_records import NOW, a_record, a_spec, a_template, alive, seen

OURSELVES = Ourselves(
    gate_python="/srv/porthole/.venv/bin/python",
    gate_paths=("/srv/porthole/.venv", "/srv/porthole/desktop/porthole_desktop"),
    desktop_python="/usr/bin/python3.11",
    desktop_paths=(),
    supervisor="/srv/porthole/desktop/porthole_desktop/supervisor",
)
PLACES = Places(
    desktop_root="/h/s/desktop-root",
    gate_root="/h/s/gate-root",
    desktop_config="/h/s/desktop-config",
    gate_config="/h/s/gate-config",
    sockets="/h/s/shared/sockets",
    gate_sockets="/h/s/private/gate",
    namespace="/h/s/netns",
    device="/dev/loop3",
    etc=("fonts", "ssl"),
    caches=(),
    open_files=20000,
)


def desktop(**fields):
    record = a_record(**fields)
    effective = resolve(record.spec, record.template.spec)
    return desktop_container(record, effective, PLACES, OURSELVES, kept=3)


def both() -> list[Container]:
    return [desktop(), gate_container(a_record(), PLACES, OURSELVES)]


def targets(container: Container) -> dict[str, dict]:
    return {mount["destination"]: mount for mount in configuration(container)["mounts"]}


class TestContainers:
    @pytest.mark.parametrize("container", both(), ids=["desktop", "gate"])
    def test_have_no_privilege_at_all(self, container):
        made = configuration(container)
        process = made["process"]
        assert process["noNewPrivileges"] is True
        assert not any(process["capabilities"].values())
        assert process["user"]["uid"] >= 2_000_000
        assert made["root"]["readonly"] is True
        kinds = {namespace["type"] for namespace in made["linux"]["namespaces"]}
        assert kinds == {"pid", "mount", "ipc", "uts", "cgroup", "network"}
        assert made["linux"]["resources"]["devices"] == [{"allow": False, "access": "rwm"}]
        assert made["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ALLOW"
        for mount in made["mounts"]:
            assert "nosuid" in mount["options"]
            if mount["type"] == "bind":
                assert "nodev" in mount["options"]
        json.dumps(made)

    def test_may_write_only_where_it_is_meant(self):
        writable = {
            target
            for target, mount in targets(desktop()).items()
            if mount["type"] == "bind" and "rw" in mount["options"]
        }
        assert writable == {"/run/porthole"}
        writable = {
            target
            for target, mount in targets(both()[1]).items()
            if mount["type"] == "bind" and "rw" in mount["options"]
        }
        assert writable == {"/run/gate"}

    def test_the_gate_has_an_empty_network_and_the_desktop_its_own(self):
        desk, gate = (configuration(one)["linux"]["namespaces"] for one in both())
        assert {"type": "network", "path": "/h/s/netns"} in desk
        assert {"type": "network"} in gate

    def test_the_two_are_different_people_who_share_one_group(self):
        desk, gate = both()
        assert desk.uid != gate.uid
        assert desk.groups == (gate.gid,)
        assert gate.groups == ()

    def test_limits_are_those_of_the_session_and_leave_no_swap(self):
        spec = a_spec(resources={"limits": {"cpu": "1500m", "memory": "1Gi"}})
        resources = configuration(desktop(spec=spec))["linux"]["resources"]
        assert resources["memory"] == {"limit": 2**30, "swap": 2**30}
        assert resources["cpu"]["quota"] == 150_000
        assert resources["pids"]["limit"] > 0

    def test_nothing_in_memory_may_be_larger_than_half_of_its_memory(self):
        spec = a_spec(resources={"limits": {"memory": "512Mi"}, "requests": {"memory": "256Mi"}})
        for target in ("/tmp", "/dev/shm"):
            assert f"size={256 * 2**20}" in targets(desktop(spec=spec))[target]["options"]

    def test_the_supervisor_holds_the_locks_it_is_given(self):
        args = desktop().args
        assert args[3] == SUPERVISOR
        assert args[-6:] == ("--keep-fd", "3", "--keep-fd", "4", "--keep-fd", "5")

    def test_nothing_secret_is_said_in_arguments_or_environment(self):
        for container in both():
            assert not any("key" in word.lower() for word in container.env)
            assert not any("PRIVATE" in word for word in container.args)

    def test_the_32_bit_calls_are_refused_as_well(self):
        assert "SCMP_ARCH_X86" in profile("x86_64")["architectures"]
        assert "architectures" not in profile("riscv64")


class TestRoot:
    def test_knows_no_other_users_and_no_addresses(self):
        record = a_record()
        effective = resolve(record.spec, record.template.spec)
        files = desktop_root(desktop_identity(record, effective), EgressMode.INTERNET).files
        names = [line.split(":")[0] for line in files["etc/passwd"].splitlines()]
        assert names == ["root", "user", "nobody"]
        assert files["etc/resolv.conf"] == "nameserver 10.0.2.3\n"
        assert "desktop-1" in files["etc/hosts"]

    def test_is_called_as_its_home_so_that_locks_of_browsers_stay_good(self):
        assert hostname(a_record(name="one", spec=a_spec(home="work"))) == "work"
        assert hostname(a_record(name="one")) == "one"
        odd = hostname(a_record(spec=a_spec(home="Mein Büro ☂")))
        assert odd.startswith("mein-buro-")

    def test_without_egress_there_is_nobody_to_ask_for_names(self):
        record = a_record()
        effective = resolve(record.spec, record.template.spec)
        files = desktop_root(desktop_identity(record, effective), EgressMode.NONE).files
        assert files["etc/resolv.conf"] == ""

    def test_never_shows_secrets_of_etc_whatever_a_package_brings(self):
        shown = etc_names(["shadow", "ssh", "sudoers", "foo"])
        assert "foo" in shown
        assert not NEVER & set(shown)

    def test_programs_and_wishes_reach_the_supervisor(self):
        template = a_template(programs=[{"name": "T", "command": ["xterm"], "autostart": True}])
        spec = a_spec(start="https://example.org", env=[{"name": "A", "value": "b"}])
        record = a_record(spec=spec, template=template)
        config = supervisor_config(record, resolve(spec, template), 6)
        assert config["programs"][0]["command"] == ["xterm"]
        assert config["start"] == "https://example.org"
        assert config["env"] == [{"name": "A", "value": "b"}]
        assert config["gate_uid"] == record.gate_uid


class TestEffective:
    def test_a_wish_wins_over_the_template_and_that_over_ours(self):
        template = a_template(defaults={"keyboard": "de", "timezone": "Europe/Berlin"})
        found = resolve(a_spec(timezone="Asia/Tokyo"), template)
        assert (found.keyboard, found.timezone, found.locale) == ("de", "Asia/Tokyo", "C.UTF-8")

    def test_variables_of_both_are_there_and_the_session_wins(self):
        template = a_template(defaults={"env": [{"name": "A", "value": "1"}, {"name": "B"}]})
        found = resolve(a_spec(env=[{"name": "A", "value": "2"}]), template)
        assert [(v.name, v.value) for v in found.env] == [("A", "2"), ("B", "")]

    @pytest.mark.parametrize(
        ("spec", "limits", "word"),
        [
            ({"resources": {"limits": {"memory": "4Gi"}}}, {"resources": {"memory": "2Gi"}}, "mem"),
            ({"resources": {"requests": {"cpu": "3"}}}, {"resources": {"cpu": "2"}}, "cpu"),
            ({"lifetime": "9h"}, {"lifetime": "8h"}, "8h"),
            ({"idle": {"after": "2h"}}, {"idleAfter": "1h"}, "1h"),
        ],
    )
    def test_a_wish_over_a_limit_is_refused_in_words(self, spec, limits, word):
        with pytest.raises(Refused, match=word):
            resolve(a_spec(**spec), a_template(limits=limits))

    def test_without_a_wish_the_limit_is_the_ceiling(self):
        limits = {"resources": {"memory": "1Gi"}, "lifetime": "8h", "idleAfter": "1h"}
        found = resolve(a_spec(), a_template(limits=limits))
        assert found.memory_limit == 2**30
        assert found.lifetime is not None
        assert found.lifetime.total_seconds() == 8 * 3600
        assert found.idle_after is not None

    def test_what_no_desktop_can_run_in_is_refused(self):
        with pytest.raises(Refused, match="memory"):
            resolve(a_spec(resources={"limits": {"memory": "1Mi"}}), a_template())

    def test_a_protocol_that_the_template_lacks_is_refused(self):
        with pytest.raises(Refused, match="rdp"):
            resolve(a_spec(protocol="rdp"), a_template())

    def test_a_desktop_speaks_all_that_its_template_lists(self):
        made = a_template(protocols=["vnc", "rdp"])
        assert resolve(a_spec(protocol="rdp"), made).protocols == ("vnc", "rdp")


class TestOverRdp:
    def test_there_is_a_place_where_its_programs_meet(self):
        record = a_record(template=a_template(protocols=["rdp"]))
        effective = resolve(record.spec, record.template.spec)
        made = desktop_container(record, effective, PLACES, OURSELVES, kept=3)
        options = targets(made)["/run/xrdp"]["options"]
        assert {"mode=0700", f"uid={record.desktop_uid}"} <= set(options)
        assert not any(configuration(made)["process"]["capabilities"].values())
        assert supervisor_config(record, effective, 6)["protocols"] == ["rdp"]
        assert "/run/xrdp" not in targets(desktop())


class TestEgress:
    def lines(self, **egress):
        text = ruleset(Egress.model_validate(egress), ["192.0.2.7", "2001:db8::7"])
        return [line.strip() for line in text.splitlines()]

    def test_the_internet_is_not_this_machine_nor_its_neighbours(self):
        lines = self.lines(mode="internet")
        for network in ("10.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10", "192.0.2.7"):
            assert any(f"ip daddr {network} reject" in line for line in lines)
        for network in ("fc00::/7", "fe80::/10", "64:ff9b::/32", "2001:db8::7"):
            assert any(f"ip6 daddr {network} reject" in line for line in lines)
        refused = max(i for i, line in enumerate(lines) if "reject" in line)
        assert lines.index("accept") > refused
        assert lines.index("ip daddr 10.0.2.3 udp dport 53 accept") < refused

    def test_none_is_none(self):
        lines = self.lines(mode="none")
        assert not any("dport" in line or line == "accept" for line in lines)

    def test_rules_allow_what_they_name_and_nothing_else(self):
        rules = [{"cidr": "10.1.2.3/16", "ports": [443, 80]}, {"cidr": "2001:db8::/32"}]
        lines = self.lines(mode="rules", rules=rules)
        assert "ip daddr 10.1.0.0/16 tcp dport { 80, 443 } accept" in lines
        assert "ip6 daddr 2001:db8::/32 accept" in lines
        assert "accept" not in lines
        assert any(line.startswith("reject") for line in lines)


class TestRoom:
    def test_says_what_is_short(self):
        want = resolve(a_spec(), a_template())
        assert Room(2, 2.0, 2**31).obstacle(want, [want]) is None
        for room, word in (
            (Room(1, 9.0, 2**40), "places"),
            (Room(9, 0.4, 2**40), "cores"),
            (Room(9, 9.0, 600 * 2**20), "memory"),
        ):
            obstacle = room.obstacle(want, [want])
            assert obstacle is not None
            assert word in obstacle.message
            assert obstacle.reason is Reason.NO_CAPACITY


class TestUids:
    def test_a_runtime_has_a_block_of_its_own(self):
        one, other = (block(UUID(int=n), 2_000_000, 10_000_000) for n in (5, 6))
        assert len(one) == BLOCK
        assert not set(one) & set(other)

    def test_a_freed_one_is_given_again_last(self):
        uids = range(100, 104)
        assert take(uids, {100}, None) == 101
        assert take(uids, {100}, 101) == 102
        assert take(uids, {100}, 103) == 101
        with pytest.raises(Refused):
            take(uids, set(uids), 101)


class TestStatus:
    def test_conditions_keep_the_time_of_their_last_change(self):
        record = a_record(Phase.RUNNING, reason=Reason.DRAWN)
        first = with_conditions(record, alive(record), NOW)
        later = with_conditions(first, alive(record), NOW.replace(hour=13))
        assert later.conditions == first.conditions
        blind = with_conditions(later, alive(record, gate=False), NOW.replace(hour=14))
        changed = {c.type for c in blind.conditions if c.last_transition_time.hour == 14}
        assert changed == {"GateReady", "Ready"}

    def test_a_gate_is_told_only_while_there_is_one(self):
        print_ = "a" * 64
        for phase, there in ((Phase.RUNNING, True), (Phase.HIBERNATED, False)):
            told = observation(a_record(phase, fingerprint=print_), viewers=2)
            assert (told.status.gate is not None) is there
            assert told.status.viewers == (2 if there else 0)

    def test_nothing_lives_by_itself(self):
        assert seen(a_record()) == Seen(effective=resolve(a_spec(), a_template()))


class TestOffers:
    def test_the_templates_that_come_with_us_can_be_read(self):
        assert [template.name for template in own_templates()] == [
            "browser",
            "desktop",
            "dual",
            "rdp",
        ]
        for template in own_templates():
            resolve(a_spec(), template.spec)


class TestFailpoints:
    def test_are_read_by_name_and_number(self):
        asked = Failpoints(NAMES, "local.create.journaled=kill:2")
        passes = [asked.due("local.create.journaled") for _ in range(3)]
        assert passes == [None, signal.SIGKILL, None]
        assert len(set(NAMES)) == len(NAMES)

    @pytest.mark.parametrize("setting", ["local.nowhere=kill:1", "x", "local.create.journaled=1"])
    def test_one_that_would_kill_nothing_is_an_error(self, setting):
        with pytest.raises(ValueError, match="NAME=kill:N"):
            Failpoints(NAMES, setting)
