"""Sessions through the API: accepted, given away, changed, ended."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from porthole_contract.lifecycle import Phase
from porthole_contract.link.reports import TemplateOffered
from porthole_contract.session import Desired
from porthole_contract.template import Limits, SessionTemplateSpec
from tests.support.control_plane import ControlPlane, a_control_plane, observed
from tests.support.postgres import TestDatabase

SESSIONS = "/api/v1/sessions"


async def test_a_session_is_accepted_given_away_and_runs(control_plane: ControlPlane):
    agent = await control_plane.agent()
    answer = await control_plane.admin.post(SESSIONS, json={"template": "desktop"})
    assert answer.status_code == 202
    session = answer.json()
    assert answer.headers["location"] == f"{SESSIONS}/{session['id']}"
    assert (session["phase"], session["reason"], session["agent"]) == (
        "Pending",
        "Accepted",
        "one",
    )
    assert session["name"].startswith("desktop-")
    (claimed,) = await agent.claim()
    assert claimed.kind == "ApplySession"
    assert claimed.payload["session"] == session["id"]
    assert claimed.payload["order"] == 1
    await agent.finish(claimed)
    await agent.see(observed(session, phase=Phase.STARTING), observed(session))
    seen = (await control_plane.admin.get(f"{SESSIONS}/{session['id']}")).json()
    assert seen["phase"] == "Running"
    story = (await control_plane.admin.get(f"{SESSIONS}/{session['id']}/events")).json()
    assert [event["kind"] for event in story["items"]] == [
        "Created",
        "Assigned",
        "Queued",
        "Taken",
        "PhaseChanged",
        "PhaseChanged",
    ]


async def test_another_users_session_is_not_there(control_plane: ControlPlane):
    await control_plane.agent()
    made = (await control_plane.admin.post(SESSIONS, json={"template": "desktop"})).json()
    path = f"{SESSIONS}/{made['id']}"
    async with control_plane.user("bob") as bob:
        for answer in (
            await bob.get(path),
            await bob.patch(path, json={"desired": "Hibernated"}),
            await bob.delete(path),
            await bob.post(f"{path}/tickets", json={"mode": "view"}),
            await bob.get(f"{path}/events"),
            await bob.get(f"{path}/streams"),
        ):
            assert answer.status_code == 404
            assert answer.json()["code"] == "not_found"
        assert (await bob.get(SESSIONS)).json()["items"] == []
        mine = (await bob.post(SESSIONS, json={"template": "desktop"})).json()
    # An administrator is no owner either.
    assert (await control_plane.admin.get(f"{SESSIONS}/{mine['id']}")).status_code == 404


async def test_an_unknown_template_or_agent_is_refused(control_plane: ControlPlane):
    answer = await control_plane.admin.post(SESSIONS, json={"template": "nothing"})
    assert (answer.status_code, answer.json()["code"]) == (404, "template_unknown")
    await control_plane.agent()
    answer = await control_plane.admin.post(
        SESSIONS, json={"template": "desktop", "agent": "nobody"}
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "agent_unknown")


async def test_limits_of_the_template_hold(control_plane: ControlPlane):
    spec = SessionTemplateSpec(title="Short", limits=Limits(lifetime=timedelta(hours=1)))
    await control_plane.agent(templates=[TemplateOffered(name="short", spec=spec)])
    body = {"template": "short", "lifetime": "2h"}
    answer = await control_plane.admin.post(SESSIONS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "limit_exceeded")
    body["lifetime"] = "30m"
    assert (await control_plane.admin.post(SESSIONS, json=body)).status_code == 202


async def test_the_same_key_makes_one_session(control_plane: ControlPlane):
    await control_plane.agent()
    key = {"Idempotency-Key": str(uuid4())}
    body = {"template": "desktop"}
    answers = await asyncio.gather(
        *(control_plane.admin.post(SESSIONS, json=body, headers=key) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    other = await control_plane.admin.post(SESSIONS, json={**body, "name": "other"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    async with control_plane.user("bob") as bob:
        theirs = await bob.post(SESSIONS, json=body, headers=key)
        assert theirs.json()["id"] != answers[0].json()["id"]


async def test_names_are_unique_while_they_live(control_plane: ControlPlane):
    agent = await control_plane.agent()
    body = {"template": "desktop", "name": "work"}
    first = (await control_plane.admin.post(SESSIONS, json=body)).json()
    taken = await control_plane.admin.post(SESSIONS, json=body)
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    await agent.run(first)
    await control_plane.admin.delete(f"{SESSIONS}/{first['id']}")
    await agent.obey()
    assert (await control_plane.admin.post(SESSIONS, json=body)).status_code == 202


async def test_a_session_waits_for_an_agent_and_goes_on_by_itself(control_plane: ControlPlane):
    await control_plane.admin.post(
        "/api/v1/templates", json={"name": "mine", "spec": {"title": "Mine"}}
    )
    made = (await control_plane.admin.post(SESSIONS, json={"template": "mine"})).json()
    assert (made["phase"], made["reason"], made["agent"]) == ("Pending", "NoAgent", None)
    await control_plane.agent()
    await control_plane.until(f"{SESSIONS}/{made['id']}", agent="one")


async def test_capacity_and_draining_keep_sessions_waiting(control_plane: ControlPlane):
    agent = await control_plane.agent(sessions=1)
    first = (await control_plane.admin.post(SESSIONS, json={"template": "desktop"})).json()
    second = (await control_plane.admin.post(SESSIONS, json={"template": "desktop"})).json()
    assert (second["reason"], second["agent"]) == ("NoCapacity", None)
    await agent.run(first)
    await control_plane.admin.delete(f"{SESSIONS}/{first['id']}")
    await agent.obey()
    await control_plane.until(f"{SESSIONS}/{second['id']}", agent="one")
    await control_plane.admin.patch(f"/api/v1/agents/{agent.id}", json={"draining": True})
    third = (await control_plane.admin.post(SESSIONS, json={"template": "desktop"})).json()
    assert third["reason"] == "AgentDraining"


async def test_a_session_for_an_agent_out_of_reach_waits_in_the_queue(
    control_plane: ControlPlane,
):
    agent = await control_plane.agent()
    await agent.unlink()
    made = await control_plane.admin.post(SESSIONS, json={"template": "desktop"})
    assert made.status_code == 202
    session = made.json()
    assert session["reason"] == "AgentUnreachable"
    (command,) = (await control_plane.admin.get("/api/v1/commands")).json()["items"]
    assert (command["state"], command["kind"]) == ("pending", "ApplySession")
    await agent.link()
    assert [one.kind for one in await agent.obey()] == ["ApplySession"]


async def test_a_session_moves_on_if_another_agent_comes_first(control_plane: ControlPlane):
    first = await control_plane.agent("first")
    await first.unlink()
    session = (await control_plane.admin.post(SESSIONS, json={"template": "desktop"})).json()
    assert session["agent"] == "first"
    second = await control_plane.agent("second")
    await control_plane.until(f"{SESSIONS}/{session['id']}", agent="second")
    await first.link()
    assert await first.claim() == []
    assert len(await second.claim()) == 1


async def test_one_home_is_used_by_one_session_at_a_time(control_plane: ControlPlane):
    agent = await control_plane.agent()
    body = {"template": "desktop", "home": "work files"}
    first = (await control_plane.admin.post(SESSIONS, json=body)).json()
    second = (await control_plane.admin.post(SESSIONS, json=body)).json()
    assert first["home_id"] == second["home_id"]
    assert second["reason"] == "HomeInUse"
    assert first["name"] in second["message"]
    (claimed,) = await agent.obey()
    assert claimed.payload["home"] == first["home_id"]
    await control_plane.admin.delete(f"{SESSIONS}/{first['id']}")
    await agent.obey()
    await control_plane.until(f"{SESSIONS}/{second['id']}", agent="one")


async def test_changes_are_new_orders_and_take_each_others_place(control_plane: ControlPlane):
    agent = await control_plane.agent()
    session = (await control_plane.admin.post(SESSIONS, json={"template": "desktop"})).json()
    path = f"{SESSIONS}/{session['id']}"
    await agent.run(session)
    for width in (1000, 1100, 1200):
        answer = await control_plane.admin.patch(path, json={"display": {"width": width}})
        assert answer.status_code == 202
    assert answer.json()["order"] == 4
    assert answer.json()["spec"]["display"]["width"] == 1200
    (claimed,) = await agent.claim()
    assert claimed.order_no == 4
    states = [
        c["state"] for c in (await control_plane.admin.get("/api/v1/commands")).json()["items"]
    ]
    assert states == ["sent", "superseded", "superseded", "succeeded"]
    unchanged = await control_plane.admin.patch(path, json={"display": {"width": 1200}})
    assert unchanged.json()["order"] == 4


async def test_what_a_patch_takes_away_the_template_gives(control_plane: ControlPlane):
    spec = SessionTemplateSpec.model_validate(
        {"title": "T", "defaults": {"display": {"width": 800, "height": 600}, "lifetime": "8h"}}
    )
    await control_plane.agent(templates=[TemplateOffered(name="desktop", spec=spec)])
    body = {"template": "desktop", "lifetime": "1h", "display": {"width": 1920, "height": 1080}}
    session = (await control_plane.admin.post(SESSIONS, json=body)).json()
    path = f"{SESSIONS}/{session['id']}"
    answer = await control_plane.admin.patch(path, json={"lifetime": None, "display": None})
    assert answer.json()["spec"]["lifetime"] == "8h"
    assert answer.json()["spec"]["display"]["width"] == 800
    body = {"template": "desktop", "display": {"scale": 200}}
    display = (await control_plane.admin.post(SESSIONS, json=body)).json()["spec"]["display"]
    assert display == {"width": 800, "height": 600, "scale": 200}


async def test_if_match_keeps_two_writers_apart(control_plane: ControlPlane):
    await control_plane.agent()
    made = await control_plane.admin.post(SESSIONS, json={"template": "desktop"})
    path = f"{SESSIONS}/{made.json()['id']}"
    seen = (await control_plane.admin.get(path)).headers["etag"]
    good = await control_plane.admin.patch(
        path, json={"labels": {"a": "b"}}, headers={"If-Match": seen}
    )
    assert good.status_code == 202
    stale = await control_plane.admin.patch(
        path, json={"labels": {"a": "c"}}, headers={"If-Match": seen}
    )
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    stale = await control_plane.admin.delete(path, headers={"If-Match": seen})
    assert stale.status_code == 412


async def test_ending_is_told_to_the_agent_and_may_be_repeated(control_plane: ControlPlane):
    agent = await control_plane.agent()
    session = (await control_plane.admin.post(SESSIONS, json={"template": "desktop"})).json()
    path = f"{SESSIONS}/{session['id']}"
    await agent.run(session)
    for _ in range(2):
        answer = await control_plane.admin.delete(path)
        assert (answer.status_code, answer.json()["phase"]) == (202, "Terminating")
    (claimed,) = await agent.obey()
    assert claimed.kind == "DeleteSession"
    seen = (await control_plane.admin.get(path)).json()
    assert (seen["phase"], seen["reason"]) == ("Terminated", "Requested")
    assert (await control_plane.admin.get(SESSIONS)).json()["items"] == []
    ended = (await control_plane.admin.get(SESSIONS, params={"ended": True})).json()["items"]
    assert [one["id"] for one in ended] == [session["id"]]
    gone = await control_plane.admin.patch(path, json={"desired": "Running"})
    assert (gone.status_code, gone.json()["code"]) == (409, "session_ended")


async def test_a_session_that_no_agent_has_ends_at_once(control_plane: ControlPlane):
    await control_plane.admin.post(
        "/api/v1/templates", json={"name": "mine", "spec": {"title": "Mine"}}
    )
    made = (await control_plane.admin.post(SESSIONS, json={"template": "mine"})).json()
    answer = await control_plane.admin.delete(f"{SESSIONS}/{made['id']}")
    assert answer.json()["phase"] == "Terminated"


async def test_start_deadline_gives_up(control_plane: ControlPlane):
    await control_plane.admin.post(
        "/api/v1/templates", json={"name": "mine", "spec": {"title": "Mine"}}
    )
    made = await control_plane.admin.post(
        SESSIONS, json={"template": "mine", "start_deadline": "0s"}
    )
    path = f"{SESSIONS}/{made.json()['id']}"
    await control_plane.until(path, phase="Terminated", reason="StartDeadlinePassed")


async def test_lists_are_paged_and_filtered(control_plane: ControlPlane):
    agent = await control_plane.agent()
    made = [
        (await control_plane.admin.post(SESSIONS, json={"template": "desktop"})).json()
        for _ in range(5)
    ]
    await agent.run(made[0])
    found, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await control_plane.admin.get(SESSIONS, params=params)).json()
        found += [one["id"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == [one["id"] for one in reversed(made)]
    running = await control_plane.admin.get(SESSIONS, params={"phase": "Running"})
    assert [one["id"] for one in running.json()["items"]] == [made[0]["id"]]
    none = await control_plane.admin.get(SESSIONS, params={"agent": "other"})
    assert none.json()["items"] == []
    for bad in ("AAAA", "e30", "WzEsMl0"):
        answer = await control_plane.admin.get(SESSIONS, params={"cursor": bad})
        assert (answer.status_code, answer.json()["code"]) == (404, "cursor_unknown")


async def test_tickets_are_for_running_sessions_only(control_plane: ControlPlane):
    agent = await control_plane.agent()
    session = (await control_plane.admin.post(SESSIONS, json={"template": "desktop"})).json()
    path = f"{SESSIONS}/{session['id']}"
    early = await control_plane.admin.post(f"{path}/tickets", json={"mode": "control"})
    assert (early.status_code, early.json()["code"]) == (409, "session_not_running")
    await agent.run(session)
    ticket = await control_plane.admin.post(f"{path}/tickets", json={"mode": "control"})
    assert ticket.status_code == 201
    assert ticket.json()["url"].startswith("ws://127.0.0.1:8080/api/v1/streams/")
    odd = await control_plane.admin.post(f"{path}/tickets", json={"mode": "view", "channel": "x"})
    assert (odd.status_code, odd.json()["code"]) == (409, "channel_not_served")
    await agent.unlink()
    unreachable = await control_plane.admin.post(f"{path}/tickets", json={"mode": "view"})
    assert unreachable.status_code == 503
    assert "retry-after" in unreachable.headers
    await control_plane.admin.delete(path)
    over = await control_plane.admin.post(f"{path}/tickets", json={"mode": "view"})
    assert (over.status_code, over.json()["code"]) == (409, "session_ended")


async def test_hibernating_is_an_order_like_any_other(control_plane: ControlPlane):
    agent = await control_plane.agent()
    session = (await control_plane.admin.post(SESSIONS, json={"template": "desktop"})).json()
    path = f"{SESSIONS}/{session['id']}"
    await agent.run(session)
    asleep = (await control_plane.admin.patch(path, json={"desired": "Hibernated"})).json()
    assert (asleep["desired"], asleep["order"]) == ("Hibernated", 2)
    (claimed,) = await agent.obey()
    assert claimed.payload["spec"]["desired"] == "Hibernated"
    await agent.see(observed(asleep, phase=Phase.HIBERNATED))
    assert (await control_plane.admin.get(path)).json()["phase"] == "Hibernated"
    awake = (await control_plane.admin.patch(path, json={"desired": None})).json()
    assert awake["desired"] == Desired.RUNNING


async def test_an_owner_has_only_so_many_sessions(test_database: TestDatabase, tmp_path: Path):
    async with a_control_plane(test_database, tmp_path / "home", sessions_per_owner=2) as running:
        await running.agent()
        for _ in range(2):
            answer = await running.admin.post(SESSIONS, json={"template": "desktop"})
            assert answer.status_code == 202
        answer = await running.admin.post(SESSIONS, json={"template": "desktop"})
        assert (answer.status_code, answer.json()["code"]) == (409, "too_many_sessions")


async def test_what_no_agent_was_ever_told_of_ends_at_once(control_plane: ControlPlane):
    agent = await control_plane.agent()
    await agent.unlink()
    made = (await control_plane.admin.post(SESSIONS, json={"template": "desktop"})).json()
    assert made["agent"] == "one"
    ended = await control_plane.admin.delete(f"{SESSIONS}/{made['id']}")
    assert ended.json()["phase"] == "Terminated"
    await agent.link()
    assert await agent.claim() == []
