"""What agents tell, and what becomes of it: lost watches, restored copies, lies."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text, update

from porthole_contract.lifecycle import Phase
from porthole_contract.link.reports import Origin, Outcome, SessionEnded
from porthole_contract.session import Desired
from porthole_control.agents import repository as agents
from porthole_control.sessions.rules import HIGHEST_ORDER
from porthole_control.sessions.tables import sessions
from tests.support.control_plane import Agent, ControlPlane, event, observed, spec

SESSIONS = "/api/v1/sessions"


async def create(control_plane: ControlPlane, **fields: Any) -> dict[str, Any]:
    answer = await control_plane.admin.post(SESSIONS, json={"template": "desktop", **fields})
    session: dict[str, Any] = answer.raise_for_status().json()
    return session


async def show(control_plane: ControlPlane, session: dict[str, Any]) -> dict[str, Any]:
    answer = await control_plane.admin.get(f"{SESSIONS}/{session['id']}")
    seen: dict[str, Any] = answer.raise_for_status().json()
    return seen


async def long_ago(control_plane: ControlPlane, session: dict[str, Any]) -> None:
    """Have everything that is known of a session be a while old."""
    async with control_plane.database.unit() as unit:
        then = unit.now - timedelta(minutes=5)
        await unit.connection.execute(
            update(sessions).where(sessions.c.id == UUID(session["id"])).values(observed_at=then)
        )
        await unit.connection.execute(
            text("UPDATE sessions SET applied_at = :then WHERE id = :id AND applied_order > 0"),
            {"then": then, "id": UUID(session["id"])},
        )


async def running(control_plane: ControlPlane) -> tuple[Agent, dict[str, Any]]:
    agent = await control_plane.agent()
    session = await create(control_plane)
    await agent.run(session)
    return agent, session


async def test_what_its_runtime_decides_becomes_a_new_order(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    await agent.see(
        observed(session, phase=Phase.HIBERNATED, reason="Idle", desired=Desired.HIBERNATED)
    )
    seen = await show(control_plane, session)
    assert (seen["phase"], seen["desired"], seen["order"]) == ("Hibernated", "Hibernated", 2)
    (claimed,) = await agent.claim()
    assert claimed.payload["spec"]["desired"] == "Hibernated"
    # The same report again, under the old order: nothing new.
    await agent.see(
        observed(session, phase=Phase.HIBERNATED, reason="Idle", desired=Desired.HIBERNATED)
    )
    assert (await show(control_plane, session))["order"] == 2


async def test_an_order_on_its_way_is_not_overridden_by_an_old_report(
    control_plane: ControlPlane,
):
    agent, session = await running(control_plane)
    path = f"{SESSIONS}/{session['id']}"
    await control_plane.admin.patch(path, json={"desired": "Hibernated"})
    await agent.see(observed(session, desired=Desired.RUNNING))
    assert (await show(control_plane, session))["desired"] == "Hibernated"


async def test_reports_of_older_links_change_nothing(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    await agent.link()
    await agent.see(observed(session, phase=Phase.RUNNING, status={"viewers": 1}))
    await agent.see(observed(session, phase=Phase.STARTING), epoch=agent.epoch - 1)
    assert (await show(control_plane, session))["phase"] == "Running"


async def test_an_agent_is_not_believed_about_anothers_session(control_plane: ControlPlane):
    _, session = await running(control_plane)
    liar = await control_plane.agent("liar")
    await liar.see(observed(session, gone=True), observed(session, phase=Phase.FAILED))
    await liar.inventory(observed(session, phase=Phase.FAILED))
    seen = await show(control_plane, session)
    assert (seen["phase"], seen["agent"]) == ("Running", "one")


async def test_ended_where_it_runs_is_not_begun_again(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    await agent.see(observed(session, gone=True))
    seen = await show(control_plane, session)
    assert (seen["phase"], seen["reason"]) == ("Terminated", "DeletedInCluster")
    assert await agent.claim() == []


async def test_its_runtime_says_why_it_ended(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    await agent.see(observed(session, gone=True, reason="LifetimeOver", message="It lived for 8h."))
    seen = await show(control_plane, session)
    assert (seen["reason"], seen["message"]) == ("LifetimeOver", "It lived for 8h.")


async def test_an_inventory_without_it_ends_what_was_certainly_there(
    control_plane: ControlPlane,
):
    agent, session = await running(control_plane)
    await agent.inventory()
    # It was begun just now: the inventory may have been written down before.
    assert (await show(control_plane, session))["phase"] == "Running"
    await long_ago(control_plane, session)
    await agent.inventory()
    seen = await show(control_plane, session)
    assert (seen["phase"], seen["reason"]) == ("Terminated", "DeletedInCluster")


async def test_an_inventory_without_it_sends_again_what_never_arrived(
    control_plane: ControlPlane,
):
    agent = await control_plane.agent()
    session = await create(control_plane)
    (claimed,) = await agent.claim()
    await agent.inventory()
    assert await agent.claim() == [], "it is on its way still"
    async with control_plane.database.unit() as unit:
        await unit.connection.execute(text("DELETE FROM agent_commands"))
    await agent.inventory()
    (again,) = await agent.claim()
    assert (again.kind, again.order_no) == ("ApplySession", claimed.order_no)
    assert (await show(control_plane, session))["phase"] == "Pending"


async def test_an_inventory_remembers_why_a_session_ended(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    ended = SessionEnded(
        session=session["id"], order=1, reason="Idle", message="Unused.", at=datetime.now(UTC)
    )
    await agent.inventory(ended=[ended])
    assert (await show(control_plane, session))["reason"] == "Idle"


async def test_an_inventory_with_an_older_order_gets_the_newest_again(
    control_plane: ControlPlane,
):
    agent, session = await running(control_plane)
    path = f"{SESSIONS}/{session['id']}"
    await control_plane.admin.patch(path, json={"labels": {"a": "b"}})
    await agent.obey()
    await agent.inventory(observed(session))
    (again,) = await agent.claim()
    assert again.order_no == 2


async def test_what_ended_and_lives_is_ended_again(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    await agent.see(observed(session, gone=True))
    await agent.inventory(observed(session), observed(session))
    (claimed,) = await agent.claim()
    assert claimed.kind == "DeleteSession"
    assert claimed.order_no == 2


async def test_a_session_nobody_knew_is_adopted(control_plane: ControlPlane):
    agent = await control_plane.agent()
    unknown = {"id": str(uuid4()), "name": "k", "owner": "admin", "order": 3, "desired": "Running"}
    await agent.inventory(observed(unknown, origin=Origin.KUBECTL, spec=spec()))
    seen = await show(control_plane, unknown)
    assert (seen["origin"], seen["phase"], seen["order"]) == ("kubectl", "Running", 3)
    assert seen["foreign_owner"] is None
    # Its spec is kubectl's; `desired` and its end are ours too.
    path = f"{SESSIONS}/{unknown['id']}"
    refused = await control_plane.admin.patch(path, json={"labels": {"a": "b"}})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_ours")
    asleep = await control_plane.admin.patch(path, json={"desired": "Hibernated"})
    assert asleep.json()["order"] == 4
    (claimed,) = await agent.obey()
    assert claimed.payload["order"] == 4
    theirs = observed(
        unknown | {"order": 4},
        origin=Origin.KUBECTL,
        spec=spec(lifetime="1h", desired="Hibernated"),
        desired=Desired.HIBERNATED,
    )
    await agent.see(theirs)
    assert (await show(control_plane, unknown))["spec"]["lifetime"] == "1h"
    await control_plane.admin.delete(path)
    assert [one.kind for one in await agent.obey()] == ["DeleteSession"]


async def test_an_agent_may_not_give_sessions_to_whom_it_likes(control_plane: ControlPlane):
    agent = await control_plane.agent()
    async with control_plane.user("bob") as bob:
        planted = {
            "id": str(uuid4()),
            "name": "trap",
            "owner": "bob",
            "order": 1,
            "desired": "Running",
        }
        await agent.see(observed(planted, spec=spec("bob")))
        assert (await bob.get(SESSIONS)).json()["items"] == []
        seen = await show(control_plane, planted)
        assert (seen["owner"], seen["foreign_owner"]) == ("admin", "bob")
        assert "Foreign" in {condition["type"] for condition in seen["conditions"]}
        # Whom we gave it sessions of, it may report for.
        mine = (await bob.post(SESSIONS, json={"template": "desktop"})).json()
        await agent.run(mine)
        found = {**planted, "id": str(uuid4()), "name": "trap"}
        await agent.see(observed(found, spec=spec("bob")))
        assert len((await bob.get(SESSIONS)).json()["items"]) == 2


async def test_names_in_reports_never_make_them_fail(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    for _ in range(2):
        twin = {**session, "id": str(uuid4())}
        await agent.see(observed(twin, spec=spec()))
        assert (await show(control_plane, twin))["name"] == session["name"]


async def test_a_restored_copy_learns_the_newer_orders(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    ahead = {**session, "order": 7}
    await agent.see(observed(ahead, desired=Desired.HIBERNATED, spec=spec(desired="Hibernated")))
    seen = await show(control_plane, session)
    assert (seen["order"], seen["desired"]) == (7, "Hibernated")
    answer = await control_plane.admin.patch(
        f"{SESSIONS}/{session['id']}", json={"desired": "Running"}
    )
    assert answer.json()["order"] == 8


async def test_a_restored_copy_ends_what_it_was_ending(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    await control_plane.admin.delete(f"{SESSIONS}/{session['id']}")
    await agent.claim()
    await agent.see(observed({**session, "order": 9}))
    seen = await show(control_plane, session)
    assert (seen["phase"], seen["order"]) == ("Terminating", 10)


async def test_an_impossible_order_is_not_believed(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    await agent.see(observed({**session, "order": HIGHEST_ORDER + 1}))
    assert (await show(control_plane, session))["order"] == 1


async def test_a_session_given_away_before_the_copy_was_made_is_taken_in(
    control_plane: ControlPlane,
):
    agent = await control_plane.agent()
    session = await create(control_plane)
    async with control_plane.database.unit() as unit:
        await unit.connection.execute(text("DELETE FROM agent_commands"))
        await unit.connection.execute(text("UPDATE sessions SET agent_id = NULL"))
    await agent.inventory(observed(session))
    seen = await show(control_plane, session)
    assert (seen["agent"], seen["phase"]) == ("one", "Running")


async def test_a_refused_order_is_told_and_not_sent_for_ever(control_plane: ControlPlane):
    agent = await control_plane.agent()
    session = await create(control_plane)
    (claimed,) = await agent.claim()
    await agent.finish(
        claimed, outcome=Outcome.FAILED, code="no_loop_devices", message="No loop device is free."
    )
    seen = await show(control_plane, session)
    assert (seen["phase"], seen["message"]) == ("Failed", "No loop device is free.")
    await agent.inventory()
    assert await agent.claim() == []
    again = await control_plane.admin.patch(
        f"{SESSIONS}/{session['id']}", json={"labels": {"try": "again"}}
    )
    assert again.json()["phase"] == "Pending"
    assert len(await agent.claim()) == 1


async def test_an_end_that_failed_is_tried_again(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    await control_plane.admin.delete(f"{SESSIONS}/{session['id']}")
    (claimed,) = await agent.claim()
    await agent.finish(claimed, outcome=Outcome.FAILED, code="busy", message="Still mounted.")
    (command, _) = (await control_plane.admin.get("/api/v1/commands")).json()["items"]
    assert (command["state"], command["last_error"]) == ("pending", "busy: Still mounted.")
    assert (await show(control_plane, session))["phase"] == "Terminating"


async def test_an_end_that_failed_on_an_older_link_is_tried_again(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    await control_plane.admin.delete(f"{SESSIONS}/{session['id']}")
    (claimed,) = await agent.claim()
    await agent.link()
    await agent.finish(claimed, outcome=Outcome.FAILED, code="busy", message="Still mounted.")
    assert (await show(control_plane, session))["phase"] == "Terminating"
    assert [one.id for one in await agent.claim()] == [claimed.id]


async def test_what_its_runtime_tells_stands_in_its_story_once(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    words = "It was started again; its windows are gone."
    # On a clock that is ahead of ours.
    told = event("WindowsLost", words, datetime.now(UTC) + timedelta(minutes=1))
    for viewers in (0, 1):
        await agent.see(observed(session, events=(told,), status={"viewers": viewers}))
    story = (await control_plane.admin.get(f"{SESSIONS}/{session['id']}/events")).json()["items"]
    assert [one["reason"] for one in story if one["kind"] == "Told"] == ["WindowsLost"]
    assert [one["at"] for one in story] == sorted(one["at"] for one in story)


async def test_many_reports_at_once_count_in_their_order(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    ending, idle = await create(control_plane), await create(control_plane)
    for one in (ending, idle):
        await agent.run(one)
    new = {**session, "id": str(uuid4()), "name": "made-there"}
    lost, found = event("WindowsLost", "Its windows are gone."), event("Found", "They are back.")
    slept = {"phase": Phase.HIBERNATED, "reason": "Idle", "desired": Desired.HIBERNATED}
    before = await show(control_plane, session)
    await agent.see(
        observed(session, phase=Phase.STARTING, events=(lost,), status={"viewers": 1}),
        observed(ending, status={"viewers": 3}),
        observed(new, status={"viewers": 1}),
        observed(session, events=(lost, found), status={"viewers": 2}),
        observed(idle, **slept),
        observed(ending, gone=True),
        observed(new, status={"viewers": 4}),
        observed(idle, **slept, message="Nobody used it."),
        observed(ending, phase=Phase.RUNNING),
        observed(session, status={"viewers": 5}),
    )
    seen = await show(control_plane, session)
    assert (seen["phase"], seen["viewers"]) == ("Running", 5)
    assert seen["version"] > before["version"]
    assert (await show(control_plane, new))["viewers"] == 4
    seen = await show(control_plane, idle)
    assert (seen["order"], seen["message"]) == (2, "Nobody used it.")
    assert (await show(control_plane, ending))["phase"] == "Terminated"
    # What lives after its end is ended again; what its runtime decided is ordered.
    kinds = {(one.kind, str(one.subject_id)) for one in await agent.claim()}
    assert kinds == {("DeleteSession", ending["id"]), ("ApplySession", idle["id"])}
    story = (await control_plane.admin.get(f"{SESSIONS}/{session['id']}/events")).json()["items"]
    told = [(one["kind"], one["reason"] or one["phase"]) for one in story]
    assert told[-4:] == [
        ("Told", "WindowsLost"),
        ("Told", "Found"),
        ("PhaseChanged", "Starting"),
        ("PhaseChanged", "Running"),
    ]


async def test_what_an_agent_tells_of_itself_holds_up_no_order(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    async with control_plane.database.unit() as unit:
        assert await agents.locked(unit.connection, agent.id) is not None
        async with asyncio.timeout(5):
            answer = await control_plane.admin.patch(
                f"{SESSIONS}/{session['id']}", json={"desired": "Hibernated"}
            )
    assert answer.status_code == 202


async def test_a_revoked_agent_has_nothing_to_say(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    assert (await control_plane.admin.delete(f"/api/v1/agents/{agent.id}")).status_code == 204
    before = await show(control_plane, session)
    await agent.see(observed(session, phase=Phase.FAILED))
    assert (await show(control_plane, session))["phase"] == before["phase"]
    assert await agent.claim() == []


async def test_the_sessions_of_a_revoked_agent_end(control_plane: ControlPlane):
    agent, session = await running(control_plane)
    await control_plane.admin.delete(f"/api/v1/agents/{agent.id}")
    seen = await show(control_plane, session)
    assert (seen["phase"], seen["reason"]) == ("Terminated", "AgentRemoved")


async def test_conditions_say_whether_its_agent_can_be_reached(control_plane: ControlPlane):
    agent, session = await running(control_plane)

    async def reachable() -> str:
        conditions = (await show(control_plane, session))["conditions"]
        return next(c["status"] for c in conditions if c["type"] == "Reachable")

    assert await reachable() == "True"
    await agent.unlink()
    assert await reachable() == "False"
