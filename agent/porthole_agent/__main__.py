"""How the agent is run.

    python -m porthole_agent              keep the link up and the sessions as they should be
    python -m porthole_agent enrol URL    join a control plane; the join token comes on stdin
    python -m porthole_agent end          end the desktops that an agent has left running

Exit codes: 0 ended as asked, 2 wrong usage, 69 it cannot run here or could not join, 78 it
has not joined anywhere.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog
import uvloop

from porthole_agent.desk import Desk
from porthole_agent.enrolment import Identity, NotEnrolled, enrol, load_identity, load_key
from porthole_agent.link import Link
from porthole_agent.logs import configure
from porthole_agent.news import News
from porthole_agent.runtimes.local.runtime import LocalRuntime
from porthole_agent.runtimes.local.settings import LocalSettings
from porthole_agent.settings import Settings
from porthole_agent.streams import Streams
from porthole_agent.watch import Watch
from porthole_agent.watchdog import Watchdog
from porthole_contract.errors import PortholeError
from porthole_contract.stream.grant import SigningKey

_log = structlog.get_logger(__name__)

_UNAVAILABLE = 69
_NOT_CONFIGURED = 78


def main() -> int:
    """Run the agent, enrol it, or end what it has left."""
    settings = Settings()
    configure(settings.log_format, settings.log_level)
    match sys.argv[1:]:
        case []:
            return uvloop.run(_guarded(run(settings)))
        case ["end"]:
            return uvloop.run(_guarded(end(settings)))
        case ["enrol", url]:
            return uvloop.run(_enrol(settings, url, sys.stdin.readline().strip()))
        case _:
            sys.stderr.write(__doc__ or "")
            return 2


async def _enrol(settings: Settings, url: str, token: str) -> int:
    try:
        identity = await enrol(settings.folder, url, token)
    except PortholeError as error:
        sys.stderr.write(f"{error}\n")
        return _UNAVAILABLE
    sys.stdout.write(f"This machine joined {identity.url} as the agent '{identity.name}'.\n")
    return 0


async def _guarded(doing: Coroutine[Any, Any, None]) -> int:
    try:
        await doing
    except NotEnrolled as error:
        sys.stderr.write(f"{error}\n")
        return _NOT_CONFIGURED
    except PortholeError as error:
        sys.stderr.write(f"{error}\n")
        return _UNAVAILABLE
    return 0


async def end(settings: Settings) -> None:
    """End every desktop and keep every record, as a running agent does when it ends.

    Raises:
        PortholeError: another agent runs, or it cannot be done here.
    """
    signing = _signing(settings, load_identity(settings.folder))
    runtime = LocalRuntime(_local(settings), signing)
    await runtime.open()
    await runtime.stop_all()


def _signing(settings: Settings, identity: Identity) -> SigningKey:
    return SigningKey(key_id=f"agent-{identity.agent}", private=load_key(settings.folder))


async def run(settings: Settings) -> None:
    """Run the agent until SIGTERM or SIGINT.

    Raises:
        PortholeError: it cannot run here; the sentence says why.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    identity = load_identity(settings.folder)
    if settings.url is not None:
        identity = identity.model_copy(update={"url": settings.url.rstrip("/")})
    key = load_key(settings.folder)
    signing = _signing(settings, identity)
    runtime = LocalRuntime(_local(settings), signing)
    program = f"porthole {version('porthole')}"

    await runtime.open()
    if _is_a_new_run(settings):
        await runtime.end_everything()
    await runtime.start()
    _remember_run(settings)

    news = News()
    watch = Watch(runtime, news, kind="local", program=program, every=settings.inventory_every)
    streams = Streams(identity, signing, runtime, seen=watch.seen, refuse=news.owe)
    link = Link(
        identity,
        key,
        news=news,
        streams=streams,
        want_inventory=watch.want_inventory,
        program=program,
    )
    news.changed = link.nudge
    desk = Desk(runtime, news.owe)
    link.serve(desk)
    watchdog = Watchdog(lambda: link.dialled_at, lambda: link.linked)
    tasks = [
        asyncio.create_task(watch.run(), name="watch"),
        asyncio.create_task(link.run(), name="link"),
        asyncio.create_task(watchdog.run(), name="watchdog"),
    ]
    stop = asyncio.create_task(stopping.wait(), name="stop")
    _log.info("started", agent=identity.name, runtime=str(runtime.uid))
    try:
        done, _ = await asyncio.wait({*tasks, stop}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stop}:
            task.result()
    finally:
        started = time.monotonic()
        await streams.close_all("agent_stopping", "The agent is being restarted.")
        await link.leave("The agent is being stopped.")
        for task in (*tasks, stop):
            task.cancel()
        await asyncio.gather(*tasks, stop, return_exceptions=True)
        await desk.close()
        if settings.end_desktops:
            await runtime.stop_all()
        else:
            await runtime.close()
        _log.info("stopped", seconds=round(time.monotonic() - started, 1))


def _local(settings: Settings) -> LocalSettings:
    given = {
        name: value
        for name, value in (("cpu", settings.cpu), ("memory", settings.memory))
        if value is not None
    }
    return LocalSettings(
        directory=settings.folder,
        max_sessions=settings.max_sessions,
        install_packages=settings.install_packages,
        **given,  # type: ignore[arg-type]  # the names are the fields'
    )


def _run_file(settings: Settings) -> Path:
    return settings.folder / "run-id"


def _is_a_new_run(settings: Settings) -> bool:
    """Whether the desktops that still run belong to an earlier run of this machine's `up`."""
    if settings.run_id is None:
        return False
    path = _run_file(settings)
    return not path.exists() or path.read_text(encoding="utf-8") != settings.run_id


def _remember_run(settings: Settings) -> None:
    if settings.run_id is not None:
        path = _run_file(settings)
        beside = path.with_suffix(".new")
        beside.write_text(settings.run_id, encoding="utf-8")
        os.replace(beside, path)  # noqa: PTH105 - one step, as it reads


if __name__ == "__main__":
    sys.exit(main())
