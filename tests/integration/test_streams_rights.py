"""Streams that are not opened, or do not go on: tickets, secrets, rights."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from websockets.exceptions import InvalidStatus

from porthole_contract.link.commands import OpenStream
from porthole_contract.link.reports import StreamRefused
from porthole_control.streams import asking, looking
from tests.support.postgres import TestDatabase
from tests.support.scripted_agent import ScriptedAgent, dial_back, view
from tests.support.served import Served, served
from tests.support.streaming import (
    SESSIONS,
    closing,
    echo,
    ended_stream,
    running_session,
    ticket,
    unlinked,
)


@pytest.fixture
async def one(test_database: TestDatabase, tmp_path: Path):
    async with served(test_database, tmp_path / "home") as running:
        yield running


@pytest.fixture
async def agent(one: Served):
    made = await ScriptedAgent.enrol(one.control_plane)
    async with made.linked(one.ws):
        made.describe()
        made.on_stream = echo
        yield made


async def end_of(url: str, **headers: str) -> tuple[int, str]:
    """Open a stream and return how it ends."""
    async with view(url, additional_headers=headers) as viewer:
        return await closing(viewer)


INVALID = (4007, "ticket_invalid: The ticket is unknown, too old or was used before.")


async def test_tickets_that_are_no_good(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    good = await ticket(one, session)
    base = f"{one.ws}/api/v1/streams"
    for wrong in ("x", "phv_", f"phv_{'0' * 32}_{'0' * 64}", f"{good[:-4]}0000", "%00", "é" * 500):
        assert await end_of(f"{base}/{wrong.rpartition('/')[2]}") == INVALID
    async with view(good) as viewer:
        # It is open before its ticket was looked at; of two, either may be the first.
        await viewer.send(b"there")
        assert await viewer.recv() == b"there"
        assert await end_of(good) == INVALID  # it is in use
        await viewer.send(b"still there")
        assert await viewer.recv() == b"still there"
    assert await end_of(good) == INVALID  # it was used


async def test_of_two_who_have_the_same_ticket_one_gets_nothing(one: Served, agent: ScriptedAgent):
    url = await ticket(one, await running_session(one, agent))

    async def try_it() -> str:
        async with view(url) as viewer:
            await viewer.send(b"me")
            try:
                return (await viewer.recv()).decode()
            except Exception:  # noqa: BLE001 - it was closed instead
                return str(viewer.close_code)

    assert sorted(await asyncio.gather(*(try_it() for _ in range(5)))) == ["4007"] * 4 + ["me"]


async def test_a_ticket_gets_old(test_database: TestDatabase, tmp_path: Path):
    lifetime = timedelta(milliseconds=100)
    async with served(test_database, tmp_path / "home", ticket_lifetime=lifetime) as one:
        agent = await ScriptedAgent.enrol(one.control_plane)
        async with agent.linked(one.ws):
            agent.describe()
            url = await ticket(one, await running_session(one, agent))
            await asyncio.sleep(0.2)
            assert await end_of(url) == INVALID


async def test_pages_of_other_sites_open_nothing(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    with pytest.raises(InvalidStatus) as caught:
        await end_of(await ticket(one, session), Origin="https://evil.example")
    assert caught.value.response.status_code == 403
    async with view(await ticket(one, session), additional_headers={"Origin": one.url}) as viewer:
        await viewer.send(b"ours")
        assert await viewer.recv() == b"ours"


async def test_a_ticket_of_a_session_that_has_ended(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    url = await ticket(one, session)
    await one.control_plane.admin.delete(f"{SESSIONS}/{session['id']}")
    assert await end_of(url) == (4001, "session_ended: The session has ended.")


async def test_a_ticket_whose_token_was_revoked(one: Served, agent: ScriptedAgent):
    admin = one.control_plane.admin
    token = (await admin.post("/api/v1/tokens", json={"name": "mine"})).json()
    session = await running_session(one, agent)
    async with one.control_plane.client(token["token"]) as client:
        url = await ticket(one, session, client=client)
        live = await ticket(one, session, client=client)
        async with view(live) as viewer:
            await viewer.send(b"hello")
            await viewer.recv()
            await admin.delete(f"/api/v1/tokens/{token['id']}")
            async with asyncio.timeout(2):
                assert (await closing(viewer))[0] == 4002
        assert (await end_of(url))[0] == 4002


async def test_nobody_replaces_a_stream_that_is_not_theirs(one: Served, agent: ScriptedAgent):
    admin = one.control_plane.admin
    token = (await admin.post("/api/v1/tokens", json={"name": "mine"})).json()
    session, elsewhere = await running_session(one, agent), await running_session(one, agent)
    made = await admin.post(f"{SESSIONS}/{session['id']}/tickets", json={})
    theirs = made.json()["stream"]
    async with (
        one.control_plane.client(token["token"]) as other_token,
        one.control_plane.user("bob") as bob,
    ):
        bobs = await running_session(one, agent, client=bob)
        for client, path, replaces in (
            (admin, session, str(uuid4())),
            (admin, elsewhere, theirs),
            (other_token, session, theirs),
            (bob, bobs, theirs),
        ):
            asked = {"replaces": replaces}
            answer = await client.post(f"{SESSIONS}/{path['id']}/tickets", json=asked)
            assert (answer.status_code, answer.json()["code"]) == (404, "stream_unknown")
    answer = await admin.post(f"{SESSIONS}/{session['id']}/tickets", json={"replaces": "mine"})
    assert answer.status_code == 422


async def test_live_streams_end_with_their_session(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    async with view(await ticket(one, session)) as viewer:
        await viewer.send(b"hello")
        await viewer.recv()
        await one.control_plane.admin.delete(f"{SESSIONS}/{session['id']}")
        async with asyncio.timeout(2):
            assert await closing(viewer) == (4001, "session_ended: The session has ended.")
    assert (await ended_stream(one, session))["closed_reason"] == "session_ended"


async def test_live_streams_end_with_their_agents_right_on_every_process(
    one: Served, agent: ScriptedAgent, test_database: TestDatabase, tmp_path: Path
):
    session = await running_session(one, agent)
    async with served(test_database, tmp_path / "home") as other:
        url = (await ticket(one, session)).replace(one.ws, other.ws)
        async with view(url) as viewer:
            await viewer.send(b"hello")
            await viewer.recv()
            await one.control_plane.admin.delete(f"/api/v1/agents/{agent.id}")
            async with asyncio.timeout(2):
                assert (await closing(viewer))[0] == 4002


async def test_an_agent_that_is_away(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    url = await ticket(one, session)
    await unlinked(one, agent)
    assert await end_of(url) == (
        4004,
        "agent_unreachable: The session's agent cannot be reached.",
    )
    answer = await one.control_plane.admin.post(f"{SESSIONS}/{session['id']}/tickets", json={})
    assert answer.status_code == 503


async def test_an_agent_that_does_not_answer(
    one: Served, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(looking, "AGENT_WITHIN", timedelta(seconds=0.3))
    agent.on_stream = None
    code, reason = await end_of(await ticket(one, await running_session(one, agent)))
    assert (code, reason) == (
        4004,
        "agent_unreachable: The session's agent did not answer in time.",
    )


async def test_what_an_agent_says_in_closing_reaches_the_viewer(
    one: Served, agent: ScriptedAgent, test_database: TestDatabase, tmp_path: Path
):
    async def kick(order: OpenStream) -> None:
        async with dial_back(order) as leg:
            await leg.send(b"hello")
            await leg.close(4003, "kicked: Alice has sent you away.")

    agent.on_stream = kick
    session = await running_session(one, agent)
    assert await end_of(await ticket(one, session)) == (4003, "kicked: Alice has sent you away.")
    async with served(test_database, tmp_path / "home") as other:
        url = (await ticket(one, session)).replace(one.ws, other.ws)
        assert await end_of(url) == (4003, "kicked: Alice has sent you away.")


async def test_an_agent_that_breaks_off(one: Served, agent: ScriptedAgent):
    async def break_off(order: OpenStream) -> None:
        async with dial_back(order) as leg:
            leg.transport.abort()

    agent.on_stream = break_off
    code, reason = await end_of(await ticket(one, await running_session(one, agent)))
    assert (code, reason) == (4010, "stream_cut: The connection to the desktop was lost.")


# -- the agent's leg -------------------------------------------------------------------------


async def refused(order: OpenStream, **changes: str) -> str:
    """Dial back and return why that was refused."""
    with pytest.raises(InvalidStatus) as caught:
        async with dial_back(order, **changes):
            pass
    body = caught.value.response.body
    assert body is not None
    return body.decode()


async def test_secrets_that_are_no_good(one: Served, agent: ScriptedAgent):
    orders: asyncio.Queue[OpenStream] = asyncio.Queue()
    agent.on_stream = orders.put
    session = await running_session(one, agent)
    async with view(await ticket(one, session)) as viewer, view(await ticket(one, session)):
        # A row that is being written is passed over, so the second may be asked for first.
        both = await orders.get(), await orders.get()
        first, second = sorted(both, key=lambda order: order.stream)
        assert "secret_invalid" in await refused(first, secret="")
        assert "secret_invalid" in await refused(first, secret=second.secret)
        assert "secret_invalid" in await refused(first, secret=first.secret[:-1] + "0" * 2)
        elsewhere = first.model_copy(
            update={"url": first.url.replace(str(first.stream), str(uuid4()))}
        )
        assert "secret_invalid" in await refused(elsewhere)
        async with dial_back(first) as leg:
            assert "secret_invalid" in await refused(first)
            await leg.send(b"the right one")
            found = await viewer.recv()
        assert found == b"the right one"
        assert "secret_invalid" in await refused(first)


async def test_a_secret_gets_old(
    one: Served, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(asking, "SECRET_LIFETIME", timedelta(milliseconds=50))
    orders: asyncio.Queue[OpenStream] = asyncio.Queue()
    agent.on_stream = orders.put
    async with view(await ticket(one, await running_session(one, agent))):
        order = await orders.get()
        await asyncio.sleep(0.1)
        assert "secret_expired" in await refused(order)


async def test_a_new_link_is_asked_anew_and_the_old_secret_is_worth_nothing(
    one: Served, agent: ScriptedAgent
):
    orders: asyncio.Queue[OpenStream] = asyncio.Queue()
    agent.on_stream = orders.put
    session = await running_session(one, agent)
    async with view(await ticket(one, session)) as viewer:
        old = await orders.get()
        twin = agent.twin()
        twin.on_stream = echo
        async with twin.linked(one.ws):
            await viewer.send(b"hello")
            assert await viewer.recv() == b"hello"
        assert "secret_invalid" in await refused(old)


async def test_another_agent_cannot_refuse_a_stream(one: Served, agent: ScriptedAgent):
    orders: asyncio.Queue[OpenStream] = asyncio.Queue()
    agent.on_stream = orders.put
    other = await ScriptedAgent.enrol(one.control_plane, "two")
    url = await ticket(one, await running_session(one, agent))
    async with other.linked(one.ws), view(url) as viewer:
        order = await orders.get()
        other.say(StreamRefused(stream=order.stream, code="nope", message="Not yours."))
        await other.until(lambda: other.channel.unacknowledged == 0)
        async with dial_back(order) as leg:
            await leg.send(b"hello")
            assert await viewer.recv() == b"hello"
