"""Programs that the agent starts at the same time, some of which stay."""

import asyncio
import os
import time

import uvloop

from porthole_agent.runtimes.local.processes import run, run_with

STAYS = 20.0  # long beside what all of them take where others work, too


async def one_of_each() -> None:
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        said, code = await asyncio.gather(
            run("sh", "-c", "cat; echo done", given="words "),
            run_with(["setsid", "--fork", "sleep", str(STAYS)], (), nothing),
        )
    finally:
        os.close(nothing)
    assert (said, code) == ("words done\n", 0)


async def many() -> float:
    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(60):
            group.create_task(one_of_each())
    return time.monotonic() - begun


def test_what_stays_keeps_nobody_waiting() -> None:
    # uvloop has what a program is to inherit inheritable for a moment: by all that begin then.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(many()) < STAYS - 1
