"""What the stories share: one running instance and one cluster, gone without a trace."""

import asyncio
import functools
import inspect
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.support.installed import Installed
from e2e.support.instance import Instance
from e2e.support.real_cluster import RealCluster, until
from e2e.support.traces import Traces, all_network_namespaces, network_namespaces
from tests.support.leftovers import Leftovers

_SOONER = 5.0  # seconds before pytest-timeout's alarm


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what makes stories longer."""
    parser.addoption(
        "--all-failpoints", action="store_true", help="tell the story of each failpoint (1 hour)"
    )
    parser.addoption(
        "--many-sessions", action="store_true", help="tell what takes many on a cluster (3 minutes)"
    )
    parser.addoption("--kills-round", default="", help="tell all kills on a cluster; a folder")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave stories about clusters and those with many sessions out, unless they are asked for."""
    asked = {
        "cluster": "cluster" in config.option.markexpr,
        "many": config.getoption("--many-sessions", default=False),
    }
    not_asked = [marker for marker, is_asked in asked.items() if not is_asked]
    left_out = [item for item in items if any(map(item.get_closest_marker, not_asked))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        limit = item.get_closest_marker("timeout")
        if isinstance(item, pytest.Function) and limit and inspect.iscoroutinefunction(item.obj):
            item.obj = _cancelled_after(limit.args[0] - _SOONER, item.obj)


def _cancelled_after(seconds: float, story: Callable[..., Awaitable[None]]) -> Any:
    """Return a story that ends as its own code does when its time is over.

    pytest-timeout's alarm goes off in whatever the loop is at just then, and leaves a loop
    behind whose tasks still hold a browser: closing that may take for ever.
    """

    @functools.wraps(story)
    async def told(**fixtures: Any) -> None:
        try:
            async with asyncio.timeout(seconds) as limit:
                await story(**fixtures)
        except TimeoutError:
            assert not limit.expired(), f"The story took longer than {seconds:.0f} s."
            raise

    return told


@pytest.fixture(scope="session")
def home_folder() -> Iterator[Path]:
    """A place for homes: on a disk, as a home should be, and with a short name."""
    made = Path(tempfile.mkdtemp(prefix="porthole-e2e-", dir="/var/tmp"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def home(home_folder: Path) -> Iterator[Path]:
    """An empty home for a story that starts its own instance; nothing of it may be left."""
    made = Path(tempfile.mkdtemp(prefix="own-", dir=home_folder))
    yield made
    _nothing_runs(made)


@pytest.fixture(scope="session")
def instance(home_folder: Path) -> Iterator[Instance]:
    """`porthole up` with a home and a port of its own."""
    running = Instance(home_folder / "home")
    running.start()
    yield running
    code = running.stop()
    assert code == 0, running.up.said
    _nothing_runs(running.home)


@pytest.fixture
def alone(home: Path) -> Iterator[Instance]:
    """`porthole up` for one story alone, whose agent is the only one that there is."""
    running = Instance(home)
    running.start()
    yield running
    assert running.stop() == 0, running.up.said


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[RealCluster]:
    """The one cluster of all stories, with two nodes and with Porthole on it.

    `PORTHOLE_E2E_CLUSTER` names one to use, to bring up to date, and to keep: whoever writes
    stories waits for a cluster once.
    """
    kept = os.environ.get("PORTHOLE_E2E_CLUSTER", "")
    used = RealCluster(kept or "stories")
    before = Traces.of(used.place.folder, used.name)
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    try:
        with capture.global_and_fixture_disabled():
            print(f"\nCluster {used.name}: making it, or bringing it up to date", flush=True)
            used.up()
        yield used
    finally:
        if not kept:
            inside = network_namespaces(f"porthole-cluster-{used.name}")
            used.porthole("down", patience=300)
    if not kept:
        _nothing_is_left(used, before)
        assert not inside & all_network_namespaces()


def _nothing_is_left(cluster: RealCluster, before: Traces) -> None:
    """Check that nothing of a cluster is on the machine any more."""
    left: dict[str, list[str]] = {}

    def look() -> bool:
        nonlocal left
        left = Traces.of(cluster.place.folder, cluster.name).new_since(before)
        return not left

    until(look, lambda: f"nothing of the cluster is left: {left}", 30)
    assert not cluster.place.folder.exists()


@pytest.fixture(scope="session")
def release(cluster: RealCluster) -> Installed:
    """Porthole on the cluster, whatever a story has done to it since."""
    return Installed(cluster)


@pytest.fixture
def installed(request: pytest.FixtureRequest, release: Installed) -> Iterator[Installed]:
    """Porthole on the cluster, all there; a story leaves it as it found it."""
    release.ensure()
    before, failed = release.things(), request.session.testsfailed
    yield release
    if request.session.testsfailed > failed:
        print(release.logs())
        release.clean_up()
    left: Counter[str] = Counter()

    def look() -> bool:
        nonlocal left
        left = release.things()
        return left == before

    until(look, lambda: f"left {left - before}, missing {before - left}", 60)


def _nothing_runs(home: Path) -> None:
    """Check that nothing is left of a home but its files."""
    left = Leftovers.of(home).new_since(Leftovers.of(home / "nothing"))
    left.pop("sessions", None)  # what should run again is written down
    assert not left, left


@pytest.fixture(autouse=True)
def logs_of_failures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print the ends of the logs of whatever a story had running when it failed."""
    yield
    report = request.node.stash.get(OUTCOME, None)
    if report is not None and report.failed:
        for value in request.node.funcargs.values():
            if isinstance(value, Instance):
                print(value.logs())


OUTCOME = pytest.StashKey[pytest.TestReport]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.stash[OUTCOME] = report
