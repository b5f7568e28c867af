"""`python -m bench [NAME ...]`: run benchmarks, print their table, keep their figures."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

from bench import api, browser, commands, desktop, page, relay
from bench.figures import Figure, check, keep, show
from bench.instance import Instance, an_instance

BENCHMARKS: dict[str, Callable[[Instance], Awaitable[list[Figure]]]] = {
    "relay": relay.measure,
    "latency": desktop.measure_latency,
    "frames": desktop.measure_frames,
    "start": desktop.measure_start,
    "browser": browser.measure,
    "commands": commands.measure,
    "api": api.measure,
}


async def run(names: list[str]) -> list[Figure]:
    """Run these benchmarks, each on a whole instance of its own."""
    figures: list[Figure] = []
    for name in names:
        print(f"{name} ...", flush=True)
        begun = time.monotonic()
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
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}.")
        return 2
    figures = asyncio.run(run(names))
    if len(names) > 1:
        show(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
