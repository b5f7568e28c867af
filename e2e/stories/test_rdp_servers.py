"""An RDP server from nothing to a desktop that draws, stopped, and started again on its home."""

import time
from typing import Any

import httpx
import pytest

from e2e.support.instance import Instance, until
from e2e.support.outside import Desktop, cgroup_of

SERVERS = "/api/v1/rdp/servers"
LIMIT = 15.0
"""Seconds from idle until usable: three times the promise."""


def answered(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


@pytest.mark.timeout(180)
def test_a_server_is_started_drawn_stopped_and_started_again(instance: Instance) -> None:
    bearer = {"Authorization": f"Bearer {instance.token('servers')}"}
    with httpx.Client(base_url=instance.url, headers=bearer, timeout=70) as api:
        asked = {
            "name": "Office",
            "configuration": {"desktop_environment": "xfce", "resolution": "1001x703"},
            "resources": {"cpu_limit": 1.5, "memory_limit": 1024, "disk_limit": 1024},
        }
        server = answered(api.post(SERVERS, json=asked), 201)
        path = f"{SERVERS}/{server['server_id']}"
        assert server["status"] == "stopped"

        begun = time.monotonic()
        first = answered(api.post(f"{path}/start"))
        took = time.monotonic() - begun
        assert first["status"] == "running"
        assert took < LIMIT
        seen = answered(api.post(f"{path}/test-connection"))
        assert seen["connection_available"], seen
        assert seen["port_open"]
        assert (seen["resolution"], seen["drawn_percent"] > 99) == ("1001x703", True)
        print(f"running after {took:.2f} s, drawn over RDP within {seen['seconds']:.2f} s")

        # What it may use is what its container may, and what it uses is what that does.
        group = cgroup_of(first["session_id"])
        assert group is not None
        usage = until(
            lambda: _usage(api, path), 20, lambda: f"usage: {api.get(f'{path}/usage').text}"
        )
        assert 0 < usage["memory_percent"] <= 100
        assert 0 <= usage["cpu_percent"] <= 150
        assert usage["disk_percent"] > 0
        history = answered(api.get(f"{path}/usage/history", params={"duration": "1h"}))
        assert history["usage_history"]

        (Desktop.of(first["session_id"]).root / "home/user/kept").write_text("here")
        assert answered(api.post(f"{path}/stop"))["status"] == "stopped"
        assert cgroup_of(first["session_id"]) is None
        assert answered(api.get(path))["port"] == server["port"]
        missed = answered(api.post(f"{path}/test-connection"))
        assert not missed["connection_available"]

        again = answered(api.post(f"{path}/start"))
        assert again["status"] == "running"
        assert again["session_id"] != first["session_id"]
        assert Desktop.of(again["session_id"]).read("kept") == "here"
        answered(api.delete(path), 409)
        answered(api.post(f"{path}/stop"))
        answered(api.delete(path), 204)


def _usage(api: httpx.Client, path: str) -> Any:
    answer = api.get(f"{path}/usage")
    return answer.json() if answer.status_code == 200 else None
