"""One segment: everything up, used, broken as planned, healed, looked at, judged, down."""

import asyncio
import os
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from e2e.chaos.checker import Violation, check
from e2e.chaos.clearing import clear
from e2e.chaos.driver import Driver, Mine
from e2e.chaos.entries import Note, Shown, read
from e2e.chaos.faults import POINTS, Faults
from e2e.chaos.place import Deployment, a_deployment
from e2e.chaos.plan import HEALED, KINDS, LEAD, Planned, plan
from e2e.chaos.report import summary
from e2e.chaos.scanning import left, on_disk, scan
from e2e.support.told import commit

LIFECYCLES, CHANGERS = 3, 5
_SCAN_EVERY = 3.0
_SETTLES_WITHIN = 90.0
_FORGOTTEN_AFTER = 30.0
_WITH_A_BUG = 20.0
"""Seconds until everything has become of what was asked for; with a bug it may never."""
_NEVER_HEARD_OF = "(nothing)"
"""What is shown of a session that began and ended after a backup that was put back."""
_JUDGED_EVERY = 3.0
_NEED_NO_END = frozenset({"doubled", "order", "orphan"})
"""What cannot become right any more."""
_PASSING = {"Starting", "Waking", "Hibernating", "Terminating", "Pending"}


@dataclass
class Told:
    """How a segment went."""

    line: dict[str, Any]
    violations: list[Violation]
    begin: float
    words: dict[str, list[str]]


@dataclass(frozen=True)
class Wish:
    """What a segment is to be like; 0 replicas or agents: as many as its seed says.

    Attributes:
        until: violations of which one that is seen ends the segment.
    """

    seed: int
    minutes: float
    planted: str = ""
    kinds: tuple[str, ...] = KINDS
    points: tuple[str, ...] = POINTS
    replicas: int = 0
    agents: int = 0
    keep: bool = False
    until: frozenset[str] = frozenset()


async def tell(wish: Wish) -> Told:
    """Run one segment."""
    folder = Path(tempfile.mkdtemp(prefix="porthole-chaos-", dir="/var/tmp"))
    replicas = wish.replicas or 1 + wish.seed % 3
    agents = wish.agents or 1 + wish.seed // 3 % 2
    try:
        async with a_deployment(
            folder, wish.seed, replicas=replicas, agents=agents, planted=wish.planted
        ) as deployment:
            driver = Driver(deployment, wish.seed)
            async with driver.client:
                found, missed = await _used(deployment, driver, wish)
        if not found or not wish.until:
            for one in left(deployment):
                deployment.say(one)
        entries = read(deployment.journals())
        found += check(entries)
        violations = list({(one.kind, one.session, one.sentence): one for one in found}.values())
        line = summary(wish.seed, wish.minutes, entries, violations)
        line |= {"missed": dict(sorted(missed.items()))}
        line |= {"replicas": replicas, "agents": agents, "load": round(os.getloadavg()[0], 1)}
        line |= {"at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit()}
        words = {one.session: deployment.words(one.session) for one in violations if one.session}
        return Told(line, violations, entries[0].at, words)
    finally:
        told = read(folder.glob("*.jsonl"))
        clear(folder, {session for one in told if (session := getattr(one, "session", ""))})
        if wish.keep:
            print(f"The story and the logs are in {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _used(
    deployment: Deployment, driver: Driver, wish: Wish
) -> tuple[list[Violation], Counter[str]]:
    seconds = wish.minutes * 60
    end = time.monotonic() + seconds - min(HEALED, seconds / 4)
    planned = plan(wish.seed, seconds, points=wish.points, kinds=wish.kinds)
    faults = Faults(deployment, driver)
    using = asyncio.create_task(driver.run(LIFECYCLES, CHANGERS))
    scanning = asyncio.create_task(_scan(deployment, driver))
    try:
        begun = time.monotonic()
        # The first desktops begin all at once; what is compared with begins after them.
        await asyncio.sleep(min(LEAD, seconds / 4) / 2)
        deployment.say(Note(time.monotonic(), "calm"))
        striking = asyncio.create_task(_strike(faults, planned, begun, using))
        if found := await _seen(deployment, wish.until, striking, end):
            striking.cancel()
            await asyncio.gather(striking, return_exceptions=True)
            return found, +faults.missed
        deployment.say(Note(time.monotonic(), "healed"))
        await asyncio.sleep(min(HEALED, seconds / 4) / 2)
        driver.stopping.set()
        await using
        patience = _WITH_A_BUG if wish.planted else _SETTLES_WITHIN
        await _settle(deployment, driver, patience)
        entries = read(deployment.journals())
        found = check(entries)
        await _end_all(driver, patience, is_known=deployment.restored_at < 0)
        deployment.say(Note(time.monotonic(), "end"))
    finally:
        driver.stopping.set()
        for task in (using, scanning):
            task.cancel()
        await asyncio.gather(using, scanning, return_exceptions=True)
    return found, +faults.missed


async def _seen(
    deployment: Deployment, kinds: frozenset[str], striking: asyncio.Task[None], end: float
) -> list[Violation]:
    """Wait until all was done and the time is over; return violations of these kinds, if any.

    One is not waited for any longer; what only hindsight shows is for the end.
    """
    while not striking.done() or time.monotonic() < end:
        await asyncio.wait({striking}, timeout=_JUDGED_EVERY)
        if kinds & _NEED_NO_END:
            entries = await asyncio.to_thread(read, deployment.journals())
            if found := [one for one in check(entries) if one.kind in kinds & _NEED_NO_END]:
                return found
        if striking.done():
            await asyncio.sleep(min(_JUDGED_EVERY, max(0.0, end - time.monotonic())))
    await striking
    return []


async def _strike(
    faults: Faults, planned: list[Planned], begun: float, using: asyncio.Task[None]
) -> None:
    """Do what is planned, until all of it is healed, or there is nobody left to use anything."""
    async with asyncio.TaskGroup() as storm:
        for one in planned:
            await asyncio.sleep(max(0.0, begun + one.at - time.monotonic()))
            if using.done():
                break
            if one.is_alone:
                struck = time.monotonic()
                await faults.do(one)
                begun += max(0.0, time.monotonic() - struck - one.lasts)
            else:
                storm.create_task(faults.do(one))


async def _scan(deployment: Deployment, driver: Driver) -> None:
    while True:
        sessions = [one.session for one in driver.mine.values() if one.session]
        deployment.say(await asyncio.to_thread(scan, sessions))
        await asyncio.sleep(_SCAN_EVERY)


async def _settle(deployment: Deployment, driver: Driver, patience: float) -> None:
    """Wait until everything has become of what was asked for, or long enough; then look."""
    begun = time.monotonic()
    end = begun + patience
    following = asyncio.create_task(driver.follow())
    try:
        while time.monotonic() < end:
            shown = await _shown(driver)
            held = {one.session: one for one in on_disk(deployment) if hasattr(one, "phase")}
            # What a backup did not know will not come.
            is_known = deployment.restored_at < 0 or time.monotonic() < begun + _FORGOTTEN_AFTER
            if all(
                _is_settled(mine, shown.get(mine.session), held, is_known=is_known)
                for mine in _known(driver)
            ):
                break
            await asyncio.sleep(0.5)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    for entry in (*on_disk(deployment), *(await _shown(driver)).values()):
        deployment.say(entry)
    sessions = [one.session for one in driver.mine.values() if one.session]
    deployment.say(scan(sessions))
    deployment.say(Note(time.monotonic(), "end"))


def _known(driver: Driver) -> list[Mine]:
    return [one for one in driver.mine.values() if one.session]


def _is_settled(mine: Mine, shown: Shown | None, held: dict[str, Any], *, is_known: bool) -> bool:
    there = held.get(mine.session)
    if there is None or (mine.ended and is_known):
        gone = {"Terminated"} if is_known else {"Terminated", _NEVER_HEARD_OF}
        return there is None and shown is not None and shown.phase in gone
    return (
        shown is not None
        and there.phase not in _PASSING
        and (not is_known or (there.mark >= mine.mark and there.desired == mine.desired))
        and (shown.phase, shown.desired, shown.mark) == (there.phase, there.desired, there.mark)
    )


async def _shown(driver: Driver) -> dict[str, Shown]:
    """Return what the API shows of every session."""
    found: dict[str, Shown] = {}
    for mine in _known(driver):
        try:
            answer = await driver.client.get(f"/sessions/{mine.session}")
        except httpx.HTTPError:
            continue
        at = time.monotonic()
        if answer.status_code == httpx.codes.NOT_FOUND:
            found[mine.session] = Shown(at, mine.session, _NEVER_HEARD_OF, "", -1)
        elif answer.is_success:
            said = answer.json()
            mark = int(said["labels"].get("mark", "-1"))
            told = Shown(at, mine.session, said["phase"], said["desired"], mark)
            found[mine.session] = told
    return found


async def _end_all(driver: Driver, patience: float, *, is_known: bool) -> None:
    """End every session that lives, and wait until that has happened."""
    driver.stopping.clear()
    following = asyncio.create_task(driver.follow())
    try:
        # What no place ever had, a backup may not have had either.
        living = [one for one in _known(driver) if not one.buried and (is_known or one.held)]
        await asyncio.gather(*(driver.do(one, "delete") for one in living))
        async with asyncio.timeout(patience):
            await asyncio.gather(*(driver.effect(one) for one in living))
    except TimeoutError:
        pass
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
