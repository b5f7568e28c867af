"""The whole life of one session in an instance of its own, in which others die."""

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from websockets.exceptions import WebSocketException

from e2e.support.instance import Instance, until
from e2e.support.killing import Failpoints, kill, stopped
from e2e.support.viewers import api, viewer
from tests.support.leftovers import Leftovers

NOT_YET = (httpx.HTTPError, WebSocketException, AssertionError, OSError, EOFError)


@dataclass(frozen=True)
class Story:
    """What dies, and when.

    Attributes:
        control: the failpoint of each life of the control plane.
        agent: those of the agent's lives.
        at_create: who is killed once the session was accepted, in this order.
        running: who is killed when it runs.
        at_delete: who is killed once its end was accepted.
        at_stop: who is killed while a part stands still at its failpoint.
        losses: how often the desktop may be lost; None: as often as it is on record.
        looks: how often it is looked at; if more than once, each look's end is a death.
    """

    control: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    at_create: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    at_delete: tuple[str, ...] = ()
    at_stop: tuple[str, ...] = ()
    losses: int | None = None
    looks: int = 1

    @property
    def deaths(self) -> dict[str, list[str]]:
        """The places at which each part is to die or to stop, in their order."""
        lives = {"control-plane": self.control, "agent": self.agent}
        return {part: [one.partition("=")[0] for one in told] for part, told in lives.items()}


class Life:
    """One session in one instance."""

    def __init__(self, instance: Instance, points: Failpoints, story: Story) -> None:
        self.instance = instance
        self._points = points
        self._story = story
        self._session = ""

    async def begin(self) -> None:
        """Start the instance, with failpoints and with everything in its logs."""
        more = {"PORTHOLE_LOG_LEVEL": "debug", "PORTHOLE_AGENT_LOG_LEVEL": "debug"}
        environment = {**self._points.environment, **more}
        await asyncio.to_thread(self.instance.start, environment)

    async def is_told(self) -> None:
        """Have a session, with all that is to die."""
        if not self._story.at_stop:
            await self._lives()
            return
        killing = asyncio.create_task(self._kill_at_stop())
        try:
            await self._lives()
            await killing
        finally:
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)

    async def _kill_at_stop(self) -> None:
        """Wait until a part stands still, kill, and let it go on."""
        part = "agent" if self._story.agent else "control-plane"
        while True:
            pid = stopped(self.instance, part)
            if pid is not None:
                break
            await asyncio.sleep(0.01)
        try:
            for who in self._story.at_stop:
                if who == "up":
                    assert self.instance.up is not None
                    self.instance.up.kill()
                else:
                    await asyncio.to_thread(kill, self.instance, who, self._session, 3)
        finally:
            os.kill(pid, signal.SIGCONT)
        if "up" in self._story.at_stop:
            await self.begin()

    async def _lives(self) -> None:
        before = Leftovers.of(self.instance.home)
        async with api(self.instance.url, self.instance.admin_token()) as client:
            await self._created(client)
            await self._killed(self._story.at_create)
            await self._reaches(client, "Running", within=90)
            await self._killed(self._story.running)
            if self._story.running:
                await self._has_died("agent", len(self._story.agent))
            for look in range(self._story.looks):
                await self._is_looked_at(client)
                if self._story.looks > 1:
                    await self._has_died("control-plane", look + 1)
            made = await patiently(lambda: client.delete(f"/sessions/{self._session}"))
            assert made.status_code == 202, made.text
            await self._killed(self._story.at_delete, ending=True)
            await self._reaches(client, "Terminated", within=90)
            # What the control plane had not confirmed is said once more, with whatever dies then.
            for part, places in self._story.deaths.items():
                await self._has_died(part, len(places))
            await self._reaches(client, "Terminated", within=90)
            await self._holds_no_home(client)
        await asyncio.to_thread(until, lambda: not self._left(before), 15, self._left_of(before))
        images = list((self.instance.home / "agent").rglob("*.ext4"))
        assert len(images) == 1, images
        self._check_journal()

    async def _created(self, client: httpx.AsyncClient) -> None:
        headers = {"Idempotency-Key": str(uuid4())}
        body = {"template": "desktop", "home": "work"}
        made = await patiently(lambda: client.post("/sessions", json=body, headers=headers))
        assert made.status_code == 202, made.text
        self._session = made.json()["id"]
        listed = (await patiently(lambda: client.get("/sessions"))).json()["items"]
        assert [one["id"] for one in listed] == [self._session]

    async def _killed(self, victims: tuple[str, ...], *, ending: bool = False) -> None:
        for who in victims:
            if who == "up":
                assert self.instance.up is not None
                self.instance.up.kill()
                await self.begin()
            elif ending and who in {"gate", "supervisor"}:
                # They may be gone before they are found.
                with contextlib.suppress(AssertionError):
                    await asyncio.to_thread(kill, self.instance, who, self._session, 1)
            else:
                await asyncio.to_thread(kill, self.instance, who, self._session, 60)

    async def _reaches(self, client: httpx.AsyncClient, phase: str, within: float) -> None:
        end = time.monotonic() + within
        while True:
            answer = await patiently(lambda: client.get(f"/sessions/{self._session}"))
            seen = answer.raise_for_status().json()
            if seen["phase"] == phase:
                return
            assert seen["phase"] != "Failed", seen
            assert time.monotonic() < end, f"not {phase} within {within:.0f} s: {seen}"
            await asyncio.sleep(0.1)

    async def _holds_no_home(self, client: httpx.AsyncClient) -> None:
        end = time.monotonic() + 15
        while True:
            homes = (await patiently(lambda: client.get("/homes"))).json()["items"]
            if [(one["name"], one["holder"]) for one in homes] == [("work", None)]:
                return
            assert time.monotonic() < end, homes
            await asyncio.sleep(0.1)

    async def _is_looked_at(self, client: httpx.AsyncClient) -> None:
        """Try, as a person would, until there is a picture."""
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(*NOT_YET):
                async with asyncio.timeout(15), viewer(client, self._session) as seen:
                    await seen.refresh()
                    return
            assert time.monotonic() < end, "it cannot be looked at"
            await asyncio.sleep(0.2)

    async def _has_died(self, part: str, times: int) -> None:
        def look() -> bool:
            return len(self._points.passed(part)) >= times

        await asyncio.to_thread(until, look, 60, lambda: f"{part} at its place, {times} times")

    def _left(self, before: Leftovers) -> dict[str, Any]:
        """Return what there is more than before; parts may have other processes by now."""
        now = Leftovers.of(self.instance.home)
        left: dict[str, Any] = now.new_since(before)
        left.pop("processes", None)
        if more := _programs(now) - _programs(before):
            left["processes"] = dict(more)
        return left

    def _left_of(self, before: Leftovers) -> Callable[[], str]:
        return lambda: f"nothing left, but there is {self._left(before)}"

    def _check_journal(self) -> None:
        lines = [one for one in self.instance.journal() if one["session"] == self._session]
        counted = Counter((one["event"], one["order"], one["restarts"]) for one in lines)
        for (event, *_), count in counted.items():
            assert count == 1 or event not in {"started", "lost", "ended"}, lines
        lost = {one["restarts"] for one in lines if one["event"] == "lost"}
        restarts = max(int(str(one["restarts"])) for one in lines)
        assert set(range(restarts)) <= lost, lines
        assert [one["event"] for one in lines].count("ended") == 1, lines
        if self._story.losses is not None:
            assert restarts == self._story.losses, lines


def _programs(seen: Leftovers) -> Counter[str]:
    """Count processes by their command lines; the database has as many as it is asked for."""
    return Counter(words for _, words in seen.processes if not words.startswith("postgres:"))


async def patiently(
    ask: Callable[[], Awaitable[httpx.Response]], within: float = 60
) -> httpx.Response:
    """Ask again while there is nobody to answer, as every client of ours does."""
    end = time.monotonic() + within
    while True:
        with contextlib.suppress(httpx.TransportError):
            answer = await ask()
            if answer.status_code not in {502, 503}:
                return answer
        assert time.monotonic() < end, f"no answer within {within:.0f} s"
        await asyncio.sleep(0.1)
