"""What a hostile desktop may try on this machine: each thing here is tried from inside.

Two desktops of two owners run. Alice's does what it can; Bob's, and Porthole, are to notice
nothing.
"""

import asyncio
import contextlib
import json
import os
import socket
import threading

import pytest
import pytest_asyncio

from porthole_contract.lifecycle import Phase
from tests.support.leftovers import Leftovers
from tests.support.local_runtime import CANNOT, Place, a_runtime, the_desktop

pytestmark = [
    pytest.mark.skipif(bool(CANNOT), reason=f"no desktops here: {CANNOT}"),
    pytest.mark.asyncio(loop_scope="module"),
]

SMALL = {
    "requests": {"memory": "256Mi"},
    "limits": {"memory": "400Mi", "storage": "32Mi", "cpu": "1"},
}


class Two:
    """Two running desktops; `do` runs a script in Alice's."""

    def __init__(self, place: Place, alice, bob) -> None:
        self.place = place
        self.alice = alice
        self.bob = bob

    def do(self, script, seconds=20):
        done = self.place.inside(self.alice, script, seconds=seconds)
        return done.stdout + done.stderr

    async def check_bob(self):
        """Bob's desktop runs as before, and shows its screen."""
        found = await self.place.now(self.bob)
        assert (found.status.phase, found.status.restarts) == (Phase.RUNNING, 0)
        viewer = await self.place.view(self.bob)
        await viewer.refresh()
        viewer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory):
    top = tmp_path_factory.mktemp("isolation")
    before = Leftovers.of(top)
    async with a_runtime(top / "agent") as place:
        alice = await place.create(name="alices", owner="alice", resources=SMALL)
        bob = await place.create(name="bobs", owner="bob", resources=SMALL)
        await place.until(alice, Phase.RUNNING)
        await place.until(bob, Phase.RUNNING)
        place.inside(bob, "echo secret > ~/secret.txt; sync")
        yield Two(place, alice, bob)
    left = Leftovers.of(top).new_since(before)
    assert not left, json.dumps(left, indent=1)


async def test_it_has_no_privilege_and_can_get_none(two):
    said = two.do("id -u; grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp:' /proc/self/status")
    lines = said.splitlines()
    assert int(lines[0]) >= 2_000_000
    assert [line.split()[1] for line in lines if line.startswith("Cap")] == ["0" * 16] * 5
    assert "NoNewPrivs:\t1" in lines
    assert "Seccomp:\t2" in lines
    assert "uid=0" not in two.do("echo | su -c id; sudo -n id; setpriv --reuid 0 id; id")


async def test_it_sees_nothing_of_porthole_or_of_other_people(two):
    home = two.place.folder
    for path in (home, home.parent, "/root", "/home/bob", "/var/lib/porthole", "/work", "/srv"):
        said = two.do(f"ls -A {path} 2>&1")
        assert "No such file" in said or "denied" in said, (path, said)
    for path in ("/etc/shadow", "/etc/sudoers", "/etc/ssh", "/etc/crontab", "/etc/fstab"):
        assert "No such file" in two.do(f"ls {path} 2>&1")
    assert two.do("cut -d: -f1 /etc/passwd | sort | xargs").strip() == "nobody root user"
    found = two.do(
        "find / -xdev -name image.ext4 -o -xdev -name record.json 2>/dev/null; ls -A /home",
        seconds=90,
    )
    assert found.split() == ["user"]


async def test_it_sees_no_process_but_its_own_and_ends_no_other(two):
    pids = two.do("ls /proc | grep -E '^[0-9]+$' | wc -l")
    assert int(pids) < 40
    assert "porthole_desktop.gate" not in two.do("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    before = two.place.processes(two.bob)
    # All that it may signal: the shell that asks is spared.
    two.do("for pid in $(seq 2 4000); do [ $pid != $$ ] && kill -0 $pid 2>/dev/null; done")
    assert two.place.processes(two.bob) == before
    assert two.place.processes(two.alice, "gate")
    await two.check_bob()


async def test_it_cannot_look_at_anothers_display_or_gate(two):
    said = two.do("ls /run/porthole; ls -A /run /run/gate /run/gate-config 2>&1; ls /tmp/.X11-unix")
    assert "gate.sock" not in said
    assert "key.pem" not in said
    assert said.splitlines()[-1].startswith("X")
    assert "ecret" not in two.do("cat ~/../*/secret.txt 2>&1 | grep -v 'No such'")
    # Abstract sockets belong to network namespaces: there are none but its own X server's.
    names = two.do("grep -o '@.*' /proc/net/unix | sort -u").split()
    assert all(name.startswith("@/tmp/") for name in names)
    shared = two.do("stat -c '%a %U' /run/porthole; touch /run/porthole-config/x 2>&1")
    assert shared.startswith("2770 user")
    assert "ead-only" in shared


async def test_it_cannot_reach_the_kernel_or_devices(two):
    assert set(two.do("ls /dev").split()) <= {
        *("console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random"),
        *("shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"),
    }
    for script in (
        "mount -t tmpfs x /tmp",
        "unshare -m true",
        "chroot / true",
        "echo 1 > /proc/sys/kernel/panic",
        "echo h > /proc/sysrq-trigger",
        "mknod /tmp/d b 7 0",
        "dmesg",
        "ls /sys",
        "cat /dev/loop0",
        "nft list ruleset",
        "ip link set lo down",
    ):
        assert two.place.inside(two.alice, script).returncode, script
    assert two.do("cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c") == "0\n"


async def test_it_reaches_the_internets_names_but_no_machine_of_ours(two):
    listeners = [_Listener("127.0.0.1"), *(_Listener(address) for address in _own_addresses())]
    try:
        for listener in listeners:
            for address in {listener.address, "10.0.2.2", "127.0.0.1"}:
                said = two.do(_connect(address, listener.port), seconds=8)
                assert "refused" in said, (address, said)
            assert listener.met == 0
        for address in ("10.1.2.3", "192.168.1.1", "169.254.169.254", "100.64.0.1", "172.16.0.1"):
            assert "refused" in two.do(_connect(address, 80), seconds=8), address
        assert "open" in two.do(_connect("10.0.2.3", 53), seconds=8)
    finally:
        for listener in listeners:
            listener.close()


async def test_it_fills_its_own_volumes_and_nothing_else(two):
    free = os.statvfs(two.place.folder).f_bavail
    for where, most in (
        ("~", 32),
        ("/run/porthole", 4),
        ("$XDG_RUNTIME_DIR", 16),
        ("/tmp", 200),
        ("/dev/shm", 200),
    ):
        said = two.do(
            f"head -c 300M /dev/zero 2>&1 > {where}/fill; stat -c %s {where}/fill;"
            f" rm -f {where}/fill"
        )
        assert "No space left" in said, (where, said)
        assert int(said.split()[-1]) <= most * 2**20
    assert free - os.statvfs(two.place.folder).f_bavail < 64 * 2**20 / 4096
    await two.check_bob()


async def test_its_log_cannot_fill_the_machine(two):
    said = two.do("yes x 2>/dev/null | head -c 50M > /proc/1/fd/2; ls -l /proc/1/fd/2 2>&1")
    log = two.place.folder / "sessions" / str(two.alice) / "shared" / "desktop.log"
    assert log.stat().st_size <= 4 * 2**20, said
    assert len(await two.place.runtime.logs(two.alice)) < 2**20
    await two.check_bob()


async def test_it_has_so_many_processes_and_no_more(two):
    two.do("for i in $(seq 3000); do sleep 5 & done 2>/dev/null; wait", seconds=15)
    await two.check_bob()
    found = await two.place.now(two.alice)
    assert found is not None
    assert found.status.phase in {Phase.RUNNING, Phase.STARTING}


async def test_it_uses_so_much_memory_and_no_more(two):
    await two.place.until(two.alice, Phase.RUNNING)
    script = "python3 -c \"x = bytearray(10**9)\nx[::4096] = b'1' * len(x[::4096])\nprint('done')\""
    assert "done" not in two.do(script, seconds=60)
    await two.check_bob()
    await two.place.until(two.alice, Phase.RUNNING)


async def test_swapped_sockets_lead_nowhere(two):
    await two.place.until(two.alice, Phase.RUNNING)
    two.do(
        "cd /run/porthole; mv rfb.sock real.sock; ln -s /run/gate/gate.sock rfb.sock;"
        " mv supervisor.sock other.sock; ln -s /etc/passwd supervisor.sock"
    )
    with pytest.raises((EOFError, OSError, TimeoutError)):
        async with asyncio.timeout(5):
            await (await two.place.view(two.alice)).refresh(5)
    two.do("cd /run/porthole; rm *.sock; true")
    await two.check_bob()


async def test_the_gate_sees_less_still(two):
    # Bob's: Alice has just taken her own desktop's sockets away, and is begun again.
    said = two.place.inside(
        two.bob,
        "ls / | xargs; cat /proc/net/dev | wc -l; ls /home 2>&1; id -u; touch /run/porthole/x 2>&1",
        part="gate",
    )
    assert "No such file" in said.stdout
    assert "ead-only" in said.stdout
    assert "key" not in two.place.inside(two.bob, "env", part="gate").stdout


async def test_a_desktop_without_egress_reaches_nothing(tmp_path):
    async with a_runtime(tmp_path / "agent") as place:
        session = await place.create(template=the_desktop(egress={"mode": "none"}))
        await place.until(session, Phase.RUNNING)
        for address in ("10.0.2.3", "1.1.1.1"):
            said = place.inside(session, _connect(address, 53)).stdout
            assert "refused" in said
        assert place.inside(session, "ls /sys/class/net; cat /proc/net/dev").stdout.count(":") == 1


class _Listener:
    """Somebody on this machine who counts who comes."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.met = 0
        self._socket = socket.create_server((address, 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._socket.accept()[0].close()
                self.met += 1

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _own_addresses() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return []
        return [probe.getsockname()[0]]


def _connect(address: str, port: int) -> str:
    return (
        "python3 -c \"import socket\ntry: socket.create_connection(('"
        f"{address}', {port}), 4); print('open')\nexcept OSError as e: print('refused', e)\""
    )
