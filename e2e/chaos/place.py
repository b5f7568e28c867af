"""The deployment of a run: a Postgres, replicas behind the front, and agents with real desktops."""

import asyncio
import contextlib
import json
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from e2e.chaos.entries import Entry, Restored, line, read_line
from e2e.chaos.front import Front
from e2e.chaos.part import ROOT, Part
from e2e.chaos.start import CLOCK, DEAF, JOURNAL, PLACE, PLANTED
from porthole_contract.failpoints import VARIABLE
from porthole_control.db import layout
from tests.support.ports import free_port

_READY_WITHIN = 90.0
SLEEPER = {
    "title": "A program that sleeps",
    "protocols": ["vnc"],
    "programs": [{"name": "Sleep", "command": ["sleep", "infinity"], "autostart": True}],
    "packages": ["openbox", "tigervnc-standalone-server"],
    "defaults": {"display": {"width": 320, "height": 240}},
    "resources": {
        "requests": {"cpu": "10m", "memory": "32Mi"},
        "limits": {"cpu": "1", "memory": "512Mi", "storage": "64Mi"},
    },
    "egress": {"mode": "none"},
}
"""The template of most sessions: a real supervisor, gate and screen, and nothing on it."""


class Deployment:
    """All parts, and the story that the run itself writes."""

    def __init__(self, folder: Path, *, replicas: int, agents: int, planted: str) -> None:
        self.folder = folder
        self.home = folder / "control"
        self.ports = [free_port() for _ in range(replicas)]
        self.front: Front
        self.story = folder / "story.jsonl"
        self.deaf = folder / "deaf"
        self._planted = planted
        self._names = [f"place-{number}" for number in range(agents)]
        self._backup: float | None = None
        self.restored_at = -math.inf
        self.replicas: list[Part] = []
        self.agents: list[Part] = []
        self.postgres = self._part("postgres", "porthole_control.db.embedded", is_plain=True)

    # Parts

    def _part(
        self, name: str, program: str, *words: str, is_plain: bool = False, **environment: str
    ) -> Part:
        starter = () if is_plain else ("e2e.chaos.start",)
        more = ("--home", str(self.home)) if is_plain else words
        command = [sys.executable, "-m", *starter, program, *more]
        points = self.folder / "failpoints" / name
        points.mkdir(parents=True, exist_ok=True)
        logs = self.folder / "log"
        logs.mkdir(exist_ok=True)
        everywhere = {
            VARIABLE: str(points),
            PLANTED: self._planted,
            CLOCK: str(self._set_right(name)),
            **environment,
        }
        return Part(name, command, everywhere, logs / f"{name}.log")

    def clock_file(self, name: str) -> Path:
        """Return the file that says by how many seconds a part's clock is wrong."""
        return self.folder / "clocks" / name

    def _set_right(self, name: str) -> Path:
        file = self.clock_file(name)
        file.parent.mkdir(exist_ok=True)
        file.write_text("0")
        return file

    def point(self, part: Part, name: str) -> Path:
        """Return the file that asks for a failpoint of a part."""
        return self.folder / "failpoints" / part.name / name

    @property
    def url(self) -> str:
        """What everybody dials."""
        return f"http://127.0.0.1:{self.front.port}"

    @property
    def token(self) -> str:
        """The administrator's."""
        return (self.home / "secrets" / "admin-token").read_text().strip()

    def client(self, patience: float = 6.0) -> httpx.AsyncClient:
        """Return a client that speaks to whichever replica the front chooses."""
        headers = {"Authorization": f"Bearer {self.token}"}
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.AsyncClient(
            base_url=f"{self.url}/api/v1", headers=headers, timeout=patience, limits=limits
        )

    @property
    def place_folders(self) -> dict[str, Path]:
        """Return the folder of each agent's runtime."""
        return {name: self.folder / name / "agent" for name in self._names}

    def journal_of(self, place: str) -> Path:
        """Return the file in which the witness of a place writes."""
        return self.folder / f"{place}.jsonl"

    # Life

    async def up(self) -> None:
        """Start everything; returns when every agent is linked and offers what sessions need."""
        self.home.mkdir()
        self.postgres.start()
        await until(self._answers, _READY_WITHIN, "the database")
        (self.home / "run").mkdir()
        for number, port in enumerate(self.ports):
            replica = self._part(
                f"replica-{number}",
                "porthole_control",
                PORTHOLE_HOME=str(self.home),
                PORTHOLE_PORT=str(port),
                PORTHOLE_PUBLIC_URL=self.url,
                PORTHOLE_INTERNAL=f"unix:{self.home}/run/internal-{number}.sock",
                PORTHOLE_SESSIONS_PER_OWNER="100000",
                **{DEAF: str(self.deaf)},
            )
            self.replicas.append(replica)
            replica.start()
            await until(lambda port=port: serves(port), _READY_WITHIN, replica.name)  # type: ignore[misc]
        async with self.client() as client:
            for name in self._names:
                await self._join(client, name)
                self.journal_of(name).touch()
                self.agents.append(self._agent(name))
                self.agents[-1].start()
            made = await client.post("/templates", json={"name": "sleeper", "spec": SLEEPER})
            assert made.status_code == 201, made.text
            await until(lambda: self._is_offered(client), _READY_WITHIN, "the template")

    def _agent(self, name: str) -> Part:
        return self._part(
            name,
            "porthole_agent",
            PORTHOLE_HOME=str(self.folder / name),
            PORTHOLE_AGENT_INVENTORY_EVERY="PT10S",
            PORTHOLE_AGENT_CPU="1000",
            PORTHOLE_AGENT_MAX_SESSIONS="30",
            **{JOURNAL: str(self.journal_of(name)), PLACE: name},
        )

    def twin_of(self, agent: Part) -> Part:
        """Return another process with the same identity and the same folder."""
        twin = self._agent(agent.name)
        twin.name = f"{agent.name}-twin"
        return twin

    async def _join(self, client: httpx.AsyncClient, name: str) -> None:
        made = (await client.post("/agents/join-tokens", json={"name": name})).raise_for_status()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "porthole_agent", "enrol", self.url),
            env={"PORTHOLE_HOME": str(self.folder / name), "PATH": "/usr/bin:/bin"},
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        await process.communicate(made.json()["token"].encode())
        assert process.returncode == 0

    async def _is_offered(self, client: httpx.AsyncClient) -> bool:
        templates = (await client.get("/templates")).json()["items"]
        sleeper = next(one for one in templates if one["name"] == "sleeper")
        offering = [one for one in templates if one["name"] == "desktop"]
        agents = (await client.get("/agents")).json()["items"]
        return (
            sum(bool(one["linked"]) for one in agents) == len(self._names)
            and bool(offering)
            and len(offering[0]["offers"]) == len(self._names)
            and sleeper["available"]
        )

    async def down(self) -> None:
        """End everything; what the sessions have running is not theirs to end."""
        await asyncio.gather(*(agent.close() for agent in self.agents))
        await asyncio.gather(*(replica.close() for replica in self.replicas))
        await self.postgres.close()

    # The database

    def admin(self) -> "psycopg.Connection[Any]":
        """Return a connection as the superuser, in autocommit, that may write whatever is set."""
        conninfo = layout.conninfo(self.home, admin=True, database=layout.DATABASE)
        return psycopg.connect(
            conninfo,
            autocommit=True,
            connect_timeout=5,
            application_name="chaos",
            options="-c default_transaction_read_only=off",
        )

    async def _answers(self) -> bool:
        try:
            await asyncio.to_thread(lambda: self.admin().close())
        except Exception:  # noqa: BLE001 - whatever it is, it does not answer
            return False
        return True

    async def database_answers(self) -> None:
        """Wait until the database answers."""
        await until(self._answers, _READY_WITHIN, "the database")

    async def back_up(self) -> None:
        """Keep what the database has on disk at one moment: as if the power had failed then."""
        kept = self.folder / "backup"
        shutil.rmtree(kept, ignore_errors=True)
        family = self.postgres.family()
        try:
            _send(family, signal.SIGSTOP)
            self._backup = time.monotonic()
            data = self.home / "postgres" / "data"
            done = await asyncio.create_subprocess_exec("cp", "-a", str(data), str(kept))
            assert await done.wait() == 0
        finally:
            _send(family, signal.SIGCONT)

    async def restore(self) -> bool:
        """Put the database back to what was kept; whether there was something."""
        if self._backup is None:
            return False
        data = self.home / "postgres" / "data"
        await self.postgres.end()
        await asyncio.to_thread(shutil.rmtree, data)
        done = await asyncio.create_subprocess_exec(
            "cp", "-a", str(self.folder / "backup"), str(data)
        )
        assert await done.wait() == 0
        self.postgres.start()
        await self.database_answers()
        self.restored_at = time.monotonic()
        self.say(Restored(self.restored_at, self._backup))
        return True

    # The story

    def say(self, entry: Entry) -> None:
        """Write a line of the run's own."""
        with self.story.open("a", encoding="utf-8") as file:
            file.write(f"{line(entry)}\n")

    def journals(self) -> list[Path]:
        """Return every file with a part of the story."""
        return [self.story, *(self.journal_of(name) for name in self._names)]

    def words(self, session: str, most: int = 40) -> list[str]:
        """Return what the logs of all parts say of a session."""
        found = []
        for log in sorted((self.folder / "log").glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()
            found += [f"{log.stem}: {text}" for text in lines if session in text]
        return found[-most:]


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def serves(port: int) -> bool:
    """Whether a replica answers there."""
    try:
        async with httpx.AsyncClient(timeout=3) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/api/v1/sessions")
    except httpx.HTTPError:
        return False
    return answer.status_code == 401


async def until(look: Callable[[], Any], within: float, what: str) -> None:
    """Wait until a look shows that it is so."""
    end = time.monotonic() + within
    while not await look():
        assert time.monotonic() < end, f"not within {within:.0f} s: {what}"
        await asyncio.sleep(0.1)


def records(folder: Path) -> list[dict[str, Any]]:
    """Return the records that a place has on disk, as JSON."""
    return [json.loads(path.read_text()) for path in folder.glob("sessions/*/record.json")]


class Tail:
    """What is being written to a place's journal, line by line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._rest = b""

    def fresh(self) -> list[Entry]:
        """Return the entries that came since the last look."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        self._at += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [read_line(text.decode()) for text in whole]


@asynccontextmanager
async def a_deployment(
    folder: Path, seed: int, *, replicas: int, agents: int, planted: str = ""
) -> AsyncIterator[Deployment]:
    """Run everything for as long as the context lasts."""
    made = Deployment(folder, replicas=replicas, agents=agents, planted=planted)
    async with Front.open(made.ports, seed) as front:
        made.front = front
        try:
            await made.up()
            yield made
        finally:
            await made.down()
