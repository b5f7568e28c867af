"""Those who use it: each with sessions of their own, one call after the other, and a log of them.

A call is repeated until it is answered, as a good client does, and now and then once more
though it was answered. Whether it had an effect is read in the witness' journal.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from e2e.chaos.checker import TOLD_AGAIN_WITHIN
from e2e.chaos.entries import Buried, Call, Entry, Held
from e2e.chaos.place import Deployment, Tail

_PATIENCE = 60.0
"""Seconds that somebody waits for an effect before they go on; the judge decides."""
_RUNS_WITHIN = 15.0
_KNOWN_AGAIN_WITHIN = 45.0
_LOOK_EVERY = 0.02
_LOOK_AGAIN_AFTER = 1.0


@dataclass
class Mine:
    """A session as its user knows it."""

    key: str
    session: str = ""
    mark: int = 0
    desired: str = "Running"
    ended: bool = False
    held: Held | None = None
    buried: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def place(self) -> str:
        """Where it is; "" if nobody has it yet."""
        return self.held.place if self.held is not None else ""

    @property
    def runs(self) -> bool:
        """Whether its desktop is to be seen."""
        return self.held is not None and self.held.phase == "Running"


class Driver:
    """All users, and what they know.

    Args:
        deployment: what they use.
        seed: of what they do.
    """

    def __init__(self, deployment: Deployment, seed: int) -> None:
        self._deployment = deployment
        self._chance = random.Random(seed)
        self.mine: dict[str, Mine] = {}
        self._by_session: dict[str, Mine] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._tails = [Tail(deployment.journal_of(name)) for name in deployment.place_folders]
        self.stopping = asyncio.Event()
        self.client = deployment.client()

    async def run(self, lifecycles: int, changers: int) -> None:
        """Use it until `stopping` is set; what is begun then is brought to its answer."""
        following = asyncio.create_task(self.follow())
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(lifecycles):
                    group.create_task(self._lives(number))
                for _ in range(changers):
                    group.create_task(self._changes())
            await asyncio.gather(*self._errands)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def follow(self) -> None:
        """Take in what places do, until cancelled."""
        while True:
            for tail in self._tails:
                for entry in tail.fresh():
                    self._take(entry)
            await asyncio.sleep(_LOOK_EVERY)

    def _take(self, entry: Entry) -> None:
        match entry:
            case Held(session=session, key=key):
                # A create that was never answered may have been done.
                if (mine := self._whose(session, key)) is not None:
                    mine.held = entry
                    mine.news.set()
            case Buried(session=session):
                if (mine := self._by_session.get(session)) is not None:
                    mine.buried = True
                    mine.news.set()
            case _:
                pass

    def _whose(self, session: str, key: str) -> Mine | None:
        """Return what is known of a session; None: nobody here has asked for it.

        A create that is sent again makes another one if a backup did not know the first. Nobody
        waits for that one, but it has to be ended like all others.
        """
        known = self._by_session.get(session) or self.mine.get(key)
        if known is None or known.session == session:
            return known
        if known.session:
            known = self.mine[session] = Mine(key)
            self._begin(self._end_once_held(known))
        known.session = session
        self._by_session[session] = known
        return known

    def alive(self) -> list[Mine]:
        """Return the sessions that are known and not ended."""
        return [one for one in self.mine.values() if one.session and not one.ended]

    # Lives

    def errand(self, place: str) -> asyncio.Task[None]:
        """Have somebody use one session from its beginning to its end, at a place if one is named.

        It is brought to its end whether or not somebody waits for it.
        """
        return self._begin(self._errand(place))

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)
        return task

    async def _errand(self, place: str) -> None:
        mine = await self.create("sleeper", place)
        if mine is not None:
            await self._until(mine, lambda one: one.runs, _RUNS_WITHIN)
            await self.do(mine, "delete")
            await self.effect(mine)

    async def _lives(self, number: int) -> None:
        """Have one session after the other, each with a whole life."""
        await asyncio.sleep(0.7 * number)
        count = number
        while not self.stopping.is_set():
            count += 1
            mine = await self.create("desktop" if count % 10 == 0 else "sleeper")
            if mine is None:
                continue
            for step in self._chance.choice(_LIVES):
                if self.stopping.is_set():
                    break
                if step == "running":
                    await self._until(mine, lambda one: one.runs, _RUNS_WITHIN)
                    continue
                await self.do(mine, step)
                # Who is impatient gives the next order while the one before is on its way.
                if self._chance.random() < 0.7:
                    await self.effect(mine)
            if mine.held is None:
                self._begin(self._end_once_held(mine))
            elif not self.stopping.is_set() or self._chance.random() < 0.5:
                await self.do(mine, "delete")
                await self.effect(mine)

    async def _end_once_held(self, mine: Mine) -> None:
        """End a session when a place has it: an earlier end would hide that it was lost.

        Nobody waits for that, and what is left alive would fill the places up.
        """
        if await self._until(mine, lambda one: one.held is not None, None):
            await self.do(mine, "delete")
            await self.effect(mine)

    async def _changes(self) -> None:
        """Have one session, and change it again and again."""
        while not self.stopping.is_set():
            mine = await self.create("sleeper")
            while mine is not None and not self.stopping.is_set() and not mine.ended:
                if not await self.do(mine, "change"):
                    break
                await self.effect(mine)
                await asyncio.sleep(0.05)

    async def effect(self, mine: Mine) -> bool:
        """Wait until what was asked for last has happened; False: it has not in time."""

        def done(one: Mine) -> bool:
            held = one.held
            if one.ended:
                return one.buried
            return held is not None and held.mark >= one.mark and held.desired == one.desired

        asked = time.monotonic()

        def done_or_forgotten(one: Mine) -> bool:
            restored = self._deployment.restored_at
            forgotten = asked < restored + TOLD_AGAIN_WITHIN < time.monotonic()
            return done(one) or forgotten

        await self._until(mine, done_or_forgotten, _PATIENCE)
        return done(mine)

    async def _until(self, mine: Mine, done: Any, within: float | None) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not done(mine) and not self.stopping.is_set():
                    mine.news.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_AGAIN_AFTER):
                            await mine.news.wait()
        return bool(done(mine))

    # Calls

    async def create(self, template: str, place: str = "") -> Mine | None:
        """Ask for a session; None if it was refused, or never answered."""
        mine = Mine(uuid4().hex)
        self.mine[mine.key] = mine
        body: dict[str, Any] = {"template": template, "labels": {"key": mine.key, "mark": "0"}}
        body |= {"agent": place} if place else {}
        answer = await self._told("create", mine, "POST", "/sessions", body)
        if answer is None or answer.status_code != httpx.codes.ACCEPTED:
            return None
        if self._chance.random() < 0.3:
            await self._told("create", mine, "POST", "/sessions", body)
        return mine

    async def do(self, mine: Mine, step: str) -> bool:
        """Do one thing with a session; whether it was accepted."""
        path = f"/sessions/{mine.session}"
        match step:
            case "change":
                mine.mark += 1
                body: Any = {"labels": {"mark": str(mine.mark)}}
                answer = await self._told(step, mine, "PATCH", path, body)
            case "hibernate" | "wake":
                wanted = "Hibernated" if step == "hibernate" else "Running"
                answer = await self._told(step, mine, "PATCH", path, {"desired": wanted})
                if answer is not None and answer.status_code == httpx.codes.ACCEPTED:
                    mine.desired = wanted
            case _:
                answer = await self._told(step, mine, "DELETE", path, None)
                mine.ended = answer is not None
        return answer is not None and answer.status_code == httpx.codes.ACCEPTED

    async def _told(
        self, verb: str, mine: Mine, method: str, path: str, body: Any
    ) -> httpx.Response | None:
        """Call until there is an answer, and write it down."""
        begun = time.monotonic()
        # What is sent again has the same key: a replica that stood still may do it late.
        key = mine.key if verb == "create" else uuid4().hex
        answer = await self._call(method, path, body, key)
        outcome = "unknown"
        if answer is not None:
            outcome = "accepted" if answer.status_code == httpx.codes.ACCEPTED else "refused"
            if verb == "create" and outcome == "accepted":
                self._whose(answer.json()["id"], mine.key)
        mark = mine.mark if verb in {"create", "change"} else -1
        told = answer.json()["id"] if outcome == "accepted" and answer else mine.session
        ended = time.monotonic()
        self._deployment.say(Call(begun, ended, verb, mine.key, told, mark, outcome))
        return answer

    async def _call(self, method: str, path: str, body: Any, key: str) -> httpx.Response | None:
        headers = {"Idempotency-Key": key}
        begun = time.monotonic()
        pause = 0.1
        while time.monotonic() < begun + _PATIENCE:
            with contextlib.suppress(httpx.HTTPError):
                answer = await self.client.request(method, path, json=body, headers=headers)
                unknown = answer.status_code == httpx.codes.NOT_FOUND and method != "POST"
                # A database that was put back knows it again when its agent has told of it.
                if unknown and time.monotonic() < begun + _KNOWN_AGAIN_WITHIN:
                    pass
                elif answer.status_code < 500 and answer.status_code != 429:
                    return answer
            await asyncio.sleep(pause * self._chance.uniform(0.5, 1.0))
            pause = min(2 * pause, 1.0)
        return None


_LIVES = (
    ("running", "change", "change"),
    ("running", "hibernate", "wake", "running", "change"),
    ("change", "hibernate", "change", "wake"),
    ("hibernate", "wake", "running"),
    ("running",),
    ("change",),
    (),
)
"""What people do between a session's beginning and its end."""
