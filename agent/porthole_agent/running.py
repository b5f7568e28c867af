"""An agent at work: its runtime watched, its link kept up, commands carried out."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from importlib.metadata import version
from typing import Any, Literal, TypeVar

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from porthole_agent import metrics
from porthole_agent.desk import Desk
from porthole_agent.enrolment import Identity
from porthole_agent.link import Link, always
from porthole_agent.news import News
from porthole_agent.runtimes.port import Runtime
from porthole_agent.streams import Streams
from porthole_agent.watch import Watch
from porthole_agent.watchdog import Watchdog
from porthole_contract.stream.grant import SigningKey
from porthole_telemetry.counting import follow

_log = structlog.get_logger(__name__)

_T = TypeVar("_T")


async def before(stopping: asyncio.Event, doing: Coroutine[Any, Any, _T]) -> _T | None:
    """Return what comes of something, or None if we are told to stop before it does."""
    task, stop = asyncio.create_task(doing), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        return None if stopping.is_set() else await task
    finally:
        task.cancel()
        stop.cancel()
        await asyncio.gather(task, stop, return_exceptions=True)


async def work(
    runtime: Runtime,
    identity: Identity,
    key: Ed25519PrivateKey,
    signing: SigningKey,
    *,
    kind: Literal["local", "kubernetes"],
    every: timedelta,
    stopping: asyncio.Event,
    permit: Callable[[], Awaitable[None]] = always,
    beside: tuple[asyncio.Task[None], ...] = (),
    hand_over: Callable[[], Awaitable[None]] = always,
) -> None:
    """Work until told to stop, then say goodbye; the runtime is left as it is.

    What was begun and not finished is sent again to whoever links next.

    Args:
        runtime: has been started.
        identity: where the agent belongs.
        key: proves that it is the one who enrolled.
        signing: signs grants for gates.
        kind: of the runtime, for the control plane.
        every: how often everything there is is reported.
        stopping: set when it is time to go.
        permit: see `Link`.
        beside: what ends the work when it ends; it goes on until goodbye was said.
        hand_over: gives the work to whoever comes next, if it was told to stop; streams are
            open until then.

    Raises:
        PortholeError: it may not go on; the sentence says why.
    """
    program = f"porthole {version('porthole')}"
    news = News()
    watch = Watch(runtime, news, kind=kind, program=program, every=every)
    streams = Streams(identity, signing, runtime, seen=watch.seen, refuse=news.owe)
    link = Link(
        identity,
        key,
        news=news,
        streams=streams,
        want_inventory=watch.want_inventory,
        program=program,
        permit=permit,
        cast_out=runtime.shut_ports,
    )
    news.changed = link.nudge
    desk = Desk(runtime, news.owe)
    link.serve(desk)
    metrics.OWED.set_function(lambda: len(news))
    follow(metrics.SESSIONS, watch.phases)
    watchdog = Watchdog(lambda: link.dialled_at, lambda: link.linked)
    tasks = [
        asyncio.create_task(watch.run(), name="watch"),
        asyncio.create_task(link.run(), name="link"),
        asyncio.create_task(watchdog.run(), name="watchdog"),
    ]
    stop = asyncio.create_task(stopping.wait(), name="stop")
    _log.info("started", agent=identity.name, runtime=str(runtime.uid))
    try:
        done, _ = await asyncio.wait({*tasks, *beside, stop}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stop}:
            task.result()
    finally:
        started = time.monotonic()
        await link.leave("The agent is being stopped.")
        for task in (*tasks, stop):
            task.cancel()
        await asyncio.gather(*tasks, stop, return_exceptions=True)
        await desk.close()
        if stopping.is_set():
            await hand_over()
        await streams.close_all("agent_stopping", "The agent is being restarted.")
        _log.info("stopped", seconds=round(time.monotonic() - started, 1))
