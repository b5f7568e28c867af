"""What is said to a Kubernetes API server."""

import pytest

from porthole_contract.cluster import Kind, Right, Scope

PODS = Kind("", "v1", "pods", "Pod")
LEASES = Kind("coordination.k8s.io", "v1", "leases", "Lease")


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (PODS.path("here", "one"), "/api/v1/namespaces/here/pods/one"),
        (PODS.path("here", "one", "status"), "/api/v1/namespaces/here/pods/one/status"),
        (PODS.path("here"), "/api/v1/namespaces/here/pods"),
        (PODS.path(), "/api/v1/pods"),
        (PODS.path("", "one"), "/api/v1/pods/one"),
        (LEASES.path("here", "x"), "/apis/coordination.k8s.io/v1/namespaces/here/leases/x"),
    ],
)
def test_every_object_has_its_place(path, wanted):
    assert path == wanted


def test_an_empty_name_is_not_all_of_them():
    assert PODS.path("here", "") != PODS.path("here")


def test_a_right_by_name_says_the_names():
    by_name = Right(Scope.SYSTEM, "", "configmaps", ("get",), ("a",))
    assert by_name.rule()["resourceNames"] == ["a"]
    assert "resourceNames" not in Right(Scope.SYSTEM, "", "configmaps", ("create",)).rule()
