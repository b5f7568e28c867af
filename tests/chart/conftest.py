"""The chart, rendered by helm, and a real API server to show it to."""

from collections.abc import Iterator

import pytest

from tests.support.api_server import ApiServer, running_api_server
from tests.support.helm import Helm


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm, with a home of its own."""
    return Helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A Kubernetes API server without nodes."""
    with running_api_server(tmp_path_factory.mktemp("kubernetes")) as server:
        yield server
