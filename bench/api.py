"""The API at a steady rate, its process on one core, beside its own `/healthz`."""

import asyncio
import os
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pydantic_core import from_json, to_json

from bench.agents import a_quick_agent, plenty, until_linked, ws_url
from bench.figures import Figure, percentile
from bench.instance import Instance
from tests.support.reaper import descendants

_RATE = 350
_FOR = 15.0
_BOUND = 0.05
_STEPS = (50, 100, 150, 200, 250, 300, 350)
_SESSIONS = 40
MIX = (("show", 55), ("list", 25), ("change", 12), ("create and end", 8))
"""Of a hundred requests; creating and ending take turns."""


class _Connections:
    """HTTP/1.1 with as little work as possible: what is measured is the other side.

    A library's client takes longer for a request than the server does.
    """

    def __init__(self, instance: Instance) -> None:
        self._host, self._port = instance.url.removeprefix("http://").split(":")
        self._token = instance.api.headers["authorization"]
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.refused = 0

    async def request(self, method: str, path: str, body: object = None) -> bytes:
        """Return the body of the answer, empty if it was "try again" (503).

        Raises:
            RuntimeError: it was neither that nor success.
        """
        if not self._idle:
            self._idle.append(await asyncio.open_connection(self._host, int(self._port)))
        reader, writer = self._idle.pop()
        content = b"" if body is None else to_json(body)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Authorization: {self._token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        writer.write(head.encode() + content)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = re.search(r"\ncontent-length: (\d+)", answer)
        found = await reader.readexactly(int(length[1]) if length else 0)
        self._idle.append((reader, writer))
        if answer[9:12] == "503":
            self.refused += 1
            return b""
        if answer[9] != "2":
            raise RuntimeError(f"{method} {path}: {answer.splitlines()[0]}")
        return found

    def close(self) -> None:
        """Close all connections."""
        for _, writer in self._idle:
            writer.close()


async def _steadily(rate: int, seconds: float, one: Callable[[], Awaitable[object]]) -> list[float]:
    """Return the seconds that each of so many calls took, sent in time whatever the others do."""
    times: list[float] = []

    async def timed() -> None:
        begun = time.perf_counter()
        await one()
        times.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
            group.create_task(timed())
    return times


async def _load(api: _Connections, sessions: list[str], rate: int, seconds: float) -> list[float]:
    rng = random.Random(7)
    made: list[str] = []
    kinds = [kind for kind, _ in MIX]
    shares = [share for _, share in MIX]

    async def one() -> None:
        path = f"/api/v1/sessions/{rng.choice(sessions)}"
        match rng.choices(kinds, shares)[0]:
            case "show":
                await api.request("GET", path)
            case "list":
                await api.request("GET", "/api/v1/sessions?limit=20")
            case "change":
                await api.request("PATCH", path, {"labels": {"n": str(rng.random())[2:]}})
            case _ if made and rng.random() < 0.5:
                await api.request("DELETE", f"/api/v1/sessions/{made.pop()}")
            case _:
                body = {"template": "desktop", "agent": "quick"}
                if answer := await api.request("POST", "/api/v1/sessions", body):
                    made.append(from_json(answer)["id"])

    return await _steadily(rate, seconds, one)


@asynccontextmanager
async def _a_core_for(process: int) -> AsyncIterator[None]:
    """Hold a process to one core, and all others of this run to the rest.

    Whom it wakes, the database above all, would be put onto its core and take its turn.
    """
    cores = os.sched_getaffinity(0)
    own = {min(cores)}
    _hold(process, own)
    others = [os.getpid(), *(one for one in descendants() if one != process)]
    for one in others:
        _hold(one, cores - own or cores)
    try:
        yield
    finally:
        for one in others:
            _hold(one, cores)


def _hold(process: int, cores: set[int]) -> None:
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        for task in (Path("/proc") / str(process) / "task").iterdir():
            os.sched_setaffinity(int(task.name), cores)


async def measure(instance: Instance) -> list[Figure]:
    """Measure the 95th percentile at 350 requests a second."""
    agent = await a_quick_agent(instance)
    own = await instance.part("control-plane")
    async with _a_core_for(own), agent.linked(ws_url(instance)):
        agent.describe(capacity=plenty())
        await until_linked(instance.api, agent)
        sessions = []
        for _ in range(_SESSIONS):
            body = {"template": "desktop", "agent": "quick"}
            made = (await instance.api.post("/api/v1/sessions", json=body)).raise_for_status()
            sessions.append(made.json()["id"])
        api = _Connections(instance)
        bare = await _steadily(_RATE, 3, lambda: api.request("GET", "/healthz"))
        kept = 0
        for rate in _STEPS:
            if percentile(await _load(api, sessions, rate, 5), 95) > _BOUND:
                break
            kept = rate
        times = await _load(api, sessions, _RATE, _FOR)
        refused = api.refused
        api.close()
    mix = ", ".join(f"{share} % {kind}" for kind, share in MIX)
    return [
        Figure(
            name=f"API at {_RATE} requests/s on one core, p95",
            value=percentile(times, 95) * 1000,
            unit="ms",
            baseline=percentile(bare, 95) * 1000,
            against="/healthz at the same rate",
            better="less",
            goal=50,
            judged="value",
            note=f"{mix}; {refused} of all requests were told to try again",
        ),
        Figure(
            name=f"API on one core, highest rate with p95 of {_BOUND * 1000:.0f} ms",
            value=kept,
            unit="requests/s",
            baseline=_RATE,
            against="what is promised",
            better="more",
            goal=_RATE,
            judged="value",
            note=f"{mix}; tried: {', '.join(map(str, _STEPS))}",
        ),
    ]
