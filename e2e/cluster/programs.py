"""Programs from their Go modules, each at one release."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from e2e.cluster import golang
from e2e.cluster.cache import Artefact, Cache
from e2e.cluster.host import need_packages

_HERE = Path(__file__).parent
_C_COMPILER = ("gcc", "libc6-dev", "libseccomp-dev", "pkg-config")
_SMALL = ("-ldflags", "-s -w")


def _of_ours(name: str, *, packages: Mapping[str, str] | None = None, usual: float) -> Artefact:
    """Return the artefact of what a Go module in a folder beside this file builds.

    Args:
        name: the artefact's.
        packages: name of a program -> its package; the module's own, unless they are given.
        usual: how long it takes.
    """
    source = _HERE / name.replace("-", "_")

    def make(folder: Path, cache: Cache) -> None:
        golang.build(source, packages or {name: "."}, folder, cache, flags=_SMALL)

    version = " ".join((*_SMALL, *(packages or {})))
    return Artefact(name, make, version=version, sources=(source,), usual=usual)


def _released(
    name: str,
    packages: Sequence[str],
    release: str,
    *,
    flags: Sequence[str] = _SMALL,
    cgo: bool = False,
    usual: float,
) -> Artefact:
    """Return the artefact of released programs, each named as the end of its package."""

    def make(folder: Path, cache: Cache) -> None:
        if cgo:
            need_packages(_C_COMPILER, cache.say)
        golang.install(packages, release, folder, cache, flags=flags, cgo=cgo)

    version = " ".join((*packages, release, *flags))
    return Artefact(name, make, version=version, usual=usual)


COREDNS = _of_ours("coredns", usual=60)
"""The cluster's DNS. Its release is the one that kubeadm asks for."""

NODE_AGENT = _of_ours("node-agent", usual=20)
"""A node's network and volumes."""

PAUSE = _of_ours("pause", usual=2)
"""The first process of a pod."""

PROBE = _of_ours("probe", usual=5)
"""What stories run in pods."""

CONTAINERD = _of_ours(
    "containerd",
    usual=120,
    packages={
        name: f"github.com/containerd/containerd/v2/cmd/{name}"
        for name in ("containerd", "containerd-shim-runc-v2", "ctr")
    },
)
"""The container runtime of a node. Debian's own knows no user namespaces for pods."""

RUNC = _released(
    "runc",
    ["github.com/opencontainers/runc"],
    "v1.3.0",
    # Static, so that it runs in the node whatever this machine's C library is.
    flags=("-tags", "seccomp netgo osusergo", "-ldflags", "-s -w -extldflags -static"),
    cgo=True,
    usual=20,
)
"""What starts containers, in the node and in the engine."""

KIND = _released("kind", ["sigs.k8s.io/kind"], "v0.33.0", usual=20)
"""What makes a cluster of nodes that are containers."""

HELM = _released("helm", ["helm.sh/helm/v3/cmd/helm"], "v3.19.0", usual=90)
"""The installer of charts."""

KWOK = _released("kwok", ["sigs.k8s.io/kwok/cmd/kwok"], "v0.7.0", usual=140)
"""Nodes and pods that only seem to run, by the thousand."""
