"""RDP servers through the API: made, started as sessions, measured, stopped, started again."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from porthole_contract.lifecycle import Phase
from porthole_contract.link.reports import SessionUse, TemplateOffered
from porthole_contract.session import Protocol
from porthole_contract.template import SessionTemplateSpec
from porthole_control.rdp_servers import usage
from tests.support.control_plane import Agent, ControlPlane, a_control_plane, observed
from tests.support.postgres import TestDatabase

SERVERS = "/api/v1/rdp/servers"
RDP = TemplateOffered(
    name="rdp", spec=SessionTemplateSpec(title="RDP desktop", protocols=(Protocol.RDP,))
)
ASKED: dict[str, Any] = {
    "name": "Integration Test RDP Server",
    "description": "As the seed asks for it",
    "configuration": {
        "desktop_environment": "xfce",
        "resolution": "1920x1080",
        "color_depth": 24,
        "use_tls": True,
    },
    "resources": {
        "cpu_limit": 2.0,
        "memory_limit": 4096,
        "disk_limit": 20480,
        "network_bandwidth": 1000,
    },
}


@pytest.fixture
async def agent(control_plane: ControlPlane) -> Agent:
    return await control_plane.agent(templates=[RDP], protocols=("vnc", "rdp"), sessions=50)


async def made(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post(SERVERS, json={**ASKED, **changes})
    assert answer.status_code == 201, answer.text
    server: dict[str, Any] = answer.json()
    return server


async def acted(control_plane: ControlPlane, agent: Agent, server: str, action: str) -> Any:
    """Ask for something, and have the agent do what follows from it."""
    path = f"{SERVERS}/{server}"
    asking = asyncio.create_task(control_plane.admin.post(f"{path}/{action}"))
    while not asking.done():
        await asyncio.sleep(0.02)
        for claimed in await agent.obey():
            session = (
                await control_plane.admin.get(f"/api/v1/sessions/{claimed.payload['session']}")
            ).json()
            gone = claimed.kind == "DeleteSession"
            phase = Phase.TERMINATED if gone else Phase.RUNNING
            await agent.see(observed(session, phase=phase, gone=gone))
    answer = await asking
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_server_outlives_the_sessions_that_it_is(control_plane: ControlPlane, agent: Agent):
    admin = control_plane.admin
    server = await made(admin, user_id="admin")
    path = f"{SERVERS}/{server['server_id']}"
    assert (server["status"], server["user_id"]) == ("stopped", "admin")
    assert server["port"] in range(33890, 34000)
    assert (await admin.get(f"{path}/resources")).json() == ASKED["resources"]
    tested = (await admin.post(f"{path}/test-connection")).json()
    assert (tested["connection_available"], tested["port_open"]) == (False, False)

    started = await acted(control_plane, agent, server["server_id"], "start")
    assert started["status"] == "running"
    session = (await admin.get(f"/api/v1/sessions/{started['session_id']}")).json()
    assert session["template"] == "rdp"
    assert session["spec"]["display"]["width"] == 1920
    assert session["spec"]["resources"]["limits"]["memory"] == "4096Mi"
    services = (await admin.get(f"{path}/service-status")).json()
    assert (services["xrdp_status"], services["xrdp_sesman_status"]) == ("active", "active")
    (active,) = (await admin.get(f"{path}/sessions")).json()["active_sessions"]
    assert active["session_id"] == started["session_id"]
    again = await acted(control_plane, agent, server["server_id"], "start")
    assert again["session_id"] == started["session_id"]
    assert (await admin.get(f"{path}/status")).json()["status"] == "running"
    refused = await admin.delete(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "server_running")

    anew = await acted(control_plane, agent, server["server_id"], "restart")
    assert anew["status"] == "running"
    assert anew["session_id"] != started["session_id"]
    second = (await admin.get(f"/api/v1/sessions/{anew['session_id']}")).json()
    assert second["home_id"] == session["home_id"]

    stopped = await acted(control_plane, agent, server["server_id"], "stop")
    assert stopped["status"] == "stopped"
    assert stopped["stopped_at"] is not None
    assert (await admin.get(f"{path}/sessions")).json()["active_sessions"] == []
    kept = (await admin.get(path)).json()
    assert (kept["status"], kept["port"]) == ("stopped", server["port"])
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(path)).status_code == 404
    homes = (await admin.get("/api/v1/homes")).json()["items"]
    assert [home["name"] for home in homes] == [server["home"]]


async def test_its_home_stays_its_home_whatever_it_is_called(
    control_plane: ControlPlane, agent: Agent
):
    admin = control_plane.admin
    server = await made(admin)
    path = f"{SERVERS}/{server['server_id']}"
    first = await acted(control_plane, agent, server["server_id"], "start")
    home = (await admin.get(f"/api/v1/sessions/{first['session_id']}")).json()["home_id"]
    renamed = await admin.patch(f"/api/v1/homes/{home}", json={"name": "office"})
    assert renamed.status_code == 200, renamed.text
    assert (await admin.get(path)).json()["home"] == "office"
    anew = await acted(control_plane, agent, server["server_id"], "restart")
    session = (await admin.get(f"/api/v1/sessions/{anew['session_id']}")).json()
    assert (session["home_id"], session["home"]) == (home, "office")
    # Once its owner has deleted it, it gets another one.
    await acted(control_plane, agent, server["server_id"], "stop")
    assert (await admin.delete(f"/api/v1/homes/{home}")).is_success
    await agent.obey()
    assert (await admin.get(path)).json()["home"] == server["home"]
    third = await acted(control_plane, agent, server["server_id"], "start")
    session = (await admin.get(f"/api/v1/sessions/{third['session_id']}")).json()
    assert session["home_id"] != home


async def test_one_who_may_have_no_more_sessions_may_restart(
    test_database: TestDatabase, tmp_path: Path
):
    async with a_control_plane(test_database, tmp_path / "home", sessions_per_owner=1) as running:
        agent = await running.agent(templates=[RDP], protocols=("vnc", "rdp"))
        server, other = [await made(running.admin, name=name) for name in ("one", "other")]
        first = await acted(running, agent, server["server_id"], "start")
        anew = await acted(running, agent, server["server_id"], "restart")
        assert anew["status"] == "running"
        assert anew["session_id"] != first["session_id"]
        refused = await running.admin.post(f"{SERVERS}/{other['server_id']}/start")
        assert (refused.status_code, refused.json()["code"]) == (409, "too_many_sessions")


async def test_ports_and_pages_are_each_owners(control_plane: ControlPlane, agent: Agent):
    del agent
    admin = control_plane.admin
    servers = await asyncio.gather(*(made(admin, name=f"server {n}") for n in range(10)))
    assert len({server["port"] for server in servers}) == 10
    key = {"Idempotency-Key": str(uuid4())}
    twice = [await admin.post(SERVERS, json=ASKED, headers=key) for _ in range(2)]
    assert twice[0].json() == twice[1].json()
    page = (await admin.get(SERVERS, params={"page": 2, "limit": 4})).json()
    assert len(page["servers"]) == 4
    assert page["pagination"] == {"page": 2, "limit": 4, "total": 11, "pages": 3}
    path = f"{SERVERS}/{servers[0]['server_id']}"
    async with control_plane.user("bob") as bob:
        for answer in (
            await bob.get(path),
            await bob.put(path, json={"name": "mine"}),
            await bob.post(f"{path}/start"),
            await bob.post(f"{path}/test-connection"),
            await bob.get(f"{path}/usage"),
            await bob.delete(path),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert (await bob.get(SERVERS)).json()["servers"] == []
        forged = await bob.post(SERVERS, json={**ASKED, "user_id": "admin"})
        assert forged.status_code == 403
    async with control_plane.user("reader", scopes=["read"]) as reader:
        assert (await reader.post(f"{path}/start")).status_code == 403
    unknown = f"{SERVERS}/{uuid4()}"
    assert (await admin.get(unknown)).status_code == 404
    assert (await admin.post(f"{unknown}/start")).status_code == 404


async def test_what_is_configured_holds_from_the_next_start(
    control_plane: ControlPlane, agent: Agent
):
    admin = control_plane.admin
    server = await made(admin)
    path = f"{SERVERS}/{server['server_id']}"
    change = {"desktop_environment": "gnome", "resolution": "2560x1440", "color_depth": 32}
    changed = await admin.put(f"{path}/configuration", json={**change, "use_tls": True})
    assert changed.status_code == 200
    found = (await admin.get(f"{path}/configuration")).json()
    assert found.items() >= change.items()
    refused = await admin.post(f"{path}/start")
    assert (refused.status_code, refused.json()["code"]) == (409, "configuration_not_available")
    assert "GNOME" in refused.json()["detail"]
    for wrong in (
        {"desktop_environment": "invalid"},
        {"resolution": "invalid"},
        {"color_depth": 999},
    ):
        answer = await admin.put(f"{path}/configuration", json=wrong)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    for wrong in ({"name": ""}, {"resources": {"cpu_limit": -1}}):
        assert (await admin.post(SERVERS, json={**ASKED, **wrong})).status_code == 400
    exposed = await admin.post(SERVERS, json={**ASKED, "expose": True})
    assert (exposed.status_code, exposed.json()["code"]) == (409, "expose_not_served")
    assert "porthole session connect" in exposed.json()["detail"]
    tag = (await admin.get(path)).headers["etag"]
    lxde = {"configuration": {"desktop_environment": "lxde"}}
    assert (await admin.put(path, json=lxde, headers={"If-Match": '"0"'})).status_code == 412
    assert (await admin.put(path, json=lxde, headers={"If-Match": tag})).status_code == 200
    started = await acted(control_plane, agent, server["server_id"], "start")
    session = (await admin.get(f"/api/v1/sessions/{started['session_id']}")).json()
    assert session["spec"]["display"]["height"] == 1440


async def test_what_a_server_uses_is_kept_and_judged(control_plane: ControlPlane, agent: Agent):
    admin = control_plane.admin
    server = await made(admin)
    path = f"{SERVERS}/{server['server_id']}"
    assert (await admin.get(f"{path}/usage")).json()["code"] == "server_not_running"
    started = await acted(control_plane, agent, server["server_id"], "start")
    session = UUID(started["session_id"])
    assert (await admin.get(f"{path}/usage")).json()["code"] == "usage_unknown"

    async def used(by: UUID = agent.id, **amounts: float) -> None:
        said = {"cpu_seconds": 1, "memory": 2**30, "disk": 2**20, "received": 10, "sent": 20}
        use = SessionUse.model_validate({"session": session, **said, **amounts})
        async with control_plane.database.unit() as unit:
            await usage.observed(unit, by, [use])

    await used(uuid4(), memory=2**33)  # who has not this session is not believed
    assert (await admin.get(f"{path}/usage")).json()["code"] == "usage_unknown"
    await used(age=9)
    await used(age=9.5, memory=1)  # it is not newer than what was told
    now = (await admin.get(f"{path}/usage")).json()
    assert (now["memory_percent"], now["network_in"], now["network_out"]) == (25, 10, 20)
    assert 0 <= now["cpu_percent"] <= 200
    history = (await admin.get(f"{path}/usage/history", params={"duration": "1h"})).json()
    assert len(history["usage_history"]) == 1
    told = datetime.fromisoformat(now["timestamp"])
    assert 8 < (datetime.now(UTC) - told).total_seconds() < 60
    assert (await admin.get(f"{path}/usage/history?duration=1y")).status_code == 400
    assert (await admin.get(f"{path}/alerts")).json() == {"active_alerts": [], "alert_history": []}
    await asyncio.sleep(usage.EVERY.total_seconds())
    await used(memory=4 * 2**30)
    (alert,) = (await admin.get(f"{path}/alerts")).json()["active_alerts"]
    assert (alert["resource_type"], alert["severity"], alert["resolved"]) == (
        "memory",
        "medium",
        False,
    )
    together = (await admin.get(f"{SERVERS}/statistics")).json()
    assert (together["running_servers"], together["active_alerts"]) == (1, 1)
    assert together["memory_bytes"] == 4 * 2**30
    await acted(control_plane, agent, server["server_id"], "stop")
    alerts = (await admin.get(f"{path}/alerts")).json()
    assert alerts["active_alerts"] == []
    assert alerts["alert_history"][0]["resolved"]


async def test_there_are_limits_and_there_must_be_an_agent(
    test_database: TestDatabase, tmp_path: Path
):
    async with a_control_plane(
        test_database, tmp_path / "home", rdp_servers_per_owner=1
    ) as control_plane:
        none = await control_plane.admin.post(SERVERS, json=ASKED)
        assert (none.status_code, none.json()["code"]) == (409, "no_agent")
        await control_plane.agent(templates=[RDP])
        await made(control_plane.admin)
        answer = await control_plane.admin.post(SERVERS, json=ASKED)
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_servers")
        assert "retry-after" in answer.headers
