"""The agent is killed at every step of a session's life, and the next one there again.

Whatever it was doing: the next agent brings the session where it should be, starts it once
for each (order, restarts), counts a restart only where a loss is on record, and when the
session is deleted nothing of it is left.
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from uuid import uuid4

import pytest

from porthole_agent.failpoints import CREATE, DELETE, LOCAL, LOSE
from tests.support.leftovers import Leftovers
from tests.support.local_runtime import CANNOT

pytestmark = [
    pytest.mark.skipif(bool(CANNOT), reason=f"no desktops here: {CANNOT}"),
    pytest.mark.timeout(600),
]

TOGETHER = 3
KILLS = 2  # the second, unless the next one does not come by there again


async def test_a_killed_agent_leaves_nothing_undone_and_does_nothing_twice(tmp_path):
    turns = asyncio.Semaphore(TOGETHER)

    async def story(at, name):
        async with turns:
            # Every other desktop is one over RDP: what draws is another, and the agent the same.
            return name, await _told(tmp_path / name, name, ("desktop", "rdp")[at % 2])

    told = dict(await asyncio.gather(*(story(at, name) for at, name in enumerate(LOCAL))))
    wrong = {name: faults for name, faults in told.items() if faults}
    assert not wrong, json.dumps(wrong, indent=1)


async def _told(folder, name, template):
    """Let agents be killed at `name`; return what is wrong after it."""
    session = str(uuid4())
    before = Leftovers.of(folder)
    create = [["create", session, template], ["until", session, 0]]
    crash = [["crash", session], ["until", session, 1]] if name in LOSE else []
    delete = [["delete", session]]
    everything = [*create, *crash, *delete]
    faults = []
    steps = everything
    for _ in range(KILLS):
        code, said = await _agent(folder, steps, f"{name}=kill:1")
        if code not in {-signal.SIGKILL, 0}:
            faults.append(f"ended with {code}: {said}")
        if name in DELETE:
            steps = delete
        elif name in LOSE:
            steps = [["create", session, template], ["until", session, 1], *delete]
        else:
            steps = everything
        if code == 0:
            break
    else:
        code, said = await _agent(folder, steps, "")
        if code:
            faults.append(f"the last one ended with {code}: {said}")
    left = Leftovers.of(folder).new_since(before)
    if left:
        faults.append(f"left: {left}")
    return faults + _journal(folder, name)


def _journal(folder, name):
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    events = Counter((line["event"], line["order"], line["restarts"]) for line in lines)
    faults = [
        f"{key} was said {count} times"
        for key, count in events.items()
        if count != 1 and key[0] in {"started", "lost", "ended"}
    ]
    lost = {line["restarts"] for line in lines if line["event"] == "lost"}
    restarts = max(line["restarts"] for line in lines)
    if not set(range(restarts)) <= lost:
        faults.append(f"restarts rose to {restarts} with losses {lost}")
    if restarts > KILLS + 1:
        faults.append(f"{restarts} restarts after {KILLS} kills")
    if name in CREATE[:2] and restarts:
        faults.append("it was restarted although it had not begun")
    if [line["event"] for line in lines].count("ended") != 1:
        faults.append("it did not end once")
    return faults


async def _agent(folder, steps, failpoints):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.local_runtime", str(folder), json.dumps(steps)),
        env={**os.environ, "PORTHOLE_FAILPOINTS": failpoints},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(60):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        out, _ = await process.communicate()
        return -1, f"took too long: {out.decode()[-2000:]}"
    return process.returncode, out.decode()[-2000:]
