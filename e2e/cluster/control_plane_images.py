"""The images of the control plane, made from nothing.

Their names are those that kubeadm of this release asks for.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from e2e.cluster.archive import File, Folder, Image, Layer, Link
from e2e.cluster.cache import Cache
from e2e.cluster.kubernetes import KUBERNETES, release
from e2e.cluster.programs import COREDNS, NODE_AGENT, PAUSE

_REGISTRY = "registry.k8s.io"
_PROGRAMS = "/usr/local/bin"


def images() -> Iterator[Image]:
    """Yield the images; their layers are those of `layers`."""
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        yield Image(f"{_REGISTRY}/{name}:{release()}", ["kubernetes"], [f"{_PROGRAMS}/{name}"])
    yield Image(
        f"{_REGISTRY}/kube-proxy:{release()}",
        ["kubernetes", "iptables"],
        [f"{_PROGRAMS}/kube-proxy"],
    )
    yield Image(f"{_REGISTRY}/etcd:3.6.5-0", ["kubernetes"], [f"{_PROGRAMS}/etcd"])
    yield Image(f"{_REGISTRY}/coredns/coredns:v1.12.1", ["coredns"], ["/coredns"])
    yield Image(f"{_REGISTRY}/pause:3.10.1", ["pause"], ["/pause"], user="65535:65535")
    yield Image("localhost/porthole-test/node-agent:1", ["node-agent"], ["/node-agent"])


def layers(root: Path, cache: Cache) -> dict[str, Layer]:
    """Return the layers by name.

    Args:
        root: a Debian with kube-proxy's tools.
        cache: has the programs.
    """
    names = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler")
    certificates = "etc/ssl/certs/ca-certificates.crt"
    return {
        "kubernetes": {
            "usr/local/bin/kubernetes": File(cache.obtain(KUBERNETES) / "kubernetes"),
            **{f"usr/local/bin/{name}": Link("kubernetes") for name in names},
            certificates: File(root / certificates),
            "tmp": Folder(0o1777),
        },
        "iptables": _iptables(root),
        "coredns": {"coredns": File(cache.obtain(COREDNS) / "coredns")},
        "pause": {"pause": File(cache.obtain(PAUSE) / "pause")},
        "node-agent": {"node-agent": File(cache.obtain(NODE_AGENT) / "node-agent")},
    }


def _iptables(root: Path) -> Layer:
    """Return what kube-proxy calls, with all that is linked into it."""
    layer: dict[str, File | Link | Folder] = {
        name: Link(f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64")
    }
    tables = [f"{ip}tables{what}" for ip in ("ip", "ip6") for what in ("", "-save", "-restore")]
    layer |= {f"usr/sbin/{name}": Link("xtables-nft-multi") for name in tables}
    layer["run"] = Folder()
    plugins = [f"/{path.relative_to(root)}" for path in root.glob("usr/lib/*/xtables/*.so")]
    todo = ["/usr/sbin/xtables-nft-multi", "/usr/sbin/conntrack", "/usr/bin/kmod", *plugins]
    while todo:
        path = todo.pop()
        # In the root these are links to the folders below /usr, and so they are in the image.
        place = path.lstrip("/") if path.startswith("/usr/") else f"usr{path}"
        if place in layer:
            continue
        if (root / place).is_symlink():
            target = (root / place).readlink()
            layer[place] = Link(str(target))
            todo.append(os.path.normpath(Path("/", place).parent / target))
        else:
            layer[place] = File(root / place)
            todo += _linked(root, path)
    return layer


def _linked(root: Path, path: str) -> list[str]:
    """Return the libraries that a file of a root is linked with; none if it is no program."""
    command = ["chroot", root, "ldd", path]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [word for word in said.split() if word.startswith("/")]
