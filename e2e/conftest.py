"""What the stories share: one running instance, ended by Ctrl-C and gone without a trace."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.support.instance import Instance
from tests.support.leftovers import Leftovers


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what makes stories longer."""
    parser.addoption(
        "--all-failpoints", action="store_true", help="tell the story of each failpoint (1 hour)"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave stories about clusters out, unless they are asked for: making one takes minutes."""
    if "cluster" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("cluster")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


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
