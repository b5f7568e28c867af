"""What the API server of the tests promises to the tests that stand on it."""

import subprocess
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.api_server import ApiServer
from tests.support.waiting import eventually

_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "one"},
    "spec": {"containers": [{"name": "main", "image": "none"}]},
}


@pytest.fixture
def namespace(api_server: ApiServer) -> Iterator[str]:
    name = f"test-{uuid4().hex[:8]}"
    api_server.kubectl("create", "namespace", name)
    yield name
    api_server.kubectl("delete", "namespace", name, "--wait=false")


async def _has_account(server: ApiServer, namespace: str) -> bool:
    listed = server.kubectl("get", "serviceaccounts", "-n", namespace, "-o", "name")
    return "serviceaccount/default" in listed.split()


async def test_it_admits_pods_as_a_cluster_does(api_server: ApiServer, namespace: str) -> None:
    await eventually(lambda: _has_account(api_server, namespace), True, within=30)
    api_server.kubectl(
        "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted"
    )
    with pytest.raises(subprocess.CalledProcessError) as refused:
        api_server.apply({**_POD, "metadata": {"name": "one", "namespace": namespace}})
    assert 'violates PodSecurity "restricted:latest"' in refused.value.stderr


async def test_what_an_owner_owned_goes_with_it(api_server: ApiServer, namespace: str) -> None:
    def config_map(name: str, **metadata: object) -> dict[str, object]:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace, **metadata},
        }

    api_server.apply(config_map("owner"))
    uid = api_server.kubectl(
        "get", "cm", "owner", "-n", namespace, "-o", "jsonpath={.metadata.uid}"
    )
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    api_server.apply(config_map("owned", ownerReferences=[owner]))
    api_server.kubectl("delete", "configmap", "owner", "-n", namespace)

    async def names() -> list[str]:
        listed = api_server.kubectl("get", "configmaps", "-n", namespace, "-o", "name").split()
        return [name for name in listed if "kube-root-ca" not in name]

    await eventually(names, [], within=60)


def test_it_knows_users_and_writes_down_what_they_do(api_server: ApiServer, namespace: str) -> None:
    alice = api_server.kubeconfig_of("alice", groups=("designers",))
    with pytest.raises(subprocess.CalledProcessError) as refused:
        api_server.kubectl("get", "pods", "-n", namespace, user=alice)
    assert 'User "alice" cannot list resource "pods"' in refused.value.stderr
    seen = [
        event
        for event in api_server.audited()
        if event["user"]["username"] == "alice"
        and event.get("objectRef", {}).get("namespace") == namespace
    ]
    assert [event["verb"] for event in seen] == ["list"]
    assert seen[0]["user"]["groups"] == ["designers", "system:authenticated"]
    assert seen[0]["responseStatus"]["code"] == 403
