"""Several control planes on one database behind a balancer without stickiness, and an agent."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
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
    """The deployment: a database, control planes, a balancer, and an agent that dials it.

    Attributes:
        balancer: what everybody dials.
        ports: where each control plane listens.
        planes: their processes.
        token: the administrator's.
    """

    def __init__(self, home: Path, ports: Sequence[int], balancer: B) -> None:
        self.home = home
        self.ports = ports
        self.balancer = balancer
        self.planes: list[Program] = []
        self.agent: Program
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

    async def join(self, machine: Path) -> Program:
        """Have a machine join by the line that is printed for it; wait for what it offers."""
        async with AsyncPorthole(self.url, self.token) as porthole:
            token = await porthole.agents.join_token("machine")
            assert token.url == self.url
            program = Program("agent", "join", token.url, token.token, "--home", str(machine))
            async with asyncio.timeout(_READY_WITHIN):
                while not any(one.available for one in await porthole.templates.list()):  # noqa: ASYNC110 - another process sets no event of ours
                    await asyncio.sleep(0.1)
            return program


@asynccontextmanager
async def control_planes(
    home: Path, machine: Path, count: int = 2, balancer: Callable[[Sequence[int]], B] = Line
) -> AsyncIterator[Planes[B]]:
    """Run all of it by hand, as `porthole up` would not."""
    ports = [free_port() for _ in range(count)]
    others: list[Program] = []
    async with balancer(ports).serving() as front:
        made = Planes(home, ports, front)
        try:
            others.append(_python("porthole_control.db.embedded", "--home", str(home)))
            await asyncio.to_thread(others[0].until_said, re.compile("(?m)^ready"), _READY_WITHIN)
            (home / "run").mkdir()
            for plane in range(count):
                await made.start(plane)
            made.token = (home / "secrets" / "admin-token").read_text().strip()
            made.agent = await made.join(machine)
            others.append(made.agent)
            yield made
        except BaseException:
            for number, plane in enumerate(made.planes):
                print(f"--- control plane {number}\n{plane.said[-4000:]}")
            raise
        finally:
            for one in (*others[1:], *made.planes, *others[:1]):
                await asyncio.to_thread(one.interrupt)


def _python(*words: str, **environment: str) -> Program:
    return Program(*words, environment=environment, program=(sys.executable, "-m"))
