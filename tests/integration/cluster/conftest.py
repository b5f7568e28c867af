"""What tests against a real API server need; it has no nodes."""

from collections.abc import Iterator

import pytest

from tests.support.api_server import ApiServer, running_api_server


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A Kubernetes API server without nodes, for all tests; each takes a namespace of its own."""
    with running_api_server(tmp_path_factory.mktemp("kubernetes")) as server:
        yield server


@pytest.fixture(scope="session")
def cluster(api_server: ApiServer) -> ApiServer:
    """The API server with Sessions and SessionTemplates."""
    api_server.apply_crds()
    return api_server
