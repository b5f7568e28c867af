"""Which port leads to the console of a cluster."""

from pathlib import Path

import pytest

from e2e.cluster import installing
from e2e.cluster.cache import Cache
from e2e.cluster.cluster import Cluster
from e2e.cluster.config import Wanted
from e2e.cluster.record import Up
from porthole_client.cli.exits import Failure


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = Cluster("one", Cache(tmp_path, print))
    made.place.folder.mkdir(parents=True)
    return made


def test_it_is_the_one_that_leads_to_its_node_port(cluster: Cluster):
    ports = {18080: 80, 18443: installing.CONSOLE}
    Up(Wanted("one", ports=ports), own_engine=True).write(cluster.place)
    assert installing.console_port(cluster) == 18443


def test_a_bare_cluster_has_none(cluster: Cluster):
    with pytest.raises(Failure, match="without --bare"):
        installing.console_port(cluster)
    Up(Wanted("one", ports={18080: 80}), own_engine=True).write(cluster.place)
    with pytest.raises(Failure, match="without --bare"):
        installing.console_port(cluster)
