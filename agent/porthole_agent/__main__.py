"""How the agent is run.

    python -m porthole_agent              keep the link up and the sessions as they should be
    python -m porthole_agent enrol URL    join a control plane; the join token comes on stdin
    python -m porthole_agent end          end the desktops that an agent has left running

Exit codes: 0 ended as asked, 2 wrong usage, 69 it cannot run here or could not join, 75
another replica has taken over, 78 it has not joined anywhere.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import structlog
import uvloop

from porthole_agent import metrics
from porthole_agent.belonging import belonging
from porthole_agent.enrolment import NotEnrolled, enrol
from porthole_agent.logs import configure
from porthole_agent.running import before, work
from porthole_agent.runtimes.local.runtime import LocalRuntime
from porthole_agent.runtimes.local.settings import LocalSettings
from porthole_agent.settings import Settings
from porthole_contract.errors import PortholeError
from porthole_telemetry import tracing
from porthole_telemetry.exporting import tracer
from porthole_telemetry.exposition import begin

_log = structlog.get_logger(__name__)

_UNAVAILABLE = 69
_TAKEN_OVER = 75
_NOT_CONFIGURED = 78


def main() -> int:
    """Run the agent, enrol it, or end what it has left."""
    settings = Settings()
    configure(settings.log_format, settings.log_level)
    try:
        return _do(settings)
    finally:
        tracing.process().close()


def _do(settings: Settings) -> int:
    match sys.argv[1:]:
        case []:
            tracing.use(tracer("porthole-agent"))
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
        return _TAKEN_OVER if error.code == "lease_lost" else _UNAVAILABLE
    return 0


async def run(settings: Settings) -> None:
    """Run the agent until SIGTERM or SIGINT.

    Raises:
        PortholeError: it cannot run here; the sentence says why.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    file = settings.metrics_token_file or settings.folder / "metrics-token"
    exposition = await begin(settings.metrics, metrics.exposition, file)
    try:
        await _run(settings, stopping)
    finally:
        if exposition is not None:
            exposition.close()


async def _run(settings: Settings, stopping: asyncio.Event) -> None:
    if settings.runtime == "kubernetes":
        # An agent of one machine has no need of all that stands behind this.
        from porthole_agent import replica  # noqa: PLC0415 - see above

        working = replica.run
    else:
        working = _run_here
    # What is there now stays. To look through it again and again, for rubbish, would hold up all
    # streams for some forty milliseconds each time.
    gc.collect()
    gc.freeze()
    await working(settings, stopping)


async def _run_here(settings: Settings, stopping: asyncio.Event) -> None:
    mine = await before(stopping, belonging(settings))
    if mine is None:
        return
    runtime = LocalRuntime(_local(settings), mine.signing)
    await runtime.open()
    if _is_a_new_run(settings):
        await runtime.end_everything()
    await runtime.start()
    _remember_run(settings)
    try:
        await work(
            runtime,
            mine.identity,
            mine.key,
            mine.signing,
            kind="local",
            every=settings.inventory_every,
            stopping=stopping,
        )
    finally:
        if settings.end_desktops:
            await runtime.stop_all()
        else:
            await runtime.close()
        _log.info("ended", desktops="ended" if settings.end_desktops else "go on")


async def end(settings: Settings) -> None:
    """End every desktop and keep every record, as a running agent does when it ends.

    Raises:
        PortholeError: another agent runs, or it cannot be done here.
    """
    mine = await belonging(settings)
    runtime = LocalRuntime(_local(settings), mine.signing)
    await runtime.open()
    await runtime.stop_all()


def _local(settings: Settings) -> LocalSettings:
    given = {
        name: value
        for name, value in (
            ("cpu", settings.cpu),
            ("memory", settings.memory),
            ("max_sessions", settings.max_sessions),
        )
        if value is not None
    }
    return LocalSettings(
        directory=settings.folder,
        install_packages=settings.install_packages,
        rdp_listen=None if settings.rdp_listen is None else str(settings.rdp_listen),
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
