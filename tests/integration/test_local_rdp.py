"""A desktop over RDP in its real containers: it runs, and nothing of it has a right or a secret."""

import json
import tempfile
from pathlib import Path

import pytest

from porthole_agent.runtimes.local.offers import own_templates
from porthole_contract.lifecycle import Phase
from tests.support.leftovers import Leftovers
from tests.support.local_runtime import CANNOT, a_runtime
from tests.support.rdp_client import RdpClient

pytestmark = pytest.mark.skipif(bool(CANNOT), reason=f"no desktops here: {CANNOT}")

OF_RDP = {"Xorg", "xrdp", "xrdp-chansrv"}


@pytest.fixture
def folder(tmp_path):
    before = Leftovers.of(tmp_path)
    yield tmp_path / "agent"
    left = Leftovers.of(tmp_path).new_since(before)
    assert not left, json.dumps(left, indent=1)


def status_of(pid: int) -> dict[str, str]:
    """Return the fields of a process's status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def test_it_runs_as_its_own_user_without_a_right(folder):
    spec = next(t.spec for t in own_templates() if t.name == "rdp")
    async with a_runtime(folder) as place:
        session = await place.create(template=spec)
        await place.until(session, Phase.RUNNING)
        running = place.processes(session)
        assert running.keys() >= OF_RDP
        for name in OF_RDP:
            status = status_of(running[name])
            assert int(status["Uid"].split()[0]) >= 2_000_000
            assert not any(int(status[f"Cap{kind}"], 16) for kind in ("Prm", "Eff", "Bnd", "Amb"))
            assert status["NoNewPrivs"] == "1"
        # The keys that Debian made up for this machine are nobody's in there.
        lies = "cat /etc/xrdp/rsakeys.ini /etc/xrdp/key.pem /etc/ssl/private/* /etc/shadow"
        assert place.inside(session, f"{lies} 2>/dev/null").stdout == ""
        (socket,) = folder.rglob("rdp.sock")
        with tempfile.TemporaryDirectory(prefix="ph-") as home, RdpClient(Path(home)) as client:
            near = Path(home) / "rdp.sock"  # the whole path is longer than a socket's may be
            near.symlink_to(socket)
            client.connect(str(near), "1000x700")
            client.wait_picture()
