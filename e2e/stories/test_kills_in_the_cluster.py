"""Whatever dies on a cluster while a session begins, is looked at and ends.

The programs end themselves at named places; programs, gates, desktops, pods and nodes are killed
at other moments. What is the same in all stories: the session comes to the phase that it should
be in, with one pod for each (order, restarts); `restarts` rises only with a loss on record; and
of API objects, volumes, mounts, packet rules and processes nothing is left.

A few are always told; `python -m e2e.kills` tells all of them, in rounds.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.support.casualties import Casualties
from e2e.support.cluster_api import ClusterApi
from e2e.support.cluster_life import Ground, Life
from e2e.support.cluster_things import Things
from e2e.support.installed import Installed
from e2e.support.kill_stories import BEGIN, END, SHORT, KillStory, table
from e2e.support.upheavals import TOLD

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900, func_only=True)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the stories."""
    told = table() if metafunc.config.getoption("--kills-round", default="") else SHORT
    metafunc.parametrize("story", told, ids=[one.id for one in told])


@pytest.fixture(scope="module")
def ready_to_die(release: Installed, pytestconfig: pytest.Config) -> Iterator[Installed]:
    """A release whose programs look for failpoints."""

    async def casualties(do: str) -> None:
        async with ClusterApi(release.cluster.place.kubeconfig) as api:
            await getattr(Casualties(release.cluster, api), do)()

    asyncio.run(casualties("prepare"))
    yield release
    if not pytestconfig.getoption("--kills-round"):
        asyncio.run(casualties("restore"))


@pytest.fixture
def a_round(pytestconfig: pytest.Config) -> Path:
    """The folder of this round."""
    return Path(pytestconfig.getoption("--kills-round") or "")


async def test_nothing_is_lost_doubled_or_left(
    ready_to_die: Installed,
    a_round: Path,
    story: KillStory,
    record_property: Callable[[str, object], None],
) -> None:
    async with Ground.of(ready_to_die) as ground:
        try:
            before = Things.of(ready_to_die.cluster)
            if story is BEGIN:
                before.write(a_round / "before.json")
            elif story is END:
                await ground.is_as_before(Things.read(a_round / "before.json"))
                Things.of(ready_to_die.cluster).write(a_round / "after.json")
            elif story.special:
                await TOLD[story.special](ground)
            else:
                await Life(ground, story).is_told()
            await ground.is_well()
            await ground.is_as_before(before)
            for figure in ground.figures.items():
                record_property(*figure)
        except BaseException:
            print(ready_to_die.logs())
            await ground.clean_up()
            raise
