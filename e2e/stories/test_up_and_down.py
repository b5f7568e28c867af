"""`porthole up` is interrupted, killed, started twice, and robbed of its parts."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from e2e.support.instance import Instance, Program, until
from e2e.support.outside import Desktop, processes_of
from e2e.support.viewers import api, create, until_phase, viewer
from tests.support.leftovers import Leftovers
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(240)


def test_a_second_up_says_what_is_in_the_way(instance: Instance, tmp_path: Path) -> None:
    port = ("--port", str(instance.port), "--no-browser")
    on_port = Program("up", "--home", str(tmp_path / "home"), *port)
    assert on_port.wait(30) == 7
    assert f"Port {instance.port} on 127.0.0.1 cannot be used" in on_port.said
    other = ("--port", str(free_port()), "--no-browser")
    on_home = Program("up", "--home", str(instance.home), *other)
    assert on_home.wait(30) == 7
    assert f"already runs with the home {instance.home}" in on_home.said
    assert instance.parts()["up"] == instance.up.process.pid


async def test_a_part_that_is_killed_is_started_again(instance: Instance) -> None:
    async with a_session(instance) as (client, session):
        desktop = Desktop.of(session)
        for name in ("agent", "control-plane", "postgres"):
            began = time.monotonic()
            killed = await asyncio.to_thread(instance.kill, name)

            def is_back(name: str = name, killed: int = killed) -> bool:
                return instance.parts()[name] not in {None, killed}

            await asyncio.to_thread(until, is_back, 30, lambda name=name: f"another {name}")
            await _can_be_looked_at(client, session)
            print(
                f"{name} was killed, and the desktop in sight {time.monotonic() - began:.1f} s on"
            )
            assert Desktop.of(session).pid == desktop.pid
        seen = (await client.get(f"/sessions/{session}")).json()
        assert seen["restarts"] == 0
        starts = [one for one in instance.journal() if one["session"] == session]
        assert [one["event"] for one in starts] == ["started"]


@pytest.mark.parametrize("how", ["killed", "interrupted"])
async def test_sessions_go_on_where_an_up_was_left(home: Path, how: str) -> None:
    instance = Instance(home)
    await asyncio.to_thread(instance.start)
    assert instance.up is not None
    try:
        async with api(instance.url, instance.admin_token()) as client:
            session = await create(client, template="desktop", home="work")
            left = await create(client, template="desktop")
            assert (await client.delete(f"/sessions/{left}")).status_code == 202
            await until_phase(client, left, "Terminated", within=20)
            first = Desktop.of(session)
            (first.root / "home/user/kept").write_text("kept")
        if how == "killed":
            instance.up.kill()
        else:
            assert await asyncio.to_thread(instance.stop) == 0
            assert Leftovers.of(home).processes == frozenset()
            assert processes_of(session) == {}

        began = time.monotonic()
        await asyncio.to_thread(instance.start)
        print(f"the next up was ready in {time.monotonic() - began:.1f} s")
        async with api(instance.url, instance.admin_token()) as client:
            seen = await _runs_again(client, session)
            print(f"and its session ran again after {time.monotonic() - began:.1f} s")
            assert Desktop.of(session).pid != first.pid
            assert Desktop.of(session).read("kept") == "kept"
            assert processes_of(left) == {}
            told = (await client.get(f"/sessions/{session}/events")).json()["items"]
            assert [one for one in told if one["reason"] == "WindowsLost"], told
            starts = [
                (one["order"], one["restarts"])
                for one in instance.journal()
                if one["session"] == session and one["event"] == "started"
            ]
            assert len(starts) == len(set(starts)) == 2
            assert seen["restarts"] == 1
            assert (await client.delete(f"/sessions/{session}")).status_code == 202
            await until_phase(client, session, "Terminated", within=20)
    finally:
        code = await asyncio.to_thread(instance.stop)
    assert code == 0, instance.up.said


@asynccontextmanager
async def a_session(instance: Instance) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    async with api(instance.url, instance.admin_token()) as client:
        session = await create(client, template="desktop")
        yield client, session
        await client.delete(f"/sessions/{session}")
        await until_phase(client, session, "Terminated", within=20)


async def _can_be_looked_at(client: httpx.AsyncClient, session: str) -> None:
    """Try, as a person would, until there is a picture."""
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(httpx.HTTPError, AssertionError, OSError, EOFError):
            async with asyncio.timeout(5), viewer(client, session) as seen:
                await seen.refresh()
                return
        assert time.monotonic() < end, "it cannot be looked at"
        await asyncio.sleep(0.2)


async def _runs_again(client: httpx.AsyncClient, session: str) -> dict[str, object]:
    end = time.monotonic() + 60
    while True:
        seen: dict[str, object] = (await client.get(f"/sessions/{session}")).json()
        if seen["phase"] == "Running" and processes_of(session) and seen["restarts"]:
            return seen
        assert time.monotonic() < end, f"it does not run again: {seen}"
        await asyncio.sleep(0.1)
