"""How many reports of one agent are taken in, beside rows that are changed plainly."""

import asyncio
import time
from typing import Any
from uuid import UUID

import psycopg
from psycopg.conninfo import make_conninfo

from bench.agents import QuickAgent, a_quick_agent, plenty, until_linked, ws_url
from bench.figures import Figure
from bench.instance import Instance
from porthole_contract.lifecycle import Phase
from porthole_contract.link.reports import SessionObserved
from porthole_contract.session import SessionSpec, SessionStatus
from porthole_control.db import layout

_NAME = "reporter"
_SESSIONS = 100
_COUNT = 10_000
_PLAIN = 2000


def _report(session: dict[str, Any], viewers: int) -> SessionObserved:
    """Return a report of a session that runs, in which something is news."""
    return SessionObserved(
        session=UUID(session["id"]),
        name=session["name"],
        owner=session["owner"],
        order=1,
        spec=SessionSpec.model_validate(session["spec"]),
        status=SessionStatus(phase=Phase.RUNNING, order=1, viewers=viewers),
    )


async def _ours(instance: Instance, agent: QuickAgent) -> tuple[float, int]:
    """Return reports a second until the last one is acknowledged, and how many were dropped."""
    made = []
    for _ in range(_SESSIONS):
        body = {"template": "desktop", "agent": _NAME}
        answer = (await instance.api.post("/api/v1/sessions", json=body)).raise_for_status()
        made.append(answer.json())
    await agent.until(lambda: agent.channel.unacknowledged == 0, within=60)
    rounds = _COUNT // _SESSIONS
    begun = time.perf_counter()
    for viewers in range(1, rounds + 1):
        await agent.until(lambda: agent.channel.room > _SESSIONS, within=60)
        agent.say(*(_report(session, viewers) for session in made))
    await agent.until(lambda: agent.channel.unacknowledged == 0, within=120)
    took = time.perf_counter() - begun
    dropped = 0
    for session in made:
        seen = (await instance.api.get(f"/api/v1/sessions/{session['id']}")).json()
        dropped += rounds - int(seen["viewers"])
    return _COUNT / took, dropped


def _plainly(conninfo: str) -> float:
    """Return how often a second one connection changes one row of many, each for itself."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
        connection.execute("CREATE TABLE plain (id int PRIMARY KEY, viewers int, status jsonb)")
        connection.execute(
            "INSERT INTO plain SELECT n, 0, '{}' FROM generate_series(1, %s) n", [_SESSIONS]
        )
        begun = time.perf_counter()
        for number in range(_PLAIN):
            connection.execute(
                "UPDATE plain SET viewers = %s WHERE id = %s",
                [number, number % _SESSIONS + 1],
            )
        took = time.perf_counter() - begun
        connection.execute("DROP TABLE plain")
    return _PLAIN / took


async def measure(instance: Instance) -> list[Figure]:
    """Measure reports a second, and count those that were dropped."""
    agent = await a_quick_agent(instance, _NAME)
    async with agent.linked(ws_url(instance)):
        agent.describe(capacity=plenty())
        await until_linked(instance.api, agent)
        rate, dropped = await _ours(instance, agent)
    admin: Any = layout.conninfo(instance.home, admin=True, database="postgres")
    plain = await asyncio.to_thread(_plainly, make_conninfo(admin))
    if dropped:
        raise RuntimeError(f"{dropped} of {_COUNT} reports were dropped.")
    return [
        Figure(
            name="reports of one agent",
            value=rate,
            unit="reports/s",
            baseline=plain,
            against="one connection that changes a row in each transaction",
            better="more",
            goal=500,
            judged="value",
            note=f"{_COUNT} reports about {_SESSIONS} sessions, each with news; none was dropped",
        ),
    ]
