"""Every call of the API, by everybody who may not make it.

The table says who may; a call that is not in it fails the test, so that nobody adds one
without having thought about that.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from porthole_contract.link.reports import TemplateOffered
from porthole_control.people.rules import Scope
from tests.integration.test_api_rdp_servers import RDP, made
from tests.support.control_plane import TEMPLATE, ControlPlane
from tests.support.postgres import TestDatabase
from tests.support.served import Served, served

A = "/api/v1"
SESSION, HOME, AGENT = f"{A}/sessions/{{}}", f"{A}/homes/{{}}", f"{A}/agents/{{}}"
SERVER = f"{A}/rdp/servers/{{}}"
NOBODY = "who is not known"
ANYBODY = "who is known"
ADMIN = (Scope.TEMPLATES, Scope.AGENTS)

MAY: dict[str, Any] = {
    "GET /healthz": NOBODY,
    "GET /readyz": NOBODY,
    f"POST {A}/sign-in": NOBODY,
    f"POST {A}/agents/enrol": NOBODY,
    f"GET {A}/me": ANYBODY,
    f"POST {A}/sign-out": ANYBODY,
    f"GET {A}/events": Scope.READ,
    f"GET {A}/status": Scope.READ,
    f"GET {A}/users": Scope.READ,
    f"GET {A}/tokens": Scope.READ,
    f"GET {A}/templates": Scope.READ,
    f"GET {A}/templates/{{}}": Scope.READ,
    f"GET {A}/agents": Scope.READ,
    f"GET {AGENT}": Scope.READ,
    f"GET {A}/homes": Scope.READ,
    f"GET {HOME}": Scope.READ,
    f"GET {A}/commands": Scope.READ,
    f"GET {A}/commands/{{}}": Scope.READ,
    f"GET {A}/sessions": Scope.READ,
    f"GET {SESSION}": Scope.READ,
    f"GET {SESSION}/events": Scope.READ,
    f"GET {SESSION}/streams": Scope.READ,
    f"GET {SESSION}/logs": Scope.READ,
    f"POST {A}/sessions": Scope.SESSIONS,
    f"PATCH {SESSION}": Scope.SESSIONS,
    f"DELETE {SESSION}": Scope.SESSIONS,
    f"PATCH {HOME}": Scope.SESSIONS,
    f"DELETE {HOME}": Scope.SESSIONS,
    f"POST {SESSION}/tickets": Scope.CONNECT,
    f"POST {SESSION}/exec": Scope.SESSION_EXEC,
    f"GET {SESSION}/screenshot": Scope.CONNECT,
    f"POST {SESSION}/input": Scope.SESSION_CONTROL,
    f"GET {SESSION}/clipboard": Scope.SESSION_CONTROL,
    f"PUT {SESSION}/clipboard": Scope.SESSION_CONTROL,
    f"GET {A}/rdp/servers": Scope.READ,
    f"GET {A}/rdp/servers/statistics": Scope.READ,
    f"GET {SERVER}": Scope.READ,
    f"GET {SERVER}/status": Scope.READ,
    f"GET {SERVER}/service-status": Scope.READ,
    f"GET {SERVER}/configuration": Scope.READ,
    f"GET {SERVER}/resources": Scope.READ,
    f"GET {SERVER}/sessions": Scope.READ,
    f"GET {SERVER}/usage": Scope.READ,
    f"GET {SERVER}/usage/history": Scope.READ,
    f"GET {SERVER}/alerts": Scope.READ,
    f"POST {A}/rdp/servers": Scope.SESSIONS,
    f"PUT {SERVER}": Scope.SESSIONS,
    f"DELETE {SERVER}": Scope.SESSIONS,
    f"PUT {SERVER}/configuration": Scope.SESSIONS,
    f"PUT {SERVER}/resources": Scope.SESSIONS,
    f"POST {SERVER}/password": Scope.SESSIONS,
    f"DELETE {SERVER}/password": Scope.SESSIONS,
    f"POST {SERVER}/start": Scope.SESSIONS,
    f"POST {SERVER}/stop": Scope.SESSIONS,
    f"POST {SERVER}/restart": Scope.SESSIONS,
    f"POST {SERVER}/test-connection": Scope.CONNECT,
    f"POST {A}/templates": Scope.TEMPLATES,
    f"PUT {A}/templates/{{}}": Scope.TEMPLATES,
    f"DELETE {A}/templates/{{}}": Scope.TEMPLATES,
    f"GET {A}/agents/join-tokens": Scope.AGENTS,
    f"POST {A}/agents/join-tokens": Scope.AGENTS,
    f"DELETE {A}/agents/join-tokens/{{}}": Scope.AGENTS,
    f"PATCH {AGENT}": Scope.AGENTS,
    f"DELETE {AGENT}": Scope.AGENTS,
    f"POST {A}/tokens": Scope.TOKENS,
    f"PATCH {A}/users/{{}}": Scope.TOKENS,
    f"DELETE {A}/tokens/{{}}": Scope.TOKENS,
    f"POST {A}/sign-in-links": Scope.TOKENS,
}
SCOPED = {call: scope for call, scope in MAY.items() if isinstance(scope, Scope)}
ENDLESS = f"GET {A}/events"


@pytest.fixture
async def one(test_database: TestDatabase, tmp_path: Path):
    async with served(test_database, tmp_path / "home") as running:
        yield running


async def call(client: httpx.AsyncClient, what: str) -> tuple[int, str]:
    """Make a call about something that is not there; return the status and the code."""
    method, path = what.split()
    answer = await client.request(method, path.format(uuid4()))
    kind = answer.headers.get("content-type", "")
    return answer.status_code, answer.json()["code"] if "problem" in kind else ""


async def token(client: httpx.AsyncClient, scopes: Iterable[Scope], **fields: Any) -> str:
    body = {"name": "test", "scopes": sorted(scopes), **fields}
    return (await client.post(f"{A}/tokens", json=body)).raise_for_status().json()["token"]


async def test_every_call_is_in_the_table(control_plane: ControlPlane):
    described = (await control_plane.admin.get(f"{A}/openapi.json")).json()["paths"]
    known = {
        f"{method.upper()} " + "/".join("{}" if "{" in part else part for part in path.split("/"))
        for path, methods in described.items()
        for method in methods
    }
    assert known | {ENDLESS} == MAY.keys()


async def test_who_is_not_known_gets_nothing(control_plane: ControlPlane):
    async with control_plane.client() as stranger:
        for what, needed in MAY.items():
            refused = await call(stranger, what) == (401, "unauthenticated")
            assert refused == (needed != NOBODY), what


async def test_each_call_wants_its_scope(control_plane: ControlPlane):
    for scope in Scope:
        just = await token(control_plane.admin, {scope})
        all_but = await token(control_plane.admin, set(Scope) - {scope})
        async with control_plane.client(just) as has, control_plane.client(all_but) as lacks:
            for what, needed in SCOPED.items():
                if needed is scope:
                    assert await call(lacks, what) == (403, "scope_missing"), what
                else:
                    assert await call(has, what) == (403, "scope_missing"), what
                if needed is scope and what != ENDLESS:
                    status, _ = await call(has, what)
                    assert status not in {401, 403}, what


async def test_a_user_is_no_administrator(control_plane: ControlPlane):
    async with control_plane.user("bob") as bob:
        for what, scope in SCOPED.items():
            if scope in ADMIN or what.endswith("/users"):
                assert (await call(bob, what))[0] == 403, what
        renamed = await bob.patch(f"{A}/users/bob", json={"kubernetes_username": "root"})
        assert renamed.status_code == 403
        for path in ("tokens?everyone=true", "users"):
            assert (await bob.get(f"{A}/{path}")).status_code == 403


async def test_what_is_anothers_is_not_there(control_plane: ControlPlane):
    templates = [TemplateOffered(name="desktop", spec=TEMPLATE), RDP]
    agent = await control_plane.agent(templates=templates, protocols=("vnc", "rdp"))
    alice = control_plane.admin
    begun = await alice.post(f"{A}/sessions", json={"template": "desktop", "home": "work"})
    session = begun.raise_for_status().json()
    await agent.run(session)
    ticket = await alice.post(f"{A}/sessions/{session['id']}/tickets", json={"mode": "view"})
    ids = {
        "sessions": session["id"],
        "homes": (await alice.get(f"{A}/homes")).json()["items"][0]["id"],
        "commands": (await alice.get(f"{A}/commands")).json()["items"][0]["id"],
        "tokens": (await alice.get(f"{A}/tokens")).json()["items"][0]["id"],
        "rdp/servers": (await made(alice))["server_id"],
    }
    body = {"mode": "view", "desired": "Hibernated", "name": "stolen", "command": ["true"]}
    body |= {"actions": [{"type": "text", "text": "stolen"}]}
    async with control_plane.user("bob") as bob:
        for what in SCOPED:
            method, path = what.split()
            noun = path.removeprefix(f"{A}/").partition("/{}")[0]
            if "{}" in path and noun in ids:
                mine = {k: v for k, v in body.items() if k in _fields(what)}
                answer = await bob.request(method, path.format(ids[noun]), json=mine)
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), what
        for noun, identity in ids.items():
            seen = await bob.get(f"{A}/{noun}?ended=true")
            assert identity not in seen.text, noun
        status = (await bob.get(f"{A}/status")).json()
        assert not any(status["sessions"].values())
        # Bob may have a home of the same name; it is another one.
        own = await bob.post(f"{A}/sessions", json={"template": "desktop", "home": "work"})
        assert own.status_code == 202
        homes = (await bob.get(f"{A}/homes")).json()["items"]
        assert [one["id"] for one in homes] != [ids["homes"]]
    assert ticket.status_code == 201
    kept = (await alice.get(f"{A}/sessions/{session['id']}")).json()
    assert (kept["phase"], kept["desired"], kept["name"]) == ("Running", "Running", session["name"])


def _fields(what: str) -> set[str]:
    if what.endswith("/tickets"):
        return {"mode"}
    if what.endswith("/exec"):
        return {"command"}
    if what.endswith("/input"):
        return {"actions"}
    if what.endswith(("/configuration", "/resources")):
        return set()
    return {"desired"} if what == f"PATCH {SESSION}" else {"name"}


@asynccontextmanager
async def listening(at: Served, bearer: str) -> AsyncIterator[asyncio.Queue[dict[str, Any] | None]]:
    """Follow what changes; None says that it is over."""
    heard: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def follow() -> None:
        headers = {"Authorization": f"Bearer {bearer}"}
        async with (
            httpx.AsyncClient(base_url=at.url, headers=headers) as client,
            client.stream("GET", f"{A}/events") as answer,
        ):
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    heard.put_nowait(json.loads(line.removeprefix("data: ")))
        heard.put_nowait(None)

    task = asyncio.create_task(follow())
    try:
        async with asyncio.timeout(5):
            assert await heard.get() == {}
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_live_lists_tell_nothing_of_others(one: Served):
    alice = one.control_plane.admin
    await one.control_plane.agent()
    bobs = await token(alice, Scope, user="bob")
    async with listening(one, bobs) as heard, one.control_plane.client(bobs) as bob:
        theirs = (await alice.post(f"{A}/sessions", json={"template": "desktop"})).json()
        await alice.patch(f"{A}/sessions/{theirs['id']}", json={"labels": {"a": "b"}})
        await alice.delete(f"{A}/sessions/{theirs['id']}")
        mine = (await bob.post(f"{A}/sessions", json={"template": "desktop"})).json()
        told = []
        async with asyncio.timeout(10):
            while not told or told[-1].get("id") != mine["id"]:
                told.append(await heard.get())
    assert theirs["id"] not in json.dumps(told)
    assert {one.get("owner", "bob") for one in told} == {"bob"}


async def test_live_lists_end_with_their_right(one: Served):
    alice = one.control_plane.admin
    await one.control_plane.agent()
    text = await token(alice, {Scope.READ})
    async with listening(one, text) as heard:
        await alice.delete(f"{A}/tokens/{text.split('_')[1]}")
        async with asyncio.timeout(6):  # three times what is promised
            while await heard.get() is not None:
                pass


async def test_signing_in_with_a_token_makes_it_no_better(control_plane: ControlPlane):
    soon = timedelta(minutes=5)
    text = await token(control_plane.admin, {Scope.READ}, lifetime="5m")
    async with control_plane.client() as browser:
        signed = await browser.post(f"{A}/sign-in", json={"token": text})
        assert signed.json()["scopes"] == ["read"]
        listed = (await browser.get(f"{A}/tokens")).json()["items"]
        (cookie,) = [one for one in listed if one["kind"] == "cookie"]
        assert datetime.fromisoformat(cookie["expires_at"]) <= datetime.now(UTC) + soon
        refused = await browser.post(
            f"{A}/sign-in-links", headers={"Origin": "http://127.0.0.1:8080"}
        )
        assert refused.json()["code"] == "scope_missing"
