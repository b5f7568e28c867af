"""Sessions by the dozen: real desktops with nothing on them, cheap enough for one machine."""

import asyncio
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from e2e.chaos.place import SLEEPER
from e2e.support.viewers import until_phase
from porthole_contract.quantities import parse_quantity

_ENDS_WITHIN = 45.0
_RUNS_WITHIN = 120.0


async def can_sleep(client: httpx.AsyncClient) -> None:
    """Have the template of such sessions."""
    made = await client.post("/templates", json={"name": "sleeper", "spec": SLEEPER})
    assert made.status_code in {httpx.codes.CREATED, httpx.codes.CONFLICT}, made.text
    end = time.monotonic() + _RUNS_WITHIN
    while not (await client.get("/templates/sleeper")).json()["available"]:
        assert time.monotonic() < end, "no agent offers it"
        await asyncio.sleep(0.1)


async def until_offered(client: httpx.AsyncClient, *agents: str) -> None:
    """Wait until these agents offer the template of such sessions."""
    end = time.monotonic() + _RUNS_WITHIN
    while True:
        answer = await client.get("/templates/sleeper")
        offers = answer.json()["offers"] if answer.is_success else []
        if {one["agent"] for one in offers if one["offered"]} >= {*agents}:
            return
        assert time.monotonic() < end, offers
        await asyncio.sleep(0.1)


async def ask_for(client: httpx.AsyncClient, count: int, **body: Any) -> list[dict[str, Any]]:
    """Ask for sessions, all at once; return them as they were answered."""

    async def one() -> dict[str, Any]:
        made = await client.post("/sessions", json={"template": "sleeper", **body})
        assert made.status_code == httpx.codes.ACCEPTED, made.text
        session: dict[str, Any] = made.json()
        return session

    return await asyncio.gather(*(one() for _ in range(count)))


async def all_run(client: httpx.AsyncClient, ids: Iterable[str]) -> list[dict[str, Any]]:
    """Wait until all of these run; return them as they are then."""
    return [await until_phase(client, one, "Running", within=_RUNS_WITHIN) for one in ids]


async def end_all(client: httpx.AsyncClient, ids: Iterable[str]) -> None:
    """End all of these, and wait until they have ended."""
    ids = list(ids)
    for one in ids:
        answer = await client.delete(f"/sessions/{one}")
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    for one in ids:
        await until_phase(client, one, "Terminated", within=_ENDS_WITHIN)


async def commands_of(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """Return commands, newest first."""
    answer = await client.get("/commands", params={"limit": 100, **query})
    items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
    return items


async def agents_by_name(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """Return the agents."""
    listed = (await client.get("/agents")).raise_for_status().json()["items"]
    return {one["name"]: one for one in listed}


async def until_taken(client: httpx.AsyncClient, name: str, places: int, within: float) -> None:
    """Wait until an agent tells that so many of its places are taken."""
    end = time.monotonic() + within
    while (seen := (await agents_by_name(client))[name]["capacity"])["sessions_used"] != places:
        assert time.monotonic() < end, seen
        await asyncio.sleep(0.1)


async def until_empty(client: httpx.AsyncClient, name: str, within: float) -> None:
    """Wait until an agent tells that nothing of it is taken."""
    end = time.monotonic() + within
    while (seen := (await agents_by_name(client))[name]["capacity"])["sessions_used"] or any(
        float(parse_quantity(one)) for one in seen["used"].values()
    ):
        assert time.monotonic() < end, seen
        await asyncio.sleep(0.1)


async def until_agent(
    client: httpx.AsyncClient, name: str, within: float, **fields: Any
) -> tuple[dict[str, Any], float]:
    """Wait until an agent has these fields; return it, and how long that took."""
    began = time.monotonic()
    while True:
        seen = (await agents_by_name(client))[name]
        if all(seen[field] == value for field, value in fields.items()):
            return seen, time.monotonic() - began
        assert time.monotonic() < began + within, seen
        await asyncio.sleep(0.05)


def agent_process(home: Path) -> int:
    """Return the process id of the agent of a home."""
    shown = json.loads((home / "run" / "parts.json").read_text(encoding="utf-8"))
    return int(next(part["process"]["pid"] for part in shown["parts"] if part["name"] == "agent"))
