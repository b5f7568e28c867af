"""One of several replicas of an agent in a cluster: the one that holds the Lease works.

The others have joined already and stand by, so that the next one needs nothing but the
Lease. Who loses it ends: a new process begins with no memory of having had it. Who is told to
stop says goodbye, lets go of the Lease, and only then looks after the rest.
"""

import asyncio
import socket
from typing import Any
from uuid import uuid4

from porthole_agent.belonging import Belonging, belonging
from porthole_agent.running import before, work
from porthole_agent.runtimes.kubernetes.api import Api
from porthole_agent.runtimes.kubernetes.lease import Lease
from porthole_agent.runtimes.kubernetes.runtime import KubernetesRuntime
from porthole_agent.runtimes.kubernetes.settings import KubernetesSettings
from porthole_agent.settings import Settings


async def run(settings: Settings, stopping: asyncio.Event) -> None:
    """Stand by, and work from when this replica is the one, until told to stop.

    Raises:
        PortholeError: it cannot run here, or is not the one any more.
    """
    api = await Api.connect(settings.kubeconfig)
    lease = Lease(api, settings.system_namespace, f"{socket.gethostname()}_{uuid4()}")
    joining = asyncio.create_task(belonging(settings), name="joining")
    try:
        if await before(stopping, lease.acquire()):
            await _lead(settings, stopping, api, lease, joining)
    finally:
        await _end(joining)
        await lease.release()  # should it have been ours at the very last
        await api.close()


async def _lead(
    settings: Settings,
    stopping: asyncio.Event,
    api: Api,
    lease: Lease,
    joining: asyncio.Task[Belonging],
) -> None:
    keeping = asyncio.create_task(lease.keep(), name="lease")
    runtime = KubernetesRuntime(_settings(settings), api)
    try:
        if await before(stopping, _started(runtime)) is None:
            return
        first = asyncio.wait({joining, keeping}, return_when=asyncio.FIRST_COMPLETED)
        if await before(stopping, first) is None:
            return
        if keeping.done():
            keeping.result()
        mine = await joining
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
