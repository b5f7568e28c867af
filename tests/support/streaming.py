"""Sessions that run, tickets, viewers and agents that dial back, for tests of streams."""

import asyncio
import contextlib

from websockets.exceptions import ConnectionClosed

from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import OpenStream
from tests.support.control_plane import observed
from tests.support.scripted_agent import ScriptedAgent, dial_back
from tests.support.served import Served
from tests.support.waiting import eventually

SESSIONS = "/api/v1/sessions"


async def running_session(at: Served, agent: ScriptedAgent, **fields) -> dict:
    """Create a session and have it run."""
    client = fields.pop("client", at.control_plane.admin)

    async def create():  # it takes a moment until what the agent offers is known
        nonlocal session
        answer = await client.post(SESSIONS, json={"template": "desktop", **fields})
        session = answer.json()
        return answer.status_code

    session = {}
    await eventually(create, 202)
    await agent.until(lambda: [c for c in agent.commands if str(c.body.session) == session["id"]])
    agent.say(observed(session, phase=Phase.RUNNING))

    async def phase():
        shown = await client.get(f"{SESSIONS}/{session['id']}")
        return shown.json()["phase"]

    await eventually(phase, "Running")
    return session


async def ticket(at: Served, session: dict, **fields) -> str:
    client = fields.pop("client", at.control_plane.admin)
    answer = await client.post(f"{SESSIONS}/{session['id']}/tickets", json=fields)
    path = answer.raise_for_status().json()["url"].partition("/api/")[2]
    return f"{at.ws}/api/{path}"


async def ended_stream(at: Served, session: dict) -> dict:
    """Return a session's only stream, once it has ended."""

    async def state():
        listed = await at.control_plane.admin.get(f"{SESSIONS}/{session['id']}/streams")
        streams.extend(listed.json()["items"])
        return streams[-1]["state"]

    streams: list[dict] = []
    await eventually(state, "closed")
    return streams[-1]


async def echo(order: OpenStream) -> None:
    """Send back whatever comes."""
    async with dial_back(order) as leg:
        with contextlib.suppress(ConnectionClosed):
            async for data in leg:
                await leg.send(data)


async def closing(socket) -> tuple[int, str]:
    """Wait for the end of a socket and return how it came."""
    async with asyncio.timeout(15):
        with contextlib.suppress(ConnectionClosed):
            async for _ in socket:
                pass
    return socket.close_code, socket.close_reason


async def unlinked(at: Served, agent: ScriptedAgent) -> None:
    """Cut an agent's link and wait until that is known."""
    agent.cut()

    async def linked():
        return (await at.control_plane.admin.get(f"/api/v1/agents/{agent.id}")).json()["linked"]

    await eventually(linked, False)
