"""How each fault is done: one function for each kind, which ends when it is healed."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg.errors import DeadlockDetected, LockNotAvailable

from e2e.chaos.driver import Driver
from e2e.chaos.entries import Fault
from e2e.chaos.front import MODES
from e2e.chaos.part import Part
from e2e.chaos.place import Deployment, serves, until
from e2e.chaos.plan import FAILPOINT, Planned
from e2e.chaos.scanning import pids_of
from e2e.support.viewers import viewer
from porthole_agent import failpoints as agent_points
from porthole_control import failpoints as control_points
from porthole_control.db import layout
from tests.support.scripted_agent import SaidGoodbye, ScriptedAgent

POINTS = (*agent_points.LOCAL, *control_points.NAMES)
_OTHERS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename = %s"
_TERMINATE = f"SELECT pg_terminate_backend(pid) FROM ({_OTHERS}) others"
_MOST_CONNECTIONS = 260
_KILLS_EVERY = 1.2
_BACK_WITHIN = 60.0
_LOCKED_WITHIN = 10.0
_LOSS_IS_SEEN = 5.0
"""Seconds that an agent is given to see a loss, before another desktop is struck."""

Doing = Callable[[Planned], Awaitable[str | None]]
"""Does a fault; returns who was struck, None if nobody could be."""


class Faults:
    """Does faults, and writes down when each was begun and healed."""

    def __init__(self, deployment: Deployment, driver: Driver) -> None:
        self._of = deployment
        self._driver = driver
        self._database = asyncio.Lock()
        self._deaf = 0
        self.missed: Counter[str] = Counter()
        """What could not be done: nobody was there to be struck, or a place was not passed."""
        self._done: dict[str, Doing] = {
            "postgres-restart": self._postgres_restart,
            "postgres-crash": self._postgres_crash,
            "backends-killed": self._backends_killed,
            "pool-exhausted": self._pool_exhausted,
            "connections-exhausted": self._connections_exhausted,
            "read-only": self._read_only,
            "restored": self._restored,
            "replica-kill": self._replica_kill,
            "kills": self._kills,
            "agent-kill": self._agent_kill,
            "agent-stopped": self._agent_stopped,
            "replica-stopped": self._replica_stopped,
            "replicas-rolled": self._replicas_rolled,
            "desktop-kill": self._desktop_kill,
            "link-cut": self._link_cut,
            "clock-agent": self._clock_agent,
            "clock-replica": self._clock_replica,
            "twin": self._twin,
            "doorbells": self._doorbells,
            FAILPOINT: self._failpoint,
            **dict.fromkeys(MODES, self._spoilt),
        }

    async def do(self, planned: Planned) -> None:
        """Do one fault; what could not be done is not written down."""
        begun, kind, done = time.monotonic(), planned.kind, None
        try:
            if kind == "restored":
                await self._keep_backup(planned.lasts)
                begun = time.monotonic()
            whom = done = await self._done[kind](planned)
        except (psycopg.Error, OSError, TimeoutError, AssertionError) as error:
            # What another fault has broken at the same time cannot be broken once more.
            print(f"{kind} was not done to its end: {error!r}"[:300], flush=True)
            kind, whom = f"{kind} (in part)", "somebody"
        self.missed[planned.point or planned.kind] += done is None
        for who in (whom or "").split():
            self._of.say(Fault(begun, time.monotonic(), kind, who, planned.point))

    def _agent(self, planned: Planned) -> Part:
        return self._of.agents[planned.whom % len(self._of.agents)]

    def _replica(self, planned: Planned) -> Part:
        return self._of.replicas[planned.whom % len(self._of.replicas)]

    async def _is_back(self, replica: Part) -> None:
        port = self._of.ports[self._of.replicas.index(replica)]
        await until(lambda: serves(port), _BACK_WITHIN, f"{replica.name} is back")

    # The database

    async def _postgres_restart(self, _: Planned) -> str:
        async with self._database:
            await self._of.postgres.end()
            self._of.postgres.start()
            await self._of.database_answers()
        return "postgres"

    async def _postgres_crash(self, _: Planned) -> str:
        async with self._database:
            server = self._of.postgres.family()[1:2]
            for pid in server:
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.1)
            await self._of.database_answers()
        return "postgres"

    async def _backends_killed(self, _: Planned) -> str:
        async with self._database:
            await asyncio.to_thread(self._end_backends)
        return "postgres"

    async def _pool_exhausted(self, planned: Planned) -> str:
        """Lock what every request needs: each one takes a connection, and keeps it."""
        async with self._database:
            await asyncio.to_thread(self._lock, planned.lasts)
        return "postgres"

    def _lock(self, lasts: float) -> None:
        end = time.monotonic() + _LOCKED_WITHIN
        while True:
            with self._of.admin() as admin:
                admin.execute("SET lock_timeout = '3s'")
                admin.execute("BEGIN")
                try:
                    admin.execute("LOCK TABLE sessions, agents IN ACCESS EXCLUSIVE MODE")
                except (DeadlockDetected, LockNotAvailable):
                    # Somebody's transaction was in the way; it is over soon.
                    if time.monotonic() > end:
                        raise
                    continue
                time.sleep(lasts)
                return

    async def _connections_exhausted(self, planned: Planned) -> str:
        async with self._database:
            await asyncio.to_thread(self._take_connections, planned.lasts)
        return "postgres"

    def _take_connections(self, lasts: float) -> None:
        conninfo = layout.conninfo(self._of.home)
        taken: list[psycopg.Connection[Any]] = []
        end = time.monotonic() + lasts
        try:
            with self._of.admin() as admin:
                admin.execute(_TERMINATE, [layout.ROLE])
                while time.monotonic() < end:
                    try:
                        if len(taken) < _MOST_CONNECTIONS:
                            taken.append(psycopg.connect(conninfo, connect_timeout=2))
                            continue
                    except psycopg.OperationalError:
                        pass
                    time.sleep(0.2)
        finally:
            for one in taken:
                one.close()

    async def _read_only(self, planned: Planned) -> str:
        async with self._database:
            set_to = "ALTER SYSTEM SET default_transaction_read_only = on"
            await asyncio.to_thread(self._set, set_to)
            try:
                await asyncio.sleep(planned.lasts)
            finally:
                reset = "ALTER SYSTEM RESET default_transaction_read_only"
                await asyncio.to_thread(self._set, reset)
        return "postgres"

    def _set(self, statement: str) -> None:
        with self._of.admin() as admin:
            admin.execute(statement)  # type: ignore[call-overload]
            admin.execute("SELECT pg_reload_conf()")

    def _end_backends(self) -> None:
        with self._of.admin() as admin:
            admin.execute(_TERMINATE, [layout.ROLE])

    async def _keep_backup(self, seconds: float) -> None:
        async with self._database:
            await self._of.back_up()
        await asyncio.sleep(seconds)

    async def _restored(self, _: Planned) -> str:
        async with self._database:
            await self._of.restore()
        return "postgres"

    # Processes

    async def _replica_kill(self, planned: Planned) -> str:
        replica = self._replica(planned)
        await replica.kill()
        await self._is_back(replica)
        return replica.name

    async def _agent_kill(self, planned: Planned) -> str:
        agent = self._agent(planned)
        await agent.kill()
        return agent.name

    async def _kills(self, planned: Planned) -> str:
        """Kill one replica and one agent again and again."""
        replica, agent = self._replica(planned), self._agent(planned)
        end = time.monotonic() + planned.lasts
        while time.monotonic() < end:
            await asyncio.gather(replica.kill(), agent.kill())
            await asyncio.sleep(_KILLS_EVERY)
        await self._is_back(replica)
        return f"{replica.name} {agent.name}"

    async def _stopped(self, part: Part, lasts: float) -> str:
        part.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(lasts)
        finally:
            part.signal(signal.SIGCONT)
        return part.name

    async def _agent_stopped(self, planned: Planned) -> str:
        return await self._stopped(self._agent(planned), planned.lasts)

    async def _replica_stopped(self, planned: Planned) -> str:
        return await self._stopped(self._replica(planned), planned.lasts)

    async def _replicas_rolled(self, _: Planned) -> str:
        for replica in self._of.replicas:
            await replica.end()
            replica.start()
            await self._is_back(replica)
        return "replicas"

    async def _desktop_kill(self, planned: Planned, place: str = "") -> str | None:
        """Kill the first process of a desktop, at this place if one is named: it is lost."""
        able = [one for one in self._driver.alive() if place in {"", one.place}]
        running = [(one.session, pids) for one in able if (pids := pids_of(one.session))]
        if not running:
            return None
        session, pids = running[planned.whom % len(running)]
        with contextlib.suppress(ProcessLookupError):
            os.kill(min(pids), signal.SIGKILL)
        return session

    async def _failpoint(self, planned: Planned) -> str | None:
        """Have a part kill itself at a place, as soon as it passes it."""
        is_agent = planned.point in agent_points.NAMES
        part = self._agent(planned) if is_agent else self._replica(planned)
        parts = [part] if is_agent else self._of.replicas
        files = {one.name: self._of.point(one, planned.point) for one in parts}
        for file in files.values():
            file.write_text("kill:1")
        lives = {one.name: one.lives for one in parts}
        place = part.name if is_agent else ""
        looking = asyncio.create_task(self._pass(planned.point, planned.whom, place))
        end = time.monotonic() + planned.lasts
        try:
            while time.monotonic() < end:
                passed = [name for name, file in files.items() if not file.exists()]
                if passed:
                    break
                await asyncio.sleep(0.05)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            for file in files.values():
                file.unlink(missing_ok=True)
        if not passed:
            return None
        for one in parts:
            if one.name in passed:
                count = lives[one.name]
                with contextlib.suppress(AssertionError):
                    await until(lambda one=one, c=count: _lives_again(one, c), 10.0, one.name)  # type: ignore[misc]
                if not is_agent:
                    await self._is_back(one)
        return passed[0]

    async def _pass(self, point: str, whom: int, place: str) -> None:
        """Do what passes a failpoint, again and again: it is not to wait for somebody's work."""
        while True:
            if point in control_points.CONNECT:
                await self._look(whom)
            elif point in agent_points.LOSE:
                await self._lose(whom, place)
            else:
                # Who asks goes on to the answer, though nobody waits for them any more.
                await asyncio.shield(self._driver.errand(place))
            await asyncio.sleep(0.2)

    async def _look(self, whom: int) -> None:
        if running := [one.session for one in self._driver.alive() if one.runs]:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(3):
                    session = running[whom % len(running)]
                    async with viewer(self._driver.client, session) as seen:
                        await seen.refresh()

    async def _lose(self, whom: int, place: str) -> None:
        begun = time.monotonic()
        lost = await self._desktop_kill(Planned(0.0, "desktop-kill", whom=whom), place)
        if lost:
            self._of.say(Fault(begun, time.monotonic(), "desktop-kill", lost))
            await asyncio.sleep(_LOSS_IS_SEEN)

    # Links

    async def _link_cut(self, _: Planned) -> str:
        self._of.front.cut()
        return "links"

    async def _spoilt(self, planned: Planned) -> str:
        async with self._of.front.spoiling(planned.kind):
            await asyncio.sleep(planned.lasts)
        return "links"

    async def _doorbells(self, planned: Planned) -> str:
        self._of.deaf.touch()
        self._deaf += 1
        try:
            await asyncio.sleep(planned.lasts)
        finally:
            self._deaf -= 1
            if not self._deaf:
                self._of.deaf.unlink(missing_ok=True)
        return "replicas"

    async def _twin(self, planned: Planned) -> str:
        """Run a second process of an agent; one of two kinds."""
        agent = self._agent(planned)
        if planned.whom % 2:
            await self._thief(agent, planned.lasts)
        else:
            twin = self._of.twin_of(agent)
            twin.start()
            try:
                await asyncio.sleep(planned.lasts)
            finally:
                await twin.close()
        return agent.name

    async def _thief(self, agent: Part, lasts: float) -> None:
        """Link with an agent's key, take what comes, and do nothing."""
        folder = self._of.place_folders[agent.name]
        identity = json.loads((folder / "identity.json").read_text())
        key = Ed25519PrivateKey.from_private_bytes((folder / "key").read_bytes())
        end = time.monotonic() + lasts
        url = self._of.url.replace("http://", "ws://")
        while time.monotonic() < end:
            thief = ScriptedAgent(UUID(identity["agent"]), key)
            thief.obedient = False
            with contextlib.suppress(OSError, SaidGoodbye, AssertionError, EOFError, Exception):
                async with asyncio.timeout(max(0.1, end - time.monotonic())):
                    async with thief.linked(url):
                        await asyncio.sleep(1.5)
            await asyncio.sleep(0.5)

    # Clocks

    async def _clock(self, part: Part, planned: Planned) -> str:
        file = self._of.clock_file(part.name)
        shift = (-45, -5, 5, 45, 3600)[planned.whom % 5]
        file.write_text(str(shift))
        try:
            await asyncio.sleep(planned.lasts)
        finally:
            file.write_text("0")
        return part.name

    async def _clock_agent(self, planned: Planned) -> str:
        return await self._clock(self._agent(planned), planned)

    async def _clock_replica(self, planned: Planned) -> str:
        return await self._clock(self._replica(planned), planned)


async def _lives_again(part: Part, lives: int) -> bool:
    return part.lives > lives and part.pid is not None
