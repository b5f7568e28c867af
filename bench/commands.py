"""The queue: commands through real links, beside other queues in the same server."""

import asyncio
import time
from typing import Any
from uuid import UUID, uuid4

import procrastinate
import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import text

from bench.agents import QuickAgent, a_quick_agent, until_linked, ws_url
from bench.figures import Figure, percentile
from bench.instance import Instance
from porthole_control.commands import repository
from porthole_control.db import layout
from porthole_control.db.database import Database
from porthole_control.db.doorbell import Bell, Doorbell

_COUNT = 6000
_BATCH = 100
_PACED = 1000
_PER_SECOND = 200
_WORKERS = 8


async def _enqueue(database: Database, agent: UUID, count: int) -> tuple[UUID, ...]:
    homes = [uuid4() for _ in range(count)]
    commands = [
        repository.New(
            agent=agent,
            owner=None,
            subject_kind="home",
            subject_id=home,
            kind="DeleteHome",
            payload={"home": str(home)},
        )
        for home in homes
    ]
    async with database.unit() as unit:
        made = await repository.enqueue(unit.connection, *commands, now=unit.now)
        unit.ring_after_commit(Bell.COMMANDS)
    return made


async def _until_done(database: Database) -> None:
    while True:
        async with database.unit() as unit:
            left = await unit.connection.scalar(
                text("SELECT count(*) FROM agent_commands WHERE state <> 'succeeded'")
            )
        if left == 0:
            return
        await asyncio.sleep(0.02)


async def _ours(database: Database, agent: QuickAgent) -> float:
    """Return commands a second, from the first enqueued to the last acknowledged result."""
    begun = time.perf_counter()
    for _ in range(_COUNT // _BATCH):
        await _enqueue(database, agent.id, _BATCH)
    await _until_done(database)
    return _COUNT / (time.perf_counter() - begun)


async def _paced(database: Database, agent: QuickAgent) -> list[float]:
    """Return the seconds from each commit to the agent, one command in each transaction."""
    committed: dict[UUID, float] = {}
    begun = time.perf_counter()
    for number in range(_PACED):
        await asyncio.sleep(max(0.0, begun + number / _PER_SECOND - time.perf_counter()))
        (made,) = await _enqueue(database, agent.id, 1)
        committed[made] = time.perf_counter()
    await _until_done(database)
    return [agent.heard_at[one] - at for one, at in committed.items()]


async def _theirs(conninfo: str) -> float:
    """Return procrastinate's jobs a second: deferred in the same batches, done by a worker."""
    connector = procrastinate.PsycopgConnector(conninfo=conninfo)
    app = procrastinate.App(connector=connector)
    done = asyncio.Event()
    count = 0

    @app.task(name="nothing")
    async def nothing(number: int) -> None:  # noqa: ARG001 - a job has a payload
        nonlocal count
        count += 1
        if count >= _COUNT:
            done.set()

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        worker = asyncio.create_task(
            app.run_worker_async(
                concurrency=64, install_signal_handlers=False, fetch_job_polling_interval=0.1
            )
        )
        begun = time.perf_counter()
        for start in range(0, _COUNT, _BATCH):
            await nothing.batch_defer_async(
                *[{"number": number} for number in range(start, start + _BATCH)]
            )
        await done.wait()
        took = time.perf_counter() - begun
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    return _COUNT / took


_ROWS = """
CREATE TABLE plain_jobs (
    id bigserial PRIMARY KEY, payload jsonb NOT NULL, state text NOT NULL DEFAULT 'pending'
);
CREATE INDEX ON plain_jobs (id) WHERE state = 'pending'
"""
_CLAIM = """
UPDATE plain_jobs SET state = 'sent' WHERE id = (
    SELECT id FROM plain_jobs WHERE state = 'pending' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id
"""


async def _plain_loop(conninfo: str) -> float:
    """Return jobs a second of workers that claim a row, and mark it as done, one at a time."""

    async def work() -> None:
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as worker:
            while row := await (await worker.execute(_CLAIM)).fetchone():
                await worker.execute("UPDATE plain_jobs SET state = 'done' WHERE id = %s", row)

    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        await connection.execute(_ROWS)
        begun = time.perf_counter()
        for start in range(0, _COUNT, _BATCH):
            await connection.execute(
                "INSERT INTO plain_jobs (payload)"
                " SELECT jsonb_build_object('number', n) FROM generate_series(%s::int, %s::int) n",
                [start, start + _BATCH - 1],
            )
        await asyncio.gather(*(work() for _ in range(_WORKERS)))
        took = time.perf_counter() - begun
        done = await connection.execute("SELECT count(*) FROM plain_jobs WHERE state = 'done'")
        assert await done.fetchone() == (_COUNT,)
        await connection.execute("DROP TABLE plain_jobs")
    return _COUNT / took


async def _checks_that_commits_are_durable(conninfo: str) -> None:
    """Refuse to measure a server that answers before it has written."""
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        for setting in ("synchronous_commit", "fsync"):
            shown = await (await connection.execute(f"SHOW {setting}")).fetchone()
            if shown != ("on",):
                raise RuntimeError(f"{setting} is {shown}: what is measured would prove nothing.")


async def measure(instance: Instance) -> list[Figure]:
    """Measure throughput and delay of the queue."""

    def conninfo() -> str:
        return layout.conninfo(instance.home)

    doorbell = Doorbell(conninfo)
    database = Database(conninfo, doorbell=doorbell)
    agent = await a_quick_agent(instance)
    try:
        async with doorbell, agent.linked(ws_url(instance)):
            agent.describe()
            await until_linked(instance.api, agent)
            await _until_done(database)
            ours = await _ours(database, agent)
            delays = await _paced(database, agent)
    finally:
        await database.close()
    admin: Any = layout.conninfo(instance.home, admin=True, database="postgres")
    await _checks_that_commits_are_durable(make_conninfo(admin))
    theirs = await _theirs(make_conninfo(admin))
    plain = await _plain_loop(make_conninfo(admin))
    shared = {
        "value": ours,
        "unit": "commands/s",
        "baseline": theirs,
        "against": "procrastinate, the same batches",
        "better": "more",
    }
    return [
        Figure(name="commands, enqueue to acked", goal=2400, judged="value", **shared),  # type: ignore[arg-type]
        Figure(name="commands beside procrastinate", goal=5, judged="ratio", **shared),  # type: ignore[arg-type]
        Figure(
            name="commands beside a plain claim loop",
            goal=1,
            judged="ratio",
            **{**shared, "baseline": plain, "against": f"{_WORKERS} workers, one row at a time"},  # type: ignore[arg-type]
        ),
        Figure(
            name=f"enqueue to agent at {_PER_SECOND}/s, p99",
            value=percentile(delays, 99) * 1000,
            unit="ms",
            baseline=percentile(delays, 50) * 1000,
            against="its own median",
            better="less",
            goal=50,
            judged="value",
        ),
    ]
