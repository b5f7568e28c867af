"""Live lists over a real connection: resumed where they broke off, and ended with the right."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.test_api_edge import Process
from tests.support.postgres import TestDatabase


@dataclass
class Told:
    """One server-sent event."""

    id: str
    event: str | None
    data: Any


@pytest.fixture
def server(test_database: TestDatabase, tmp_path: Path) -> Iterator[Process]:
    running = Process(test_database, tmp_path / "home")
    try:
        running.start()
        yield running
        assert running.stop() == 0, "listeners do not hold up its end"
    finally:
        running.close()


def client_of(server: Process, token: str | None = None) -> httpx.AsyncClient:
    token = token or (server.home / "secrets" / "admin-token").read_text().strip()
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{server.port}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=20,
    )


@asynccontextmanager
async def listening(
    client: httpx.AsyncClient, after: str | None = None
) -> AsyncIterator[AsyncIterator[Told]]:
    headers = {} if after is None else {"Last-Event-ID": after}
    async with client.stream("GET", "/api/v1/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield read(answer)


async def read(answer: httpx.Response) -> AsyncIterator[Told]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        elif fields:
            data = json.loads(fields["data"]) if "data" in fields else None
            yield Told(fields.get("id", ""), fields.get("event"), data)
            fields = {}


async def until(told: AsyncIterator[Told], event: str) -> Told:
    async for one in told:
        if one.event == event:
            return one
    raise AssertionError(f"No {event} came.")


async def make(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    body = {"template": "mine", "name": name}
    made: dict[str, Any] = (await client.post("/api/v1/sessions", json=body)).json()
    return made


async def test_changes_are_told_and_resumed_without_a_gap(server: Process):
    async with client_of(server) as client:
        spec = {"name": "mine", "spec": {"title": "Mine"}}
        (await client.post("/api/v1/templates", json=spec)).raise_for_status()
        async with listening(client) as told:
            assert (await anext(told)).event == "hello"
            first = await make(client, "first")
            seen = await until(told, "session")
            assert (seen.data["id"], seen.data["name"]) == (first["id"], "first")
        names = ["second", "third", "fourth"]
        for name in names:
            await make(client, name)
        async with listening(client, after=seen.id) as told:
            assert (await anext(told)).event == "hello"
            missed = [await until(told, "session") for _ in names]
            assert [one.data["name"] for one in missed] == names
            await client.delete(f"/api/v1/sessions/{first['id']}")
            ended = await until(told, "session")
            assert (ended.data["id"], ended.data["phase"]) == (first["id"], "Terminated")


@pytest.mark.parametrize("after", ["999999999-1", "1-1"])
async def test_a_place_that_is_not_known_is_said(server: Process, after: str):
    async with client_of(server) as client:
        spec = {"name": "mine", "spec": {"title": "Mine"}}
        (await client.post("/api/v1/templates", json=spec)).raise_for_status()
        async with listening(client, after=after) as told:
            first = await anext(told)
            assert first.event == "reset"
            assert first.id != after


async def test_nobody_hears_of_anothers(server: Process):
    async with client_of(server) as admin:
        spec = {"name": "mine", "spec": {"title": "Mine"}}
        (await admin.post("/api/v1/templates", json=spec)).raise_for_status()
        made = await admin.post("/api/v1/tokens", json={"name": "t", "user": "bob"})
        async with client_of(server, made.json()["token"]) as bob, listening(bob) as told:
            await anext(told)
            await make(admin, "private")
            await make(bob, "own")
            assert (await until(told, "session")).data["name"] == "own"


async def test_a_revoked_token_hears_no_more(server: Process):
    async with client_of(server) as admin:
        made = (await admin.post("/api/v1/tokens", json={"name": "t"})).json()
        async with client_of(server, made["token"]) as client, listening(client) as told:
            await anext(told)
            await admin.delete(f"/api/v1/tokens/{made['id']}")
            async with asyncio.timeout(6):
                assert "session" not in [one.event async for one in told]


async def test_only_who_is_known_listens(server: Process):
    async with client_of(server, "nobody") as client:
        answer = await client.get("/api/v1/events")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
