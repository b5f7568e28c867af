"""One of several replicas of an agent in a cluster: the one that holds the Lease works.

The others have joined already and stand by, so that the next one needs nothing but the
Lease. Who loses it ends: a new process begins with no memory of having had it. Who is told to
stop says goodbye and lets go of the Lease; the desktops that are looked at through it stay in
view until the next one can show them.
"""

import asyncio
import socket
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from porthole_agent.belonging import Belonging, belonging
from porthole_agent.health import Signs, trouble, unready
from porthole_agent.running import before, work
from porthole_agent.runtimes.kubernetes.rights import LEASE
from porthole_agent.runtimes.kubernetes.runtime import KubernetesRuntime
from porthole_agent.runtimes.kubernetes.settings import KubernetesSettings
from porthole_agent.settings import Settings
from porthole_contract.names import AGENT
from porthole_kube.cluster import Cluster
from porthole_kube.lease import Lease, Terms
from porthole_kube.probes import Probes

TERMS: Final = Terms(good_for=5, renew_every=1.0, look_every=0.25, answer_within=1.5)
"""That the API server does not answer is no reason to stop: nobody else gets the Lease from it
either, and should somebody have it, all that an agent writes there is fenced."""


_SUCCESSOR_WITHIN: Final = 1.2
_LINKED_WITHIN: Final = 0.6
"""Seconds until another replica has taken the Lease, and until it is linked then, as a rule. For
so long desktops stay in view here; rights that are taken away meanwhile wait no longer either."""


async def run(settings: Settings, stopping: asyncio.Event) -> None:
    """Stand by, and work from when this replica is the one, until told to stop.

    Raises:
        PortholeError: it cannot run here, or is not the one any more.
    """
    api = await Cluster.connect(settings.kubeconfig, AGENT)
    identity = f"{socket.gethostname()}_{uuid4()}"
    lease = Lease(api, settings.system_namespace, LEASE, identity, TERMS)
    joining = asyncio.create_task(belonging(settings), name="joining")
    replica = _Replica(lease, joining)
    probes = Probes(
        {
            "/healthz": lambda: trouble(replica.signs()),
            "/readyz": lambda: unready(replica.signs()),
        }
    )
    try:
        if settings.health_port:
            await probes.open(settings.health_port)
        if await before(stopping, lease.acquire()):
            replica.runtime = KubernetesRuntime(_settings(settings), api)
            await _lead(settings, stopping, replica)
    finally:
        probes.close()
        await _end(joining)
        await lease.release()  # should it have been ours at the very last
        await api.close()


@dataclass
class _Replica:
    """What this replica has come to; `runtime` is there once it holds the Lease."""

    lease: Lease
    joining: asyncio.Task[Belonging]
    runtime: KubernetesRuntime | None = None
    started: bool = False

    def signs(self) -> Signs:
        now, joining = monotonic(), self.joining
        return Signs(
            since_look=now - self.lease.looked_at,
            since_answer=now - self.lease.answered_at,
            joined=joining.done() and not joining.cancelled() and joining.exception() is None,
            leads=self.runtime is not None,
            started=self.started,
            overdue=0.0 if self.runtime is None else self.runtime.overdue,
        )


async def _lead(settings: Settings, stopping: asyncio.Event, replica: _Replica) -> None:
    lease, joining, runtime = replica.lease, replica.joining, replica.runtime
    assert runtime is not None, "who leads has one"
    keeping = asyncio.create_task(lease.keep(), name="lease")

    async def hand_over() -> None:
        await _end(keeping)
        await lease.release()
        if await lease.taken(_SUCCESSOR_WITHIN):
            await asyncio.sleep(_LINKED_WITHIN)

    try:
        if await before(stopping, _started(runtime)) is None:
            return
        replica.started = True
        first = asyncio.wait({joining, keeping}, return_when=asyncio.FIRST_COMPLETED)
        if await before(stopping, first) is None:
            return
        if keeping.done():
            keeping.result()
        mine = await joining
        runtime.hear_gates(mine.signing)
        await work(
            runtime,
            mine.identity,
            mine.key,
            mine.signing,
            kind="kubernetes",
            every=settings.inventory_every,
            stopping=stopping,
            permit=lease.confirm,
            beside=(keeping,),
            hand_over=hand_over,
        )
    finally:
        await _end(keeping)
        await lease.release()
        await runtime.close()


def _settings(settings: Settings) -> KubernetesSettings:
    given = {} if settings.max_sessions is None else {"max_sessions": settings.max_sessions}
    return KubernetesSettings(
        namespaces=settings.namespace,
        system_namespace=settings.system_namespace,
        cpu=settings.cpu,
        memory=settings.memory,
        resync_seconds=settings.resync_every.total_seconds(),
        **given,
    )


async def _started(runtime: KubernetesRuntime) -> bool:
    await runtime.open()
    await runtime.start()
    return True


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
