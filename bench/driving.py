"""What programs do at a desktop: a picture of its screen, and a program that is run in it."""

import asyncio
import os
import subprocess
import time
from io import BytesIO
from uuid import UUID

from PIL import ImageGrab

from bench.figures import Figure, percentile
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
    token = (instance.home / "secrets" / "admin-token").read_text(encoding="utf-8").strip()
    async with AsyncPorthole(instance.url, token) as porthole:
        pictures = []
        for _ in range(_PICTURES):
            begun = time.perf_counter()
            await porthole.desktop(session).screenshot()
            pictures.append(time.perf_counter() - begun)
        runs = [await _time_exec(porthole, session) for _ in range(_RUNS)]
    grabs = await asyncio.to_thread(_grabs, Desktop.of(session))
    bare = await asyncio.to_thread(_bare)
    figures = [
        Figure(
            name=f"screenshot, p{percent}",
            value=percentile(pictures, percent) * 1000,
            unit="ms",
            baseline=percentile(grabs, percent) * 1000,
            against="the same picture taken by Pillow at the X server",
            better="less",
            goal=goal,
            judged="ratio",
        )
        for percent, goal in ((50, 1.5), (99, 1.5))
    ]
    figures.append(
        Figure(
            name="exec round trip, one machine, p50",
            value=percentile(runs, 50) * 1000,
            unit="ms",
            baseline=percentile(bare, 50) * 1000,
            against="the same program begun without a desktop",
            better="less",
            goal=50.0,
            judged="difference",
        )
    )
    return figures


def _grabs(desktop: Desktop) -> list[float]:
    os.environ["XAUTHORITY"] = str(desktop.authority)
    found = []
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
            ours.append(await _time_exec(porthole, session.id))
            begun = time.perf_counter()
            await asyncio.to_thread(cluster.kubectl, *words)
            theirs.append(time.perf_counter() - begun)
    return [
        Figure(
            name=f"exec round trip, in a cluster, p{percent}",
            value=percentile(ours, percent) * 1000,
            unit="ms",
            baseline=percentile(theirs, percent) * 1000,
            against="`kubectl exec` into the same container",
            better="less",
            goal=1.0,
            judged="ratio",
        )
        for percent in (50, 99)
    ]


async def _time_exec(porthole: AsyncPorthole, session: UUID | str) -> float:
    """Return the seconds from asking for a program to its exit status."""
    begun = time.perf_counter()
    assert (await porthole.sessions.exec(session, ["true"])).status == 0
    return time.perf_counter() - begun
