"""How the operator is run: `python -m porthole_operator`.

Exit codes: 0 ended as asked, 69 it cannot run here, 75 another replica has taken over.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import kopf
import structlog
import uvloop

from porthole_contract.errors import PortholeError
from porthole_contract.names import OPERATOR
from porthole_kube.cluster import Cluster
from porthole_kube.lease import Lease, LeaseLost, Terms
from porthole_kube.probes import Probes
from porthole_operator import metrics
from porthole_operator.apply import Applier
from porthole_operator.desired.recipe import Site
from porthole_operator.gates import Gates
from porthole_operator.handlers import handlers, kopf_settings
from porthole_operator.logs import configure
from porthole_operator.observe import Observer
from porthole_operator.prepull import Prepull
from porthole_operator.resync import Resync
from porthole_operator.settings import Settings
from porthole_operator.tickets import Tickets
from porthole_operator.watchfulness import Watchfulness
from porthole_operator.work import Work
from porthole_telemetry import tracing
from porthole_telemetry.counting import follow
from porthole_telemetry.exporting import tracer
from porthole_telemetry.exposition import begin

_UNAVAILABLE = 69
_TAKEN_OVER = 75
_M_MMAP_THRESHOLD = -3
_LARGE = 128 * 1024

_log = structlog.get_logger(__name__)


def main() -> int:
    """Run the operator; return its exit code."""
    settings = Settings()
    configure(settings.log_format, settings.log_level)
    _keep_large_memory_apart()
    try:
        tracing.use(tracer("porthole-operator"))
        uvloop.run(run(settings))
    except LeaseLost as error:
        _log.error("lease_lost", why=str(error))
        return _TAKEN_OVER
    except PortholeError as error:
        sys.stderr.write(f"{error}\n")
        return _UNAVAILABLE
    finally:
        tracing.process().close()
    return 0


def _keep_large_memory_apart() -> None:
    """Have what is large mapped by itself, always: only its pages that are used are then paid for.

    TLS takes 256 KiB for each connection and uses a few. glibc's malloc begins to take such a
    piece from memory that was used before, once one has been given back (mallopt(3)).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have none, and no need of it
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


async def run(settings: Settings) -> None:
    """Run the operator until SIGTERM or SIGINT.

    Raises:
        LeaseLost: another replica is the operator now.
        PortholeError: it cannot run here; the sentence says why.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    watchfulness = Watchfulness(datetime.now(UTC))
    leads = False

    def trouble() -> str:
        blind = leads and watchfulness.is_blind(datetime.now(UTC))
        return "The watch does not tell what lists have told long ago." if blind else ""

    probes = Probes({"/healthz": trouble})
    if settings.health_port:
        await probes.open(settings.health_port)
    exposition = await begin(settings.metrics, metrics.exposition, settings.metrics_token_file)
    cluster = await Cluster.connect(settings.kubeconfig, OPERATOR)
    identity = f"{os.uname().nodename}-{uuid4().hex[:8]}"
    lease = Lease(
        cluster,
        settings.lease_namespace or settings.system_namespace,
        settings.lease_name,
        identity,
        _terms(settings.lease_seconds),
    )
    try:
        if not await _first(lease.acquire(), stopping):
            await lease.release()  # should it have been ours at the very last
            return
        leads = True
        metrics.LEADS.set(1)
        _log.info("started", identity=identity, version=version("porthole"))
        await _lead(settings, cluster, lease, watchfulness, identity)
    finally:
        probes.close()
        if exposition is not None:
            exposition.close()
        await cluster.close()
        _log.info("stopped")


async def _lead(
    settings: Settings, cluster: Cluster, lease: Lease, watchfulness: Watchfulness, identity: str
) -> None:
    """Be the operator until Kopf ends (it minds the signals) or the Lease is lost."""
    gates = Gates(settings.gate_port)
    site = _site(settings)
    observer = Observer(cluster, site, gates)
    work = Work(observer, Applier(cluster, identity), gates)
    metrics.GATES.set_function(lambda: gates.heard)
    follow(metrics.SESSIONS, work.phases)
    tickets = Tickets(cluster, settings.namespaces)
    images = Prepull(cluster, site)
    every = settings.resync_every.total_seconds()
    resync = Resync(cluster, settings.namespaces, work, watchfulness, every=every)
    stop = asyncio.Event()
    watching = asyncio.create_task(
        kopf.operator(
            registry=handlers(work, tickets, images, watchfulness, cluster.configuration),
            settings=kopf_settings(),
            namespaces=settings.namespaces,
            standalone=True,
            stop_flag=stop,
        ),
        name="watch",
    )
    others = [
        asyncio.create_task(lease.keep(), name="lease"),
        asyncio.create_task(resync.run(), name="resync"),
        asyncio.create_task(tickets.run(), name="tickets"),
    ]
    try:
        done, _ = await asyncio.wait({watching, *others}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        # Nobody may write any more once the Lease may be another's.
        await asyncio.gather(work.close(), tickets.close(), images.close(), gates.close())
        stop.set()
        await asyncio.gather(watching, return_exceptions=True)
        await lease.release()


def _terms(good_for: int) -> Terms:
    """Return a Lease's times: who could not renew it stops well before others may begin."""
    return Terms(
        good_for,
        renew_every=good_for * 4 / 15,
        look_every=good_for / 15,
        answer_within=good_for / 5,
        give_up_after=good_for * 2 / 3,
    )


def _site(settings: Settings) -> Callable[[], Site]:
    """Return what gives the site as it is now: who may sign changes while we run."""
    kept = settings.site()

    def site() -> Site:
        nonlocal kept
        try:
            kept = settings.site()
        except PortholeError as error:
            _log.warning("issuers_not_read", why=str(error))
        return kept

    return site


async def _first(doing: Coroutine[Any, Any, object], stopping: asyncio.Event) -> bool:
    """Wait for `doing` or for the order to stop; return whether it was done."""
    work = asyncio.create_task(doing)
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
    for task in (work, stop):
        if not task.done():
            task.cancel()
    results = await asyncio.gather(work, stop, return_exceptions=True)
    if isinstance(results[0], PortholeError):
        raise results[0]
    return not stopping.is_set()


if __name__ == "__main__":
    sys.exit(main())
