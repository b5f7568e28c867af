"""The cluster that stories run on is a real one."""

import urllib.request
from collections.abc import Iterator

import pytest

from e2e.cluster import archive
from e2e.cluster.archive import File, Folder, Image
from e2e.cluster.cache import Cache
from e2e.cluster.programs import PROBE
from e2e.support.real_cluster import RealCluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]

PROBE_IMAGE = "localhost/porthole-test/probe:1"
SPACE = "story"


def a_pod(name: str, **spec: object) -> dict[str, object]:
    """Return a pod of the probe that Pod Security `restricted` admits."""
    container = {
        "name": "probe",
        "image": PROBE_IMAGE,
        "imagePullPolicy": "Never",
        "args": ["serve"],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": spec.pop("mounts", []),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": SPACE, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            **spec,
        },
    }


@pytest.fixture(scope="module", autouse=True)
def space(cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A namespace for the probe, whose image is on the nodes."""
    image = tmp_path_factory.mktemp("image") / "probe.tar"
    probe = Cache.of_this_user(print).obtain(PROBE) / "probe"
    layer = {"bin/probe": File(probe), "tmp": Folder(0o1777)}
    archive.write(image, {"probe": layer}, [Image(PROBE_IMAGE, ["probe"], ["/bin/probe"])])
    cluster.porthole("load", str(image))
    cluster.kubectl("create", "namespace", SPACE)
    cluster.kubectl("label", "ns", SPACE, "pod-security.kubernetes.io/enforce=restricted")
    yield
    cluster.kubectl("delete", "namespace", SPACE, "--timeout=60s")


@pytest.fixture(scope="module")
def server(cluster: RealCluster, space: None) -> None:  # noqa: ARG001 - it is made there
    """A pod `server` with a Service of its name, and a pod on each node that may ask it."""
    one, two = nodes(cluster)
    cluster.apply(
        a_pod("server", nodeName=one),
        a_pod("beside", nodeName=one),
        a_pod("far", nodeName=two),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "server", "namespace": SPACE},
            "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    )
    for pod in ("server", "beside", "far"):
        cluster.wait(f"pod/{pod}", "condition=Ready", "-n", SPACE)


def nodes(cluster: RealCluster) -> list[str]:
    return cluster.kubectl("get", "nodes", "-o", "name").replace("node/", "").split()


def ask(pod: str) -> tuple[str, ...]:
    """Return the words with which kubectl lets a pod ask the server by its name."""
    url = f"http://server.{SPACE}.svc.cluster.local/"
    return ("exec", "-n", SPACE, pod, "--", "/bin/probe", "get", url)


def test_every_node_is_ready_and_takes_pods(cluster: RealCluster) -> None:
    assert len(nodes(cluster)) == 2
    cluster.wait("node", "condition=Ready", "--all")
    assert cluster.kubectl("get", "nodes", "-o", "jsonpath={.items[*].spec.taints}") == ""


@pytest.mark.usefixtures("server")
def test_pods_of_all_nodes_reach_a_service_by_its_name(cluster: RealCluster) -> None:
    for pod in ("beside", "far"):
        cluster.eventually("server, user 1000\n", *ask(pod))
    assert cluster.kubectl("logs", "-n", SPACE, "server") == "serving as server\n"


@pytest.mark.usefixtures("server")
def test_a_port_is_forwarded(cluster: RealCluster) -> None:
    with (
        cluster.forwarded("pod/server", 8080, SPACE) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer,
    ):
        assert answer.read() == b"server, user 1000\n"


def test_a_volume_is_writable_by_anybody_and_stays_on_its_node(cluster: RealCluster) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "home", "namespace": SPACE},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    home = {
        "mounts": [{"name": "home", "mountPath": "/home"}],
        "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "home"}}],
    }
    cluster.apply(claim, a_pod("writer", **home))
    cluster.wait("pod/writer", "condition=Ready", "-n", SPACE)
    say = ("exec", "-n", SPACE, "writer", "--", "/bin/probe")
    cluster.kubectl(*say, "write", "/home/file", "kept")
    where = cluster.kubectl("get", "pod", "writer", "-n", SPACE, "-o", "jsonpath={.spec.nodeName}")
    cluster.kubectl("delete", "pod", "writer", "-n", SPACE)
    cluster.apply(a_pod("reader", **home))
    cluster.wait("pod/reader", "condition=Ready", "-n", SPACE)
    read = ("exec", "-n", SPACE, "reader", "--", "/bin/probe", "read", "/home/file")
    assert cluster.kubectl(*read) == "kept\n"
    there = cluster.kubectl("get", "pod", "reader", "-n", SPACE, "-o", "jsonpath={.spec.nodeName}")
    assert there == where
    volume = cluster.get("pvc", "home", "-n", SPACE)["spec"]["volumeName"]
    cluster.kubectl("delete", "pod", "reader", "-n", SPACE)
    cluster.kubectl("delete", "pvc", "home", "-n", SPACE)
    cluster.wait(f"pv/{volume}", "delete")


def test_a_pod_may_have_users_of_its_own(cluster: RealCluster) -> None:
    cluster.apply(a_pod("own-users", hostUsers=False))
    cluster.wait("pod/own-users", "condition=Ready", "-n", SPACE)


def test_the_audit_log_knows_who_did_what(cluster: RealCluster) -> None:
    log = cluster.place.audit / "log"
    cluster.kubectl("get", "pods", "-n", SPACE)
    assert f'"requestURI":"/api/v1/namespaces/{SPACE}/pods' in log.read_text()
