"""An RDP server in a cluster: what it uses is what its pod does, and too much of it is an alert."""

import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.support.installed import Installed
from e2e.support.instance import until
from e2e.support.outside import processes_in_pod
from porthole_client import Porthole

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]

SERVERS = "/api/v1/rdp/servers"
ASKED = {
    "name": "Office",
    "configuration": {"desktop_environment": "xfce", "resolution": "1001x703"},
    "resources": {"cpu_limit": 1.5, "memory_limit": 512, "disk_limit": 1024},
}
MIB = 2**20
WORKS = 40
"""Seconds."""
GREEDY = f"""\
import os, time
held, end = os.urandom(370 * {MIB}), time.monotonic() + {WORKS}
while time.monotonic() < end:
    pass
"""


def test_what_a_server_in_the_cluster_uses_is_told_and_judged(installed: Installed) -> None:
    before = installed.things()
    token = installed.secret("porthole-administrator")["token"].decode("ascii")
    bearer = {"Authorization": f"Bearer {token}"}
    with (
        httpx.Client(
            base_url=installed.url, headers=bearer, timeout=70, verify=installed.trust
        ) as api,
        installed.client() as porthole,
    ):
        server = _answered(api.post(SERVERS, json=ASKED), 201)
        path = f"{SERVERS}/{server['server_id']}"
        started = _answered(api.post(f"{path}/start"))
        assert started["status"] == "running"
        session, begun = started["session_id"], time.monotonic()

        def usage() -> Any:
            answer = api.get(f"{path}/usage")
            return answer.json() if answer.status_code == 200 else None

        first = until(usage, 20, lambda: api.get(f"{path}/usage").text)
        print(f"{first} {time.monotonic() - begun:.1f} s after it ran")
        assert first["memory_bytes"] > 20 * MIB
        assert first["cpu_percent"] > 0
        assert first["network_in"] > 0

        # What is told is what the machine says of that pod.
        name = porthole.sessions.get(session).name
        pod = installed.pod(name)["metadata"]["uid"]
        later = until(
            lambda: (now := usage())["timestamp"] != first["timestamp"] and now,
            40,
            lambda: "a second sample",
        )
        held = _held(pod)
        print(f"{later}, and its containers hold {held / MIB:.0f} MiB")
        assert 0.6 * held < later["memory_bytes"] < 1.6 * held
        assert later["cpu_percent"] < 30, "nobody uses it"

        assert _answered(api.get(f"{path}/alerts"))["active_alerts"] == []
        works = threading.Thread(target=_work, args=(porthole, session))
        works.start()
        try:
            alert = until(
                lambda: _active(api, path).get("memory"),
                WORKS,
                lambda: str((usage(), _active(api, path))),
            )
            # How much of a core it gets is the affair of whoever else is on the machine.
            busy = until(
                lambda: (now := usage())["cpu_percent"] > 3 * later["cpu_percent"] + 10 and now,
                WORKS,
                lambda: str(usage()),
            )
        finally:
            works.join()
        print(f"{busy}: {alert['message']}")
        assert (alert["severity"], alert["current_value"] > 80) == ("medium", True)
        until(lambda: not _active(api, path), 60, lambda: str((usage(), _active(api, path))))

        _answered(api.post(f"{path}/stop"))
        assert api.get(f"{path}/usage").json()["code"] == "server_not_running"
        _answered(api.delete(path), 204)
        home = next(home for home in porthole.homes.list() if home.name == server["home"])
        porthole.homes.delete(home.id)
        until(lambda: installed.things() == before, 30, lambda: "nothing is left of it")


def _answered(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def _active(api: httpx.Client, path: str) -> dict[str, Any]:
    """Return the alerts that hold, by what they are about."""
    found = _answered(api.get(f"{path}/alerts"))["active_alerts"]
    return {one["resource_type"]: one for one in found}


def _work(porthole: Porthole, session: str) -> None:
    ran = porthole.sessions.exec(session, ["python3", "-c", GREEDY])
    assert ran.exit_code == 0, ran


def _held(pod: str) -> int:
    """Return the bytes that the containers of a pod hold, without files that could be dropped."""
    groups = set()
    for pid in processes_in_pod(pod):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in {"memory", ""}:
                groups.add(Path("/sys/fs/cgroup") / controllers / path.lstrip("/"))
    return sum(map(_held_by, groups))


def _held_by(group: Path) -> int:
    for held, dropped in (
        ("memory.usage_in_bytes", "total_inactive_file"),
        ("memory.current", "inactive_file"),
    ):
        if (group / held).exists() and "pause" not in group.name:
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            return int((group / held).read_text()) - int(stat[dropped])
    return 0
