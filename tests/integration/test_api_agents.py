"""Agents: let in once, drained, revoked, and never taken for another."""

import asyncio
import base64
from time import monotonic
from uuid import uuid4

import pytest

from porthole_contract.errors import Refused
from porthole_contract.link.greeting import new_key
from porthole_contract.link.reports import HomeObserved, Outcome
from porthole_control.agents import repository, service
from porthole_control.db import replicas
from porthole_control.homes import service as homes
from tests.support.control_plane import Agent, ControlPlane

AGENTS = "/api/v1/agents"


def a_key() -> str:
    return base64.b64encode(new_key().public_key().public_bytes_raw()).decode()


async def join_token(control_plane: ControlPlane, name: str = "one", **fields: object) -> str:
    made = await control_plane.admin.post(f"{AGENTS}/join-tokens", json={"name": name, **fields})
    return str(made.raise_for_status().json()["token"])


async def enrol(control_plane: ControlPlane, token: str, key: str):
    async with control_plane.client() as agent:
        return await agent.post(f"{AGENTS}/enrol", json={"token": token, "public_key": key})


async def test_a_join_token_lets_one_key_in_and_may_be_sent_again(control_plane: ControlPlane):
    token, key = await join_token(control_plane), a_key()
    first = await enrol(control_plane, token, key)
    assert (first.status_code, first.json()["name"]) == (200, "one")
    assert (await enrol(control_plane, token, key)).json() == first.json()
    other = await enrol(control_plane, token, a_key())
    assert (other.status_code, other.json()["code"]) == (403, "join_token_used")
    shown = await control_plane.admin.get(f"{AGENTS}/{first.json()['agent_id']}")
    assert (shown.json()["state"], shown.json()["linked"]) == ("enrolled", False)


async def test_bad_join_tokens_are_refused(control_plane: ControlPlane):
    expired = await join_token(control_plane, "late", lifetime="0s")
    answer = await enrol(control_plane, expired, a_key())
    assert (answer.status_code, answer.json()["code"]) == (403, "join_token_expired")
    for token in ("x", "phj_" + "0" * 32 + "_" + "0" * 64, expired[:-1] + "0"):
        answer = await enrol(control_plane, token, a_key())
        assert answer.status_code == 403
    good = await join_token(control_plane)
    for key in ("", "AAAA", "!" * 44, base64.b64encode(b"x" * 33).decode()):
        assert (await enrol(control_plane, good, key)).status_code == 422
    withdrawn = await control_plane.admin.post(f"{AGENTS}/join-tokens", json={"name": "two"})
    path = f"{AGENTS}/join-tokens/{withdrawn.json()['id']}"
    assert (await control_plane.admin.delete(path)).status_code == 204
    answer = await enrol(control_plane, withdrawn.json()["token"], a_key())
    assert (answer.status_code, answer.json()["code"]) == (403, "join_token_unknown")


async def test_names_and_keys_are_one_agents_only(control_plane: ControlPlane):
    key = a_key()
    await enrol(control_plane, await join_token(control_plane), key)
    taken = await control_plane.admin.post(f"{AGENTS}/join-tokens", json={"name": "one"})
    assert (taken.status_code, taken.json()["code"]) == (409, "agent_exists")
    again = await enrol(control_plane, await join_token(control_plane, "two"), key)
    assert (again.status_code, again.json()["code"]) == (409, "key_taken")


async def test_a_revoked_agent_stays_out_and_its_name_is_free(control_plane: ControlPlane):
    agent = await control_plane.agent()
    path = f"{AGENTS}/{agent.id}"
    assert (await control_plane.admin.delete(path)).status_code == 204
    assert (await control_plane.admin.get(path)).status_code == 404
    assert (await control_plane.admin.delete(path)).status_code == 404
    assert (await control_plane.admin.get(AGENTS)).json()["items"] == []
    await control_plane.agent("one")


async def test_draining_and_renaming(control_plane: ControlPlane):
    agent = await control_plane.agent()
    path = f"{AGENTS}/{agent.id}"
    drained = await control_plane.admin.patch(
        path, json={"draining": True, "name": "old", "labels": {"zone": "a"}}
    )
    assert (drained.json()["state"], drained.json()["name"]) == ("draining", "old")
    assert drained.json()["labels"] == {"zone": "a"}
    back = await control_plane.admin.patch(path, json={"draining": False})
    assert back.json()["state"] == "enrolled"
    other = await control_plane.agent("other")
    taken = await control_plane.admin.patch(f"{AGENTS}/{other.id}", json={"name": "old"})
    assert taken.status_code == 409


async def test_an_agent_that_speaks_for_another_place_is_not_believed(
    control_plane: ControlPlane,
):
    agent = await control_plane.agent()
    stranger = Agent(control_plane, agent.id, "one")
    with pytest.raises(Refused, match="now speaks for"):
        await stranger.describe(sessions=99)
    seen = (await control_plane.admin.get(f"{AGENTS}/{agent.id}")).json()
    assert seen["capacity"]["sessions"] == 10


async def test_links_of_a_replica_that_died_are_forgotten(control_plane: ControlPlane):
    agent = await control_plane.agent()
    async with control_plane.database.unit() as unit:
        await service.forget_dead_links(unit, silent_since=unit.now, unseen_since=unit.now)
    seen = (await control_plane.admin.get(f"{AGENTS}/{agent.id}")).json()
    assert not seen["linked"]


async def test_an_agent_that_dies_with_its_replica_is_noticed_within_fifteen_seconds(
    control_plane: ControlPlane,
):
    agent, dead = await control_plane.agent(), uuid4()
    async with control_plane.database.unit() as unit:
        await replicas.register(unit, dead)
        row = {"linked_replica": dead}
        await repository.change(unit.connection, agent.id, unit.now, **row)
    began = monotonic()
    async with asyncio.timeout(45):
        while (await control_plane.admin.get(f"{AGENTS}/{agent.id}")).json()["linked"]:
            await asyncio.sleep(0.2)
    assert monotonic() - began > 8, "a replica that is only slow is not dead"


async def see_home(control_plane: ControlPlane, agent: Agent, **fields: object) -> None:
    async with control_plane.database.unit() as unit:
        row = await repository.agent(unit.connection, agent.id)
        assert row is not None
        await homes.observed(unit, row, [HomeObserved.model_validate(fields)])


async def test_homes_are_seen_renamed_and_deleted(control_plane: ControlPlane):
    agent = await control_plane.agent()
    session = (
        await control_plane.admin.post(
            "/api/v1/sessions", json={"template": "desktop", "home": "work"}
        )
    ).json()
    path = f"/api/v1/homes/{session['home_id']}"
    await agent.run(session)
    told = {
        "home": session["home_id"],
        "owner": "admin",
        "size": 1 << 30,
        "holder": session["id"],
    }
    for known, used in (({"used": 4096}, 4096), ({}, None)):
        await see_home(control_plane, agent, **told, **known)
        seen = (await control_plane.admin.get(path)).json()
        assert (seen["agent"], seen["size_bytes"], seen["used_bytes"]) == ("one", 1 << 30, used)
    used = await control_plane.admin.delete(path)
    assert (used.status_code, used.json()["code"]) == (409, "home_in_use")
    renamed = await control_plane.admin.patch(path, json={"name": "Arbeit 📁"})
    assert renamed.json()["name"] == "Arbeit 📁"
    async with control_plane.user("bob") as bob:
        for answer in (await bob.get(path), await bob.delete(path)):
            assert answer.status_code == 404
    await control_plane.admin.delete(f"/api/v1/sessions/{session['id']}")
    await agent.obey()
    deleting = await control_plane.admin.delete(path)
    assert (deleting.status_code, deleting.json()["deleting"]) == (202, True)
    (claimed,) = await agent.claim()
    assert (claimed.kind, claimed.payload["home"]) == ("DeleteHome", session["home_id"])
    await agent.finish(claimed, outcome=Outcome.FAILED, code="busy")
    assert (await control_plane.admin.get(path)).status_code == 200
    await agent.link()
    async with control_plane.database.unit() as unit:
        await homes.deleted_by_agent(unit, agent.id, claimed.subject_id)
    assert (await control_plane.admin.get(path)).status_code == 404


async def test_a_home_nobody_ever_used_is_deleted_at_once(control_plane: ControlPlane):
    await control_plane.admin.post(
        "/api/v1/templates", json={"name": "mine", "spec": {"title": "Mine"}}
    )
    made = await control_plane.admin.post(
        "/api/v1/sessions", json={"template": "mine", "home": "work"}
    )
    await control_plane.admin.delete(f"/api/v1/sessions/{made.json()['id']}")
    answer = await control_plane.admin.delete(f"/api/v1/homes/{made.json()['home_id']}")
    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_home_that_we_did_not_know_is_taken_in(control_plane: ControlPlane):
    agent = await control_plane.agent()
    for number in (1, 2):
        await see_home(
            control_plane,
            agent,
            home=f"00000000-0000-7000-8000-00000000000{number}",
            owner="admin",
            name="work",
            size=5,
        )
    listed = (await control_plane.admin.get("/api/v1/homes")).json()["items"]
    names = {home["name"] for home in listed}
    assert "work" in names
    assert len(names) == 2
    # Somebody's whom this agent never had anything of: its enroller keeps it.
    await see_home(
        control_plane,
        agent,
        home="00000000-0000-7000-8000-000000000009",
        owner="bob",
        name="private",
        size=5,
    )
    listed = (await control_plane.admin.get("/api/v1/homes")).json()["items"]
    assert {home["owner"] for home in listed} == {"admin"}
    assert len(listed) == 3


async def test_another_agent_cannot_touch_a_home(control_plane: ControlPlane):
    agent = await control_plane.agent()
    session = (
        await control_plane.admin.post(
            "/api/v1/sessions", json={"template": "desktop", "home": "work"}
        )
    ).json()
    await agent.run(session)
    liar = await control_plane.agent("liar")
    await see_home(control_plane, liar, home=session["home_id"], owner="admin", size=1, gone=True)
    seen = await control_plane.admin.get(f"/api/v1/homes/{session['home_id']}")
    assert (seen.status_code, seen.json()["agent"]) == (200, "one")
