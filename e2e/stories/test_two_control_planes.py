"""Two control planes on one database, behind a balancer that sends nobody twice to the same one.

Whoever dials (browsers, programs, the agent with its link and each of its streams) lands
somewhere, and both legs of a stream seldom on the same process.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest

from e2e.support.console import Console, chromium, until_holds
from e2e.support.instance import Program
from e2e.support.line import Line
from e2e.support.outside import Desktop, cgroup_of
from e2e.support.viewers import api, create, until_phase, viewer
from porthole_client import AsyncPorthole
from tests.support.leftovers import Leftovers
from tests.support.ports import free_port

STREAMS = 8


@dataclass
class Two:
    """The deployment: a database, two control planes, a balancer and an agent behind it."""

    line: Line
    planes: list[Program]
    token: str

    @property
    def url(self) -> str:
        """What everybody dials."""
        return f"http://127.0.0.1:{self.line.port}"

    def newest_stream_at(self) -> Program:
        """Return the process that has the viewer of the stream that was opened last."""

        def opened(plane: Program) -> str:
            lines = [json.loads(line) for line in plane.lines if '"stream_opened"' in line]
            return max((str(line["timestamp"]) for line in lines), default="")

        return max(self.planes, key=opened)


@pytest.mark.timeout(240)
async def test_two_control_planes(home_folder: Path, tmp_path: Path) -> None:
    home, machine = home_folder / "two", home_folder / "machine"
    async with two_control_planes(home, machine) as two, chromium() as browser:
        async with AsyncPorthole(two.url, two.token) as porthole:
            link = await porthole.people.sign_in_link()
        me = await Console.open(browser, "two")
        async with me.shot_if_it_fails():
            assert link.url.startswith(f"{two.url}/#/")
            await me.sign_in(link.url)
            session = await me.new_session("desktop")
            await me.until_state("open", within=60)
            desktop = Desktop.of(session)
            screen = partial(desktop.screen, tmp_path / "screen.png")
            await me.equals(screen)
            async with api(two.url, two.token) as client:
                await _many_streams(client, session)
                apart = await create(client, template="desktop")
                for plane in two.planes:
                    assert "stream_opened" in plane.said, "each has carried viewers"
                assert "stream_passed_on" in "".join(plane.said for plane in two.planes)

                await me.type("echo by either way > typed")
                await until_holds(desktop, "typed", "by either way\n")
                # The connections break: whatever is dialled next lands on the other one.
                for turn in range(3):
                    two.line.cut()
                    two.line.mend()
                    await me.until_state("reconnecting", within=5)
                    took = await me.until_state("open", within=15)
                    print(f"cut {turn + 1}: back in {took:.2f} s")
                await me.equals(screen)

                began = time.monotonic()
                await asyncio.to_thread(two.newest_stream_at().kill)
                await me.until_state("reconnecting", within=5)
                await me.until_state("open", within=30)
                await me.type("echo by the other one > typed")
                await until_holds(desktop, "typed", "by the other one\n")
                print(f"one was killed, and work went on {time.monotonic() - began:.1f} s later")
                await me.equals(screen)
                await me.shoot("one-killed")
                await me.press("end-session", "confirm-end-session")
                await until_phase(client, session, "Terminated", within=30)
                await client.delete(f"/sessions/{apart}")
                await until_phase(client, apart, "Terminated", within=30)
        assert cgroup_of(session) is None
        assert me.failures == []
    for one in (home, machine):
        left = Leftovers.of(one).new_since(Leftovers.of(one / "nothing"))
        assert not left, left


@asynccontextmanager
async def two_control_planes(home: Path, machine: Path) -> AsyncIterator[Two]:
    """Run all of it by hand, as `porthole up` would not."""
    running: list[Program] = []
    ports = free_port(), free_port()
    async with Line.open(*ports) as line:
        two = Two(line, [], "")
        try:
            database = _python("porthole_control.db.embedded", "--home", str(home))
            running.append(database)
            await asyncio.to_thread(database.until_said, re.compile("(?m)^ready"), 60)
            (home / "run").mkdir()
            for number, port in enumerate(ports):
                plane = _python(
                    "porthole_control",
                    PORTHOLE_HOME=str(home),
                    PORTHOLE_PORT=str(port),
                    PORTHOLE_PUBLIC_URL=two.url,
                    PORTHOLE_INTERNAL=f"unix:{home}/run/internal-{number}.sock",
                )
                running.append(plane)
                two.planes.append(plane)
                await asyncio.to_thread(plane.until_said, re.compile('"serving"'), 60)
            two.token = (home / "secrets" / "admin-token").read_text().strip()
            running.append(await _joined(two, machine))
            yield two
        except BaseException:
            for number, plane in enumerate(two.planes):
                print(f"--- control plane {number}\n{plane.said[-4000:]}")
            raise
        finally:
            for one in reversed(running):
                await asyncio.to_thread(one.interrupt)


def _python(*words: str, **environment: str) -> Program:
    return Program(*words, environment=environment, program=(sys.executable, "-m"))


async def _joined(two: Two, machine: Path) -> Program:
    """Have a machine join by the line that is printed for it; wait for what it offers."""
    async with AsyncPorthole(two.url, two.token) as porthole:
        token = await porthole.agents.join_token("machine")
        assert token.url == two.url
        program = Program("agent", "join", token.url, token.token, "--home", str(machine))
        async with asyncio.timeout(60):
            while not any(one.available for one in await porthole.templates.list()):  # noqa: ASYNC110 - another process sets no event of ours
                await asyncio.sleep(0.1)
        return program


async def _many_streams(client: httpx.AsyncClient, session: str) -> None:
    """Open one stream after the other; each shows a whole picture, wherever its legs land."""
    waits = []
    for _ in range(STREAMS):
        began = time.monotonic()
        async with viewer(client, session) as seen:
            await seen.refresh()
            waits.append(time.monotonic() - began)
    print(f"{STREAMS} streams, each with a picture after {max(waits):.2f} s at the most")
