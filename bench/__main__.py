"""`python -m bench [NAME ...]`: run benchmarks, print their table, keep their figures."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

from bench import (
    api,
    browser,
    commands,
    desktop,
    driving,
    files,
    idle,
    meter,
    page,
    pods,
    rdp,
    rdp_servers,
    relay,
    reports,
    sound,
    starts,
)
from bench.figures import Figure, check, keep, show
from bench.instance import Instance, an_instance

BENCHMARKS: dict[str, Callable[[Instance], Awaitable[list[Figure]]]] = {
    "relay": relay.measure,
    "latency": desktop.measure_latency,
    "frames": desktop.measure_frames,
    "start": desktop.measure_start,
    "browser": browser.measure,
    "meter": meter.measure,
    "files": files.measure,
    "driving": driving.measure,
    "sound": sound.measure,
    "queue": commands.measure,
    "reports": reports.measure,
    "idle": idle.measure,
    "rdp": rdp.measure,
    "rdp-servers": rdp_servers.measure,
    "api": api.measure,
}
"""What is measured on a whole instance."""

CLUSTERS: dict[str, Callable[[], Awaitable[list[Figure]]]] = {
    "starts": starts.measure,
    "pods": pods.measure,
    "exec": driving.measure_in_a_pod,
}
"""What is measured on clusters: one of its own, or that of `porthole cluster up`."""
ON_THE_CLUSTER = frozenset({"pods", "exec"})
"""What is measured on the latter."""


async def run(names: list[str]) -> list[Figure]:
    """Run these benchmarks, each on an instance or a cluster of its own."""
    figures: list[Figure] = []
    for name in names:
        print(f"{name} ...", flush=True)
        begun = time.monotonic()
        if name in CLUSTERS:
            found = await CLUSTERS[name]()
        else:
            async with an_instance() as instance:
                found = await BENCHMARKS[name](instance)
        check(found)
        keep(found)
        page.write()
        figures += found
        print(f"{name} took {time.monotonic() - begun:.0f} s", flush=True)
        show(found)
    return figures


def main() -> int:
    """Run what was asked for; 0 if every figure was measured, whatever it is."""
    every = [*BENCHMARKS, *CLUSTERS]
    names = sys.argv[1:] or every
    unknown = [name for name in names if name not in every]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}; there are {', '.join(every)}.")
        return 2
    lacking = [one for one in names if one in ON_THE_CLUSTER and not pods.has_cluster()]
    if lacking:
        words = " and ".join(lacking)
        print(f"No cluster for {words}: it needs the one that `porthole cluster up` makes.")
        if sys.argv[1:]:
            return 2
        names = [one for one in names if one not in lacking]
    figures = asyncio.run(run(names))
    if len(names) > 1:
        show(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
