"""What kind is asked for, and what is remembered of it."""

from pathlib import Path

import pytest
import yaml

from e2e.cluster.config import Wanted, kind_configuration
from e2e.cluster.kubernetes import PROGRAMS, release
from e2e.cluster.record import Place, Up

SOURCE = Path(__file__).resolve().parents[3] / "e2e" / "cluster"


def configuration(**changes: object) -> dict[str, object]:
    wanted = Wanted("one", **changes)  # type: ignore[arg-type]
    text = kind_configuration(wanted, address="10.0.2.100", port=6000, audit=Path("/audit"))
    content = yaml.safe_load(text)
    assert isinstance(content, dict)
    return content


def test_one_node_is_the_control_plane_and_the_rest_are_workers() -> None:
    nodes = configuration(nodes=3)["nodes"]
    assert isinstance(nodes, list)
    assert [node["role"] for node in nodes] == ["control-plane", "worker", "worker"]


def test_ports_are_published_where_the_engine_is_reached() -> None:
    nodes = configuration(ports={8443: 30443})["nodes"]
    assert isinstance(nodes, list)
    assert nodes[0]["extraPortMappings"] == [
        {
            "containerPort": 30443,
            "hostPort": 8443,
            "listenAddress": "10.0.2.100",
            "protocol": "TCP",
        }
    ]


def test_the_certificate_is_good_for_both_sides_of_the_way_in() -> None:
    patches = configuration()["kubeadmConfigPatches"]
    assert isinstance(patches, list)
    for patch in map(yaml.safe_load, patches):
        assert patch["apiServer"]["certSANs"] == ["10.0.2.100", "127.0.0.1", "localhost"]


def test_what_is_up_is_remembered_as_it_was_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    place = Place("one")
    assert Up.read(place) is None
    place.folder.mkdir(parents=True)
    up = Up(Wanted("one", 2, {8443: 30443}), own_engine=True)
    up.write(place)
    assert Up.read(place) == up


def test_the_release_of_kubernetes_is_that_of_its_modules() -> None:
    agent = (SOURCE / "node_agent" / "go.mod").read_text()
    assert f"k8s.io/client-go {release().replace('v1.', 'v0.')}\n" in agent


def test_the_program_goes_by_the_names_that_it_is_linked_under() -> None:
    source = (SOURCE / "kubernetes" / "main.go").read_text()
    assert all(f'"{name}":' in source for name in PROGRAMS)
