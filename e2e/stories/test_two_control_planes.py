"""Two control planes on one database, behind a balancer that sends nobody twice to the same one.

Whoever dials (browsers, programs, the agent with its link and each of its streams) lands
somewhere, and both legs of a stream seldom on the same process.
"""

import asyncio
import time
from functools import partial
from pathlib import Path

import httpx
import pytest

from e2e.support.console import Console, chromium, until_holds
from e2e.support.outside import Desktop, cgroup_of
from e2e.support.planes import control_planes
from e2e.support.viewers import api, create, until_phase, viewer
from porthole_client import AsyncPorthole
from tests.support.leftovers import Leftovers

STREAMS = 8


@pytest.mark.timeout(240)
async def test_two_control_planes(home_folder: Path, tmp_path: Path) -> None:
    home, machine = home_folder / "two", home_folder / "machine"
    async with control_planes(home, {"machine": machine}) as two, chromium() as browser:
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
                    two.balancer.cut()
                    two.balancer.mend()
                    await me.until_state("reconnecting", within=5)
                    took = await me.until_state("open", within=15)
                    print(f"cut {turn + 1}: back in {took:.2f} s")
                await me.equals(screen)

                began = time.monotonic()
                await asyncio.to_thread(two.last_to_say("stream_opened").kill)
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


async def _many_streams(client: httpx.AsyncClient, session: str) -> None:
    """Open one stream after the other; each shows a whole picture, wherever its legs land."""
    waits = []
    for _ in range(STREAMS):
        began = time.monotonic()
        async with viewer(client, session) as seen:
            await seen.refresh()
            waits.append(time.monotonic() - began)
    print(f"{STREAMS} streams, each with a picture after {max(waits):.2f} s at the most")
