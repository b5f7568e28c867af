"""The operator with sessions by the thousand: starts a second, writes a start, memory a session.

The same sessions are made by a bare loop, with a Kopf operator beside it that only watches, and
by the operator, each time on a fresh cluster of nodes that only seem to be. There the operator
has nothing to listen to; so it makes some once more, with gates that tell it how they are.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import linear_regression
from typing import Any

from bench.by_hand import by_hand
from bench.figures import Figure
from bench.fleet import (
    NAMESPACE,
    SYSTEM,
    Fleet,
    a_fleet,
    a_program,
    add_volumes,
    memory,
    processor,
)
from porthole_operator.status import GATE_PORT
from tests.support.ports import free_port

_MOST = int(os.environ.get("PORTHOLE_BENCH_SESSIONS", "2000"))
"""Who has less time asks for fewer."""
SIZES = tuple(size for size in (100, 200, 500, 1000, 2000) if size <= _MOST)
"""How many sessions there are after each step; those of the steps before go on running."""

_HEARD = (100, 200)
"""The same, for those whose gates are heard."""
_HOMES = 50
_REST = 12.0
"""Seconds until a program has put away what it needed for a burst."""
_RATE = 10.0
_WRITES = 8.0
_SLOPE = 1.5

Ask = Callable[[list[str]], Coroutine[Any, Any, None]]


@dataclass
class Growth:
    """What was seen while sessions became more; by how many there were then.

    `rates`: starts a second in that step, from the first that was asked for to the last that
    ran. `memory`: bytes of the program that was looked at. `writes`: for the sessions that
    there are. `work`: seconds of a processor for each start.
    """

    rates: dict[int, float] = field(default_factory=dict)
    memory: dict[int, float] = field(default_factory=dict)
    writes: Counter[str] = field(default_factory=Counter)
    work: float = 0.0

    @property
    def slope(self) -> float:
        """Bytes of memory that each session takes."""
        return float(linear_regression(list(self.memory), list(self.memory.values())).slope)


async def _grow(fleet: Fleet, ask: Ask, pid: int, sizes: tuple[int, ...] | None = None) -> Growth:
    """Make sessions, a step at a time; look at the process `pid` after each."""
    seen = Growth()
    there, before = 0, processor(pid)
    for size in sizes or SIZES:
        names = [f"session-{number:04d}" for number in range(there, size)]
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as both:
            both.create_task(fleet.until_running(names))
            both.create_task(ask(names))
        took = time.perf_counter() - begun
        seen.rates[size] = len(names) / took
        seen.work = (processor(pid) - before) / size
        await asyncio.sleep(_REST)
        seen.memory[size] = memory(pid)
        there = size
        print(
            f"  {size}: {seen.rates[size]:.1f} starts/s, {seen.memory[size] / 2**20:.0f} MiB",
            flush=True,
        )
    seen.writes = await asyncio.to_thread(fleet.writes)
    return seen


async def _bare() -> Growth:
    """Make them by hand, while somebody watches whose memory is looked at."""
    async with (
        a_fleet() as fleet,
        a_program(
            fleet.server.folder / "watcher.log",
            *("-m", "bench.watcher", NAMESPACE),
            KUBECONFIG=str(fleet.server.kubeconfig),
        ) as watcher,
        by_hand(fleet) as hand,
    ):
        await asyncio.sleep(5)
        return await _grow(fleet, hand.ask_for, watcher)


@asynccontextmanager
async def _an_operator(fleet: Fleet, port: int = GATE_PORT) -> AsyncIterator[int]:
    """Run the operator as it is installed; yield its process id."""
    settings = {
        "NAMESPACES": f'["{NAMESPACE}"]',
        "SYSTEM_NAMESPACE": SYSTEM,
        "KUBECONFIG": str(fleet.kubeconfig),
        "HEALTH_PORT": "0",
        "GATE_PORT": str(port),
    }
    named = {f"PORTHOLE_OPERATOR_{name}": value for name, value in settings.items()}
    log = fleet.server.folder / "operator.log"
    async with a_program(log, "-m", "porthole_operator", says="started", **named) as pid:
        try:
            yield pid
        except BaseException:
            print(log.read_text(encoding="utf-8")[-4000:], file=sys.stderr)
            raise


async def _ours() -> tuple[Growth, float]:
    """Have the operator make them; return that, and its writes for a start with a home."""
    async with a_fleet() as fleet, _an_operator(fleet) as pid:
        seen = await _grow(fleet, fleet.ask_for, pid)
        await asyncio.to_thread(add_volumes, fleet.server, _HOMES)
        names = [f"housed-{number:04d}" for number in range(_HOMES)]
        async with asyncio.TaskGroup() as both:
            both.create_task(fleet.until_running(names))
            both.create_task(fleet.ask_for(names, home=True))
        await asyncio.sleep(_REST)
        after = await asyncio.to_thread(fleet.writes)
        return seen, (after - seen.writes).total() / _HOMES


async def _heard() -> Growth:
    """Have the operator make some whose gates it hears."""
    port = free_port()
    async with a_fleet() as fleet:
        words = (str(fleet.server.kubeconfig), NAMESPACE, str(port))
        log = fleet.server.folder / "gates.log"
        async with a_program(log, "-m", "bench.gates", *words), _an_operator(fleet, port) as pid:
            return await _grow(fleet, fleet.ask_for, pid, _HEARD)


async def measure() -> list[Figure]:
    """Measure the operator beside a bare loop and a bare watcher."""
    print(" by hand:", flush=True)
    bare = await _bare()
    print(" by the operator:", flush=True)
    ours, housed = await _ours()
    print(" by the operator, gates heard:", flush=True)
    heard = await _heard()
    most = max(ours.rates)
    told = ", ".join(f"{how} {count / most:.2f}" for how, count in ours.writes.most_common())
    rates = [
        Figure(
            name=f"complete starts, up to {size:,} sessions",
            value=ours.rates[size],
            unit="starts/s",
            baseline=bare.rates[size],
            against="a bare loop that writes the same",
            better="more",
            goal=_RATE,
            judged="value",
            note=f"{ours.work * 1000:.0f} ms of the operator's processor for each start",
        )
        for size in SIZES
    ]
    return [
        *rates,
        *(
            Figure(
                name=name,
                value=value,
                unit="writes",
                baseline=bare.writes.total() / most,
                against="a bare loop that makes the same objects",
                better="less",
                goal=_WRITES,
                judged="value",
                note=note,
            )
            for name, value, note in (
                ("writes for a start", ours.writes.total() / most, told),
                ("writes for a start with a home", housed, ""),
            )
        ),
        *(
            Figure(
                name=f"operator's memory for a session{how}, up to {max(seen.memory):,}",
                value=seen.slope / 1024,
                unit="KiB",
                baseline=bare.slope / 1024,
                against="a Kopf operator that only watches",
                better="less",
                goal=_SLOPE,
                judged="ratio",
                note=f"{seen.memory[max(seen.memory)] / 2**20:.0f} MiB with all of them; the"
                f" watching one {bare.memory[most] / 2**20:.0f} MiB with {most:,}",
            )
            for how, seen in (("", ours), (" whose gate is heard", heard))
        ),
    ]
