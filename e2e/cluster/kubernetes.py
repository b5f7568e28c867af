"""Kubernetes and etcd from their Go modules: one program that goes by many names."""

import re
from pathlib import Path

from e2e.cluster import golang
from e2e.cluster.cache import Artefact, Cache

_SOURCE = Path(__file__).with_name("kubernetes")
PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
)
"""The names that `main.go` knows."""


def release() -> str:
    """Return the release of Kubernetes that `go.mod` asks for: `v1.34.4`."""
    asked = re.compile(r"^\tk8s\.io/kubernetes (v[\d.]+)$", re.MULTILINE)
    found = asked.search((_SOURCE / "go.mod").read_text(encoding="ascii"))
    assert found is not None
    return found[1]


def _flags() -> tuple[str, ...]:
    """Return the flags of `go build`: the version that all programs tell, no cloud providers."""
    major, minor, _ = release().removeprefix("v").split(".")
    told = {"gitVersion": release(), "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    stamped = " ".join(
        f"-X k8s.io/component-base/version.{name}={value}" for name, value in told.items()
    )
    return ("-tags", "providerless", "-ldflags", f"-s -w {stamped}")


def _make(folder: Path, cache: Cache) -> None:
    golang.build(_SOURCE, {"kubernetes": "."}, folder, cache, flags=_flags())
    for name in PROGRAMS:
        (folder / name).symlink_to("kubernetes")


KUBERNETES = Artefact(
    "kubernetes", _make, version=" ".join(_flags()), sources=(_SOURCE,), usual=300
)
"""A folder with the binary `kubernetes` and a link to it for each of `PROGRAMS`."""
