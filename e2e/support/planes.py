"""Several control planes on one database behind a balancer without stickiness, and agents."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Generic, TypeVar

import httpx

from e2e.support.instance import Program
from e2e.support.line import Line
from e2e.support.relay import Relay
from e2e.support.viewers import api
from porthole_client import AsyncPorthole
from tests.support.ports import free_port

_READY_WITHIN = 60.0

B = TypeVar("B", bound=Relay)


class Planes(Generic[B]):
    """The deployment: a database, control planes, a balancer, and agents that dial it.

    Attributes:
        balancer: what everybody dials.
        ports: where each control plane listens.
        planes: their processes.
        agents: what has joined, by name.
        token: the administrator's.
    """

    def __init__(self, home: Path, ports: Sequence[int], balancer: B) -> None:
        self.home = home
        self.ports = ports
        self.balancer = balancer
        self.planes: list[Program] = []
        self.agents: dict[str, Program] = {}
        self.token = ""

    @property
    def url(self) -> str:
        """What everybody dials."""
        return f"http://127.0.0.1:{self.balancer.port}"

    def past_the_balancer(self, plane: int) -> httpx.AsyncClient:
        """Return a client of this one."""
        return api(f"http://127.0.0.1:{self.ports[plane]}", self.token)

    def last_to_say(self, event: str) -> Program:
        """Return the process whose log tells of this event last."""

        def said(plane: Program) -> str:
            lines = [json.loads(line) for line in plane.lines if f'"{event}"' in line]
            return max((str(line["timestamp"]) for line in lines), default="")

        return max(self.planes, key=said)

    @property
    def linked(self) -> int:
        """Which of them the agent has linked to last."""
        return self.planes.index(self.last_to_say("linked"))

    async def start(self, plane: int) -> None:
        """Start a control plane, the first time or again."""
        program = _python(
            "porthole_control",
            PORTHOLE_HOME=str(self.home),
            PORTHOLE_PORT=str(self.ports[plane]),
            PORTHOLE_PUBLIC_URL=self.url,
            PORTHOLE_INTERNAL=f"unix:{self.home}/run/internal-{plane}.sock",
        )
        self.planes[plane : plane + 1] = [program]
        await asyncio.to_thread(program.until_said, re.compile('"serving"'), _READY_WITHIN)

    async def join(self, name: str, machine: Path) -> None:
        """Have a machine join by the line that is printed for it; wait for what it offers."""
        async with AsyncPorthole(self.url, self.token) as porthole:
            token = await porthole.agents.join_token(name)
            assert token.url == self.url
            words = ("agent", "join", token.url, token.token, "--home", str(machine))
            self.agents[name] = Program(*words)
            async with asyncio.timeout(_READY_WITHIN):
                while not any(  # noqa: ASYNC110 - another process sets no event of ours
                    offer.agent == name and offer.offered
                    for one in await porthole.templates.list()
                    for offer in one.offers
                ):
                    await asyncio.sleep(0.1)


@asynccontextmanager
async def control_planes(
    home: Path,
    machines: Mapping[str, Path],
    count: int = 2,
    balancer: Callable[[Sequence[int]], B] = Line,
) -> AsyncIterator[Planes[B]]:
    """Run all of it by hand, as `porthole up` would not: the agents by name, each at a home."""
    ports = [free_port() for _ in range(count)]
    database: list[Program] = []
    async with balancer(ports).serving() as front:
        made = Planes(home, ports, front)
        try:
            database.append(_python("porthole_control.db.embedded", "--home", str(home)))
            await asyncio.to_thread(database[0].until_said, re.compile("(?m)^ready"), _READY_WITHIN)
            (home / "run").mkdir()
            for plane in range(count):
                await made.start(plane)
            made.token = (home / "secrets" / "admin-token").read_text().strip()
            for name, machine in machines.items():
                await made.join(name, machine)
            yield made
        except BaseException:
            for number, plane in enumerate(made.planes):
                print(f"--- control plane {number}\n{plane.said[-4000:]}")
            raise
        finally:
            for one in (*made.agents.values(), *made.planes, *database):
                await asyncio.to_thread(one.interrupt)


def _python(*words: str, **environment: str) -> Program:
    return Program(*words, environment=environment, program=(sys.executable, "-m"))
