"""Streams from a viewer to an agent, over real sockets on a real database."""

from pathlib import Path

import pytest

from porthole_contract.link.commands import OpenStream
from porthole_contract.link.reports import StreamRefused, TemplateOffered
from porthole_contract.session import Protocol
from porthole_contract.template import SessionTemplateSpec
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
        yield made


async def test_bytes_go_both_ways_and_are_counted(one: Served, agent: ScriptedAgent):
    agent.on_stream = echo
    session = await running_session(one, agent)
    async with view(await ticket(one, session)) as viewer:
        assert viewer.subprotocol == "binary"
        await viewer.send(b"hello")
        assert await viewer.recv() == b"hello"
    (order,) = [item for item in agent.heard if isinstance(item, OpenStream)]
    assert (order.channel, order.protocol, order.mode) == ("vnc", "rfb", "control")
    assert (str(order.session), order.owner) == (session["id"], "admin")
    stream = await ended_stream(one, session)
    assert (stream["bytes_from_viewer"], stream["bytes_to_viewer"]) == (5, 5)
    assert stream["closed_reason"] == "viewer_left"


async def test_who_comes_again_says_which_stream_it_replaces(one: Served, agent: ScriptedAgent):
    agent.on_stream = echo
    session = await running_session(one, agent)
    replaces: dict[str, str] = {}
    for _ in range(3):  # those before are over by then, which is no mistake
        path = f"{SESSIONS}/{session['id']}/tickets"
        made = (await one.control_plane.admin.post(path, json=replaces)).raise_for_status().json()
        async with view(f"{one.ws}/api/{made['url'].partition('/api/')[2]}") as viewer:
            await viewer.send(b"hello")
            assert await viewer.recv() == b"hello"
        replaces = {"replaces": made["stream"]}
    first, second, third = [item for item in agent.heard if isinstance(item, OpenStream)]
    assert [first.replaces, second.replaces, third.replaces] == [None, first.stream, second.stream]


async def test_a_desktop_over_rdp_is_opened_as_it_speaks(one: Served, agent: ScriptedAgent):
    spec = SessionTemplateSpec(title="Office", protocols=(Protocol.RDP,))
    agent.describe(
        protocols=tuple(Protocol),
        templates=(TemplateOffered(name="desktop", spec=spec),),
    )
    agent.on_stream = echo
    session = await running_session(one, agent, protocol="rdp")
    for asked in ({}, {"channel": "rdp", "protocol": "rdp", "mode": "view"}):
        async with view(await ticket(one, session, **asked)) as viewer:
            await viewer.send(b"hello")
            assert await viewer.recv() == b"hello"
    orders = [item for item in agent.heard if isinstance(item, OpenStream)]
    assert [(order.channel, order.protocol, order.mode) for order in orders] == [
        ("rdp", "rdcleanpath", "control"),
        ("rdp", "rdp", "view"),
    ]
    listed = await one.control_plane.admin.get(f"{SESSIONS}/{session['id']}/streams")
    assert [stream["protocol"] for stream in listed.json()["items"]] == ["rdp", "rdcleanpath"]
    path = f"{SESSIONS}/{session['id']}/tickets"
    refused = await one.control_plane.admin.post(path, json={"protocol": "rfb"})
    assert (refused.status_code, refused.json()["code"]) == (409, "protocol_not_served")


async def test_an_agent_that_refuses_is_heard(one: Served, agent: ScriptedAgent):
    async def refuse(order: OpenStream) -> None:
        agent.say(StreamRefused(stream=order.stream, code="session_unknown", message="Not here."))

    agent.on_stream = refuse
    session = await running_session(one, agent)
    async with view(await ticket(one, session)) as viewer:
        assert await closing(viewer) == (4005, "session_unknown: Not here.")


async def test_the_legs_may_land_on_two_processes(
    one: Served, agent: ScriptedAgent, test_database: TestDatabase, tmp_path: Path
):
    agent.on_stream = echo
    session = await running_session(one, agent)
    async with served(test_database, tmp_path / "home") as other:
        url = (await ticket(one, session)).replace(one.ws, other.ws)
        async with view(url) as viewer:
            await viewer.send(b"hello")
            assert await viewer.recv() == b"hello"


async def test_logs_are_text_that_the_agent_sends(one: Served, agent: ScriptedAgent):
    async def tell(order: OpenStream) -> None:
        assert (order.channel, order.protocol, order.mode) == ("logs", "logs", "view")
        async with dial_back(order) as leg:
            await leg.send("häl".encode())
            await leg.send(b"lo\n")

    agent.on_stream = tell
    session = await running_session(one, agent)
    answer = await one.control_plane.admin.get(f"{SESSIONS}/{session['id']}/logs")
    assert (answer.status_code, answer.text) == (200, "hällo\n")
    assert answer.headers["content-type"].startswith("text/plain")


async def test_logs_of_an_agent_out_of_reach(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    await unlinked(one, agent)
    path = f"{SESSIONS}/{session['id']}/logs"
    answer = await one.control_plane.admin.get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    async with one.control_plane.user("bob") as bob:
        assert (await bob.get(path)).status_code == 404
