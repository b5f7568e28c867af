"""Whatever dies while a session begins, is looked at and ends, and however often.

Each story is the whole life of one session in an instance of its own. The control plane and
the agent end themselves at named places; everybody is killed when a session was just asked
for, or its end, and while one of the parts stands still at a named place. What is the same in
all of them: the session runs, can be looked at and ends; the runtime has started it once for
each (order, restarts); `restarts` rises only with a loss on record; and of it nothing is left
but its home.

A few stories in which many die one after the other are always told; `--all-failpoints` tells
one for each place and each victim, killed once and twice.
"""

import asyncio
import re
from pathlib import Path

import pytest

from e2e.support.instance import Instance
from e2e.support.killing import Failpoints
from e2e.support.life import Life, Story
from e2e.support.stories import SHORT, table

pytestmark = pytest.mark.timeout(300)

SECRETS = re.compile(r"ph[a-z]_[0-9a-f]{32}_[0-9a-f]{64}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the stories."""
    told = dict(SHORT)
    if metafunc.config.getoption("--all-failpoints", default=False):
        told |= {row.id: row.story for row in table()}
    metafunc.parametrize("story", told.values(), ids=told)


async def test_nothing_is_lost_doubled_or_left(home: Path, tmp_path: Path, story: Story) -> None:
    points = Failpoints(tmp_path / "failpoints", home)
    points.plan("control-plane", *story.control)
    points.plan("agent", *story.agent)
    life = Life(Instance(home), points, story)
    try:
        await life.begin()
        await life.is_told()
    except BaseException:
        print(life.instance.logs())
        raise
    finally:
        code = await asyncio.to_thread(life.instance.stop)
    assert code == 0, life.instance.up and life.instance.up.said
    for part, places in story.deaths.items():
        assert points.passed(part) == places, life.instance.logs()
    for log in (home / "log").iterdir():
        assert not SECRETS.findall(log.read_text(errors="replace")), log
