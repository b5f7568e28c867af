"""RDP servers with a port of their own: the password, the order to the agent, who came in."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from porthole_contract.conditions import Condition, ConditionType
from porthole_contract.link.commands import ApplySession
from porthole_contract.link.reports import StreamSeen
from porthole_control.rdp_servers.tables import rdp_servers
from porthole_control.streams.on_port import KEPT
from porthole_control.streams.tables import streams
from tests.integration.test_api_rdp_servers import ASKED, RDP, SERVERS, acted, made
from tests.support.control_plane import Agent, ControlPlane, observed

PAST = datetime.now(UTC) - timedelta(minutes=5)
LISTENING = "RDP programs reach it on its port, with its password."


@pytest.fixture
async def agent(control_plane: ControlPlane) -> Agent:
    return await control_plane.agent(
        templates=[RDP], protocols=("vnc", "rdp"), sessions=50, rdp_listen="127.0.0.1"
    )


def exposure(status: str, message: str = LISTENING) -> dict[str, Any]:
    """Return the part of a session's status that says how it is with its port."""
    reason = "Listening" if status == "True" else "PortUnavailable"
    told = Condition(
        type=ConditionType.EXPOSED,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=PAST,
    )
    gate = {"address": "local", "fingerprint": "ab" * 32}
    return {"conditions": (told,), "gate": gate}


async def ordered(agent: Agent) -> list[ApplySession]:
    """Return what the agent is to apply now."""
    return [
        ApplySession.model_validate(one.payload)
        for one in await agent.obey()
        if one.kind == "ApplySession"
    ]


async def session_of(control_plane: ControlPlane, server: dict[str, Any]) -> dict[str, Any]:
    shown = (await control_plane.admin.get(f"{SERVERS}/{server['server_id']}")).json()
    found: dict[str, Any] = (
        await control_plane.admin.get(f"/api/v1/sessions/{shown['session_id']}")
    ).json()
    return found


async def test_its_password_is_shown_once_and_its_hash_goes_to_the_agent(
    control_plane: ControlPlane, agent: Agent
):
    admin = control_plane.admin
    key = {"Idempotency-Key": str(uuid4())}
    asked = {**ASKED, "expose": True}
    server = (await admin.post(SERVERS, json=asked, headers=key)).json()
    again = await admin.post(SERVERS, json=asked, headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "already_done")
    path, password = f"{SERVERS}/{server['server_id']}", server["password"]
    assert (len(password), server["expose"], server["address"]) == (20, True, None)
    shown = (await admin.get(path)).text
    assert password not in shown
    assert "password" not in shown
    kept = hashlib.sha256(password.encode()).hexdigest()
    async with control_plane.database.reading() as unit:
        assert await unit.connection.scalar(select(rdp_servers.c.password)) == kept

    await admin.post(f"{path}/start", params={"wait": 0})
    (order,) = await ordered(agent)
    assert order.exposed is not None
    assert (order.exposed.port, order.exposed.password) == (server["port"], kept)
    session = await session_of(control_plane, server)
    assert kept not in str(session)
    queue = await admin.get("/api/v1/commands")
    assert kept not in queue.text

    await agent.see(observed(session, status=exposure("True")))
    running = (await admin.get(path)).json()
    assert running["address"] == f"127.0.0.1:{server['port']}"
    assert running["certificate"] == "ab" * 32

    # Renamed, it is the same port with the same password.
    assert (await admin.put(path, json={"name": "Another"})).json()["port"] == server["port"]
    why = "127.0.0.1:33890 cannot be listened on: something else on this machine listens there."
    await agent.see(observed(session, status=exposure("False", why)))
    for one in (path, f"{path}/status"):
        assert (await admin.get(one)).json()["message"] == why
    assert (await admin.get(path)).json()["address"] is None


async def test_another_password_is_ordered_at_once_and_none_as_well(
    control_plane: ControlPlane, agent: Agent
):
    admin = control_plane.admin
    server = await made(admin)
    path = f"{SERVERS}/{server['server_id']}"
    assert (server["password"], server["expose"]) == (None, False)
    await acted(control_plane, agent, server["server_id"], "start")

    key = {"Idempotency-Key": str(uuid4())}
    first = await admin.post(f"{path}/password", headers=key)
    assert first.status_code == 200
    again = await admin.post(f"{path}/password", headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "already_done")
    (order,) = await ordered(agent)
    assert order.exposed is not None
    told = hashlib.sha256(first.json()["password"].encode()).hexdigest()
    assert order.exposed.password == told

    second = (await admin.post(f"{path}/password")).json()
    assert second["password"] != first.json()["password"]
    assert second["version"] > first.json()["version"]
    (order,) = await ordered(agent)
    assert order.exposed is not None
    assert order.exposed.password != told

    hidden = await admin.delete(f"{path}/password")
    assert (hidden.status_code, hidden.json()["expose"]) == (200, False)
    (order,) = await ordered(agent)
    assert order.exposed is None
    assert (await admin.delete(f"{path}/password")).status_code == 200
    assert await ordered(agent) == []
    session = await session_of(control_plane, server)
    story = (await admin.get(f"/api/v1/sessions/{session['id']}/events")).json()["items"]
    told_of = [one["message"] for one in story if one["kind"] == "Changed"]
    assert [line.partition(" ")[0] for line in told_of] in (
        ["RDP", "RDP", "Nobody"],
        ["Nobody", "RDP", "RDP"],
    )


async def test_a_restart_keeps_port_and_password(control_plane: ControlPlane, agent: Agent):
    admin = control_plane.admin
    server = await made(admin, expose=True)
    await acted(control_plane, agent, server["server_id"], "start")
    before = await session_of(control_plane, server)
    await admin.post(f"{SERVERS}/{server['server_id']}/restart", params={"wait": 0})
    await agent.obey()
    await agent.see(observed(before, phase="Terminated", gone=True))
    session = await session_of(control_plane, server)
    assert session["id"] != before["id"]
    async with control_plane.database.reading() as unit:
        (found,) = (
            await unit.connection.execute(select(rdp_servers.c.port, rdp_servers.c.password))
        ).all()
    orders = await ordered(agent)
    kept = hashlib.sha256(server["password"].encode()).hexdigest()
    assert (found.port, found.password) == (server["port"], kept)
    assert all(one.exposed is not None and one.exposed.password == kept for one in orders)


async def test_where_nothing_listens_it_is_refused_in_a_sentence(control_plane: ControlPlane):
    admin = control_plane.admin
    offers = {"templates": [RDP], "protocols": ("vnc", "rdp")}
    cluster = await control_plane.agent("cluster", **offers, runtime="kubernetes")
    refused = await admin.post(SERVERS, json={**ASKED, "expose": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "expose_not_served")
    assert "In a cluster" in refused.json()["detail"]
    assert "porthole session connect" in refused.json()["detail"]
    there = await made(admin)
    refused = await admin.post(f"{SERVERS}/{there['server_id']}/password")
    assert (refused.status_code, refused.json()["code"]) == (409, "expose_not_served")

    silent = await control_plane.agent("silent", **offers)
    refused = await admin.post(SERVERS, json={**ASKED, "expose": True, "agent": "silent"})
    assert "'silent' does not say that it listens on ports" in refused.json()["detail"]
    assert "porthole session connect" in refused.json()["detail"]
    listening = await control_plane.agent("listening", **offers, rdp_listen="::1")
    assert (await made(admin, expose=True))["host"] == "listening"
    moved = await made(admin, expose=True, agent="listening")
    # It listens no more: what was exposed is not started.
    await listening.describe(**offers)
    refused = await admin.post(f"{SERVERS}/{moved['server_id']}/start")
    assert (refused.status_code, refused.json()["code"]) == (409, "expose_not_served")
    assert (await admin.delete(f"{SERVERS}/{moved['server_id']}/password")).status_code == 200
    started = await admin.post(f"{SERVERS}/{moved['server_id']}/start", params={"wait": 0})
    assert started.status_code == 202
    assert cluster.id != silent.id


@pytest.mark.usefixtures("agent")
async def test_who_may_not_connect_is_given_no_password(control_plane: ControlPlane):
    async with control_plane.user("ada", scopes=["read", "sessions"]) as ada:
        refused = await ada.post(SERVERS, json={**ASKED, "expose": True})
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
        server = await made(ada)
        path = f"{SERVERS}/{server['server_id']}/password"
        assert (await ada.post(path)).json()["code"] == "scope_missing"
        assert (await control_plane.admin.post(path)).status_code == 404
        assert (await control_plane.admin.delete(path)).status_code == 404


async def test_who_came_in_on_a_port_is_among_the_streams(
    control_plane: ControlPlane, agent: Agent
):
    admin = control_plane.admin
    server = await made(admin, expose=True)
    await acted(control_plane, agent, server["server_id"], "start")
    session = await session_of(control_plane, server)
    there = f"/api/v1/sessions/{session['id']}"
    one, two = (StreamSeen(stream=uuid4(), since=PAST) for _ in range(2))
    await agent.see(observed(session, streams=(one, two)))
    await agent.see(observed(session, streams=(one, two)))
    listed = (await admin.get(f"{there}/streams")).json()["items"]
    assert {row["id"] for row in listed} == {str(one.stream), str(two.stream)}
    assert {(row["state"], row["channel"], row["protocol"]) for row in listed} == {
        ("open", "rdp", "rdp")
    }
    # It is looked at: a connection test would throw them out.
    tested = await admin.post(f"{SERVERS}/{server['server_id']}/test-connection")
    assert (tested.status_code, tested.json()["code"]) == (409, "server_in_use")

    over = one.model_copy(
        update={
            "ended_at": PAST + timedelta(seconds=30),
            "reason": "viewer_left",
            "message": "The viewer closed the stream.",
            "to_viewer": 5000,
            "from_viewer": 70,
        }
    )
    for _ in range(2):
        await agent.see(observed(session, streams=(over,)))
    listed = (await admin.get(f"{there}/streams")).json()["items"]
    by_id = {UUID(row["id"]): row for row in listed}
    assert {row["state"] for row in listed} == {"closed"}
    assert by_id[one.stream]["closed_reason"] == "viewer_left"
    assert by_id[one.stream]["bytes_to_viewer"] == 5000
    assert by_id[two.stream]["closed_reason"] == "stream_cut"
    story = (await admin.get(f"{there}/events", params={"limit": 100})).json()["items"]
    kinds = [line["kind"] for line in story]
    assert (kinds.count("StreamOpened"), kinds.count("StreamClosed")) == (2, 2)
    assert any("after 30 s, 5000 bytes seen" in line["message"] for line in story)

    # Another session's agent says nothing of these, and an agent's stories are kept bounded.
    other = await made(admin)
    await acted(control_plane, agent, other["server_id"], "start")
    elsewhere = await session_of(control_plane, other)
    await agent.see(observed(elsewhere, streams=(over,)))
    assert (await admin.get(f"/api/v1/sessions/{elsewhere['id']}/streams")).json()["items"] == []
    for _ in range(KEPT // 20 + 2):
        many = tuple(over.model_copy(update={"stream": uuid4()}) for _ in range(20))
        await agent.see(observed(session, streams=many))
    async with control_plane.database.reading() as unit:
        rows = (await unit.connection.scalars(select(streams.c.id))).all()
    assert len(rows) <= KEPT + 20

    # With the session's end all are over.
    last = StreamSeen(stream=uuid4(), since=PAST)
    await agent.see(observed(session, streams=(last,)))
    await agent.see(observed(session, phase="Terminated", gone=True))
    async with control_plane.database.reading() as unit:
        open_ones = select(streams.c.id).where(streams.c.state != "closed")
        assert (await unit.connection.scalars(open_ones)).all() == []
