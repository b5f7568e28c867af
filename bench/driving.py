"""What programs do at a desktop: a picture of its screen, and a program that is run in it."""

import asyncio
import os
import subprocess
import time
from collections.abc import Awaitable
from io import BytesIO
from unittest.mock import patch
from uuid import UUID

from PIL import ImageGrab

from bench.figures import Figure, at_percentiles, percentile
from bench.instance import Instance
from e2e.cluster.config import DEFAULT_NAME
from e2e.cluster.installing import SESSIONS
from e2e.support.installed import Installed
from e2e.support.outside import Desktop
from e2e.support.real_cluster import RealCluster
from porthole_client import AsyncPorthole

_PICTURES = 100
_RUNS = 100
_RUNS_IN_A_POD = 30


async def measure(instance: Instance) -> list[Figure]:
    """Measure screenshots beside another program's, and `exec` beside a process begun here."""
    session = await instance.session(template="desktop")
    async with instance.porthole() as porthole:
        desktop = porthole.desktop(session)
        pictures = [await _timed(desktop.screenshot()) for _ in range(_PICTURES)]
        runs = [await _timed(_exec(porthole, session)) for _ in range(_RUNS)]
    grabs = await asyncio.to_thread(_grabs, Desktop.of(session))
    bare = await asyncio.to_thread(_bare)
    return [
        *at_percentiles(
            "screenshot",
            pictures,
            grabs,
            against="the same picture taken by Pillow at the X server",
            goal=1.5,
            judged="ratio",
        ),
        Figure(
            name="exec round trip, one machine, p50",
            value=percentile(runs, 50) * 1000,
            unit="ms",
            baseline=percentile(bare, 50) * 1000,
            against="the same program begun without a desktop",
            better="less",
            goal=50.0,
            judged="difference",
        ),
    ]


def _grabs(desktop: Desktop) -> list[float]:
    found = []
    with patch.dict(os.environ, XAUTHORITY=str(desktop.authority)):
        for _ in range(_PICTURES):
            begun = time.perf_counter()
            ImageGrab.grab(xdisplay=desktop.display).save(BytesIO(), "PNG")
            found.append(time.perf_counter() - begun)
    return found


def _bare() -> list[float]:
    found = []
    for _ in range(_RUNS):
        begun = time.perf_counter()
        subprocess.run(["true"], check=True)
        found.append(time.perf_counter() - begun)
    return found


async def measure_in_a_pod() -> list[Figure]:
    """Measure `exec` in the cluster that is up, beside `kubectl exec` into the same container."""
    cluster = RealCluster(DEFAULT_NAME)
    programs = f"{cluster.place.programs}:{os.environ['PATH']}"
    cluster.environment |= {"KUBECONFIG": str(cluster.place.kubeconfig), "PATH": programs}
    ours, theirs = [], []
    async with (
        Installed(cluster).async_client() as porthole,
        porthole.sessions.running("desktop", home=None) as session,
    ):
        words = ("exec", session.name, "-n", SESSIONS, "-c", "desktop", "--", "true")
        for _ in range(_RUNS_IN_A_POD):
            ours.append(await _timed(_exec(porthole, session.id)))
            theirs.append(await _timed(asyncio.to_thread(cluster.kubectl, *words)))
    return at_percentiles(
        "exec round trip, in a cluster",
        ours,
        theirs,
        against="`kubectl exec` into the same container",
        goal=1.0,
        judged="ratio",
    )


async def _exec(porthole: AsyncPorthole, session: UUID | str) -> None:
    """Run a program that does nothing to its end."""
    assert (await porthole.sessions.exec(session, ["true"])).status == 0


async def _timed(work: Awaitable[object]) -> float:
    """Return the seconds that something takes."""
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun
