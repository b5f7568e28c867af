"""Sessions on a cluster in which others die: asked for by the API, looked at from both sides."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Self
from uuid import uuid4

from websockets.exceptions import WebSocketException

from e2e.cluster.installing import SESSIONS
from e2e.support.casualties import Casualties
from e2e.support.chronicle import Chronicle
from e2e.support.cluster_api import ClusterApi, Json
from e2e.support.cluster_things import Things
from e2e.support.installed import Installed
from e2e.support.kill_stories import KillStory
from porthole_client import AsyncPorthole, ClientError, Retry
from porthole_contract.errors import Refused
from porthole_control.rdp_servers.probe import Probe
from porthole_kube.kinds import CLAIMS, PODS
from porthole_kube.kinds import SESSIONS as KIND
from tests.support.rfb_client import RfbClient, WebSocketStream

NOT_YET = (
    *(ClientError, WebSocketException, Refused),
    *(AssertionError, OSError, EOFError, TimeoutError),
)
_PATIENT = Retry(times=60, longest=1.0)
_LONG = 180.0
_LIVES = 4
_SMALL = {"requests": {"cpu": "20m", "memory": "128Mi"}}
"""With these, one node of two cores has room for all that the other had."""


class Ground:
    """A release on a cluster, where stories are told.

    Args:
        installed: the release.
        api: the cluster's API server.
        porthole: the control plane, for the administrator.
    """

    def __init__(self, installed: Installed, api: ClusterApi, porthole: AsyncPorthole) -> None:
        self.cluster = installed.cluster
        self.api = api
        self.porthole = porthole
        self.casualties = Casualties(installed.cluster, api)
        self.figures: dict[str, float] = {}
        """What a story has measured."""

    @classmethod
    @asynccontextmanager
    async def of(cls, installed: Installed) -> AsyncIterator["Ground"]:
        """Have a ground on which everybody is well."""
        token = installed.secret("porthole-administrator")["token"].decode("ascii")
        place = {"server": installed.url, "fingerprint": installed.fingerprint}
        kubeconfig = installed.cluster.place.kubeconfig
        async with (
            ClusterApi(kubeconfig) as api,
            AsyncPorthole(**place, token=token, retry=_PATIENT, timeout=10) as porthole,
        ):
            ground = cls(installed, api, porthole)
            await ground.is_well()
            yield ground

    async def is_well(self) -> None:
        """Wait until every replica runs and the agent is linked, with nobody made to wait."""
        await self.casualties.refresh()

        async def look() -> bool:
            return await self.casualties.are_well() and await self._is_linked()

        await until(look, "everybody is well", _LONG)
        say("everybody is well")

    async def clean_up(self) -> None:
        """Delete what a story that failed has left: all sessions, and all homes."""
        for kind in ("sessions", "sessiontickets", "pvc"):
            words = ("delete", kind, "--all", "-n", SESSIONS, "--timeout=60s")
            await asyncio.to_thread(self.cluster.attempt, "kubectl", *words)

    async def is_as_before(self, before: Things) -> None:
        """Wait until there is neither more nor less than before."""
        unlike: dict[str, list[str]] = {}

        async def look() -> bool:
            nonlocal unlike
            unlike = (await asyncio.to_thread(Things.of, self.cluster)).unlike(before)
            return not unlike

        await until(look, lambda: f"what is left (+) and what is missing (-): {unlike}", 90)
        say("all is as before")

    async def _is_linked(self) -> bool:
        with contextlib.suppress(*NOT_YET):
            return [one.linked for one in await self.porthole.agents.list()] == [True]
        return False

    async def create(self, name: str, template: str = "desktop", **spec: Any) -> str:
        """Ask for a session with a home of its name, once for all; return its id."""
        key = str(uuid4())
        given = {"name": name, "home": name, "resources": _SMALL, **spec}
        made = await self.porthole.sessions.create(template, idempotency_key=key, **given)
        return str(made.id)

    async def session(self, name: str) -> Json | None:
        """Return the object of a session, as it is now."""
        return await self.api.get(KIND.path(SESSIONS, name))

    async def reaches(
        self, name: str, phase: str, *, restarts: int = 0, reason: str = "", within: float = _LONG
    ) -> None:
        """Wait until a session is in a phase after so many losses."""
        seen: Json = {}

        async def look() -> bool:
            nonlocal seen
            seen = (await self.session(name) or {}).get("status") or {}
            assert seen.get("phase") != "Failed", seen
            told = (seen.get("phase"), seen.get("restarts", 0))
            return told == (phase, restarts) and reason in {"", seen["reason"]}

        await until(look, lambda: f"{name} is {phase} {reason} after {restarts}: {seen}", within)
        say(f"{name} is {phase} after {restarts} losses")

    async def is_told(self, identity: str, phase: str) -> None:
        """Wait until the control plane says so, too."""
        seen: Any = None

        async def look() -> bool:
            nonlocal seen
            seen = await self.porthole.sessions.get(identity)
            return seen.phase == phase

        await until(look, lambda: f"{phase} in the control plane: {seen}", 60)

    @asynccontextmanager
    async def viewer(self, identity: str) -> AsyncIterator[RfbClient]:
        """Look at a session."""
        async with self.porthole.sessions.connect(identity) as socket:
            through = WebSocketStream(socket)
            yield await RfbClient.greet(through, through)

    async def is_looked_at(self, identity: str, template: str = "desktop") -> None:
        """Try, as a person would, until there is a picture."""

        async def look() -> bool:
            with contextlib.suppress(*NOT_YET):
                async with asyncio.timeout(15):
                    if template == "rdp":
                        return await self._is_drawn_over_rdp(identity)
                    async with self.viewer(identity) as seen:
                        await seen.refresh()
                        return True
            return False

        await until(look, "it can be looked at", _LONG)
        say("it was looked at")

    async def _is_drawn_over_rdp(self, identity: str) -> bool:
        """Look as a connection test does; return whether the whole screen came."""
        async with self.porthole.sessions.connect(identity, mode="view") as socket:
            probe = Probe(1280, 720)
            await socket.send(probe.hello())
            async for said in socket:
                assert isinstance(said, bytes)
                if answer := probe.feed(said):
                    await socket.send(answer)
                if probe.drawn:
                    return True
        return False

    async def is_gone(self, name: str, identity: str) -> None:
        """Wait until nothing of a session is left but its home, and remove that as well."""

        async def look() -> bool:
            return await self.session(name) is None and (
                await self.api.get(PODS.path(SESSIONS, name)) is None
            )

        await until(look, f"{name} is gone", _LONG)
        await self.is_told(identity, "Terminated")
        await until(lambda: self._home_is_removed(name), f"the home of {name} is removed", 60)
        say(f"{name} and its home are gone")

    async def _home_is_removed(self, name: str) -> bool:
        homes = [one for one in await self.porthole.homes.list() if one.name == name]
        for home in homes:
            with contextlib.suppress(ClientError):  # whose holder has just ended
                await self.porthole.homes.delete(home.id)
        labels = "app.kubernetes.io/part-of=porthole"
        claims = await self.api.items(CLAIMS.path(SESSIONS), labels)
        named = [one["metadata"]["annotations"].get("porthole.dev/home-name") for one in claims]
        return not homes and name not in named


class Life:
    """One session, from the order to the end of all that it was.

    Args:
        ground: where.
        story: who dies.
    """

    def __init__(self, ground: Ground, story: KillStory) -> None:
        self._ground = ground
        self._story = story
        self._name = ""
        self._losses = 0

    async def is_told(self) -> None:
        """Tell the story; whatever is not as it must be is an assertion that fails.

        Where two may do the same thing, and only one of them has a place there, a life may go
        by without it: then another session lives.
        """
        async with _Watch(self._ground, self._story) as watch:
            for _ in range(_LIVES):
                await self._live()
                if await watch.everybody_has_died():
                    return
            raise AssertionError(f"Nobody was at {watch.left} in {_LIVES} lives.")

    async def _live(self) -> None:
        self._name, self._losses = f"k{uuid4().hex[:10]}", 0
        ground, story = self._ground, self._story
        async with Chronicle.of(ground, self._name) as chronicle:
            identity = await ground.create(self._name, story.template)
            await self._killed(story.create)
            await ground.reaches(self._name, "Running", restarts=self._losses)
            await ground.is_told(identity, "Running")
            await ground.is_looked_at(identity, story.template)
            for who in story.running:
                await self._killed((who,))
                await ground.reaches(self._name, "Running", restarts=self._losses)
            if story.sleeps:
                await ground.porthole.sessions.hibernate(identity)
                await ground.reaches(self._name, "Hibernated", restarts=self._losses)
                await ground.porthole.sessions.wake(identity)
                await ground.reaches(self._name, "Running", restarts=self._losses)
            await ground.is_looked_at(identity, story.template)
            await ground.porthole.sessions.delete(identity)
            await self._killed(story.delete, ending=True)
            await ground.is_gone(self._name, identity)
        wakes = int(story.sleeps)
        chronicle.check(restarts=story.losses, starts=1 + story.losses + wakes)

    async def _killed(self, victims: tuple[str, ...], *, ending: bool = False) -> None:
        for who in victims:

            async def struck(who: str = who) -> bool:
                with contextlib.suppress(AssertionError):
                    await self._ground.casualties.kill(who, self._name)
                    return True
                return False

            # A session's parts may be gone before they are found.
            if ending and who in {"gate", "desktop", "pod"}:
                await struck()
            else:
                await until(struck, f"{who} to kill", 60)
            say(f"{who} was killed")
            if who in {"desktop", "pod"} and not ending:
                self._losses += 1


class _Watch:
    """Sees who dies at a place, so that nobody else does, and nobody waits for the dead."""

    def __init__(self, ground: Ground, story: KillStory) -> None:
        self._ground = ground
        self.left = dict(story.places)
        self._known: dict[str, set[str]] = {}

    async def __aenter__(self) -> Self:
        casualties = self._ground.casualties
        for program in self.left:
            self._known[program] = await casualties.deaths(program)
        await asyncio.gather(*(casualties.arm(*one) for one in self.left.items()))
        self._holder = await casualties.holder("operator")
        self._task = asyncio.create_task(self._look())
        say(f"armed: {self.left}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(self._ground.casualties.disarm(one) for one in self.left))

    async def _look(self) -> None:
        casualties = self._ground.casualties
        while self.left:
            for program in list(self.left):
                if await casualties.deaths(program) - self._known[program]:
                    await casualties.disarm(program)
                    if program == "operator":
                        await casualties.free_lease(program, self._holder)
                    say(f"{program} died at {self.left.pop(program)}")
            await asyncio.sleep(0.3)

    async def everybody_has_died(self) -> bool:
        """Whether each has died at its place by now, or does in a moment."""
        await asyncio.wait([self._task], timeout=15)
        if self._task.done():
            self._task.result()
        return self._task.done()


def say(what: str) -> None:
    """Say what is so by now, for those who read why a story failed or where its time went."""
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", flush=True)


async def until(
    look: Callable[[], Awaitable[bool]], what: Callable[[], str] | str, within: float
) -> None:
    """Look again and again until it is so."""
    end = time.monotonic() + within
    while not await look():
        said = what if isinstance(what, str) else what()
        assert time.monotonic() < end, f"not within {within:.0f} s: {said}"
        await asyncio.sleep(0.3)
