"""The image of a node, as kind expects it: Debian, a container runtime, Kubernetes.

kind reads `/kind/version` and what lies in `/kind/manifests`, and expects the images of the
control plane to be there already. They are made here from nothing and imported by the node's
own container runtime, so that a node pulls nothing.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster import archive, debian
from e2e.cluster.archive import File, Folder, Image, Layer, Link
from e2e.cluster.cache import Artefact, Cache
from e2e.cluster.host import need_packages
from e2e.cluster.kubernetes import KUBERNETES, release
from e2e.cluster.programs import CONTAINERD, COREDNS, NODE_AGENT, PAUSE, RUNC
from e2e.cluster.running import run
from porthole_client.cli.exits import Failure

NAME = f"localhost/porthole-test/node:{release()}"
ENTRYPOINT = ("/usr/local/bin/entrypoint", "/lib/systemd/systemd")

_SUITE = "bookworm"  # its systemd still runs where the machine has cgroups of version 1
_PACKAGES = (
    "ca-certificates",
    "conntrack",
    "containernetworking-plugins",
    "iproute2",
    "iptables",
    "kmod",
    "libseccomp2",
    "mount",
    "nftables",
    "procps",
    "systemd",
)
_LEFT_OUT = ("man", "doc", "locale", "info")
_TREE = Path(__file__).with_name("node")
_ENABLED = ("containerd.service", "kubelet.service")
_MASKED = ("getty.target", "timers.target")
_PLUGINS = {"host-local", "loopback", "portmap", "ptp"}
_UNSEEN = ("unshare", "--mount", "--propagation", "private", "--")
_PATIENCE = 30.0  # seconds for the container runtime to answer


def _make_base(folder: Path, cache: Cache) -> None:
    need_packages(("mmdebstrap",), cache.say)
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT]
    run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--aptopt=APT::Install-Recommends false",
            *excluded,
            f"--include={','.join(_PACKAGES)}",
            _SUITE,
            folder / "base.tar",
            debian.source(_SUITE),
        ]
    )


BASE = Artefact(
    "node-base",
    _make_base,
    version=f"{_SUITE} {' '.join((*_PACKAGES, *_LEFT_OUT))}",
    usual=40,
)
"""The Debian of a node: `base.tar`."""


def _make(folder: Path, cache: Cache) -> None:
    # On a disk, and not in the cache's folder: half a root must not be taken for an artefact.
    with tempfile.TemporaryDirectory(prefix="porthole-node-", dir=folder.parent) as made:
        root = Path(made) / "root"
        root.mkdir()
        base = cache.obtain(BASE) / "base.tar"
        run(["tar", "-C", root, "--exclude=./dev/*", "-xf", base])
        _tidy(root)
        _install(root, cache)
        images = Path(made) / "images.tar"
        archive.write(images, _layers(root, cache), _images())
        _import(root, images, cache.obtain(CONTAINERD))
        tar = ["tar", "-C", root, "--xattrs", "--numeric-owner", "--sort=name"]
        run([*tar, "-cf", folder / "node.tar", "."])


NODE_IMAGE = Artefact(
    "node-image",
    _make,
    version=f"{NAME} 1",
    sources=(_TREE,),
    needs=(BASE, KUBERNETES, CONTAINERD, RUNC, COREDNS, NODE_AGENT, PAUSE),
    usual=40,
)
"""The root of a node, `node.tar`; `NAME` and `ENTRYPOINT` say what to import it as."""


def _tidy(root: Path) -> None:
    for place in ("var/cache/apt", "var/lib/apt/lists", "var/log"):
        for path in (root / place).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for plugin in (root / "usr/lib/cni").iterdir():
        if plugin.name not in _PLUGINS:
            plugin.unlink()


def _install(root: Path, cache: Cache) -> None:
    """Put the runtime, Kubernetes and the files of `node/` into a root."""
    shutil.copytree(_TREE, root, dirs_exist_ok=True)
    programs = root / "usr/local/bin"
    for artefact in (CONTAINERD, RUNC):
        for program in cache.obtain(artefact).iterdir():
            if program.name != "made.json":
                shutil.copy2(program, programs)
    shutil.copy2(cache.obtain(KUBERNETES) / "kubernetes", programs)
    for name in ("kubeadm", "kubectl", "kubelet"):
        (programs / name).symlink_to("kubernetes")
    units = root / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    for unit in _ENABLED:
        (units / "multi-user.target.wants" / unit).symlink_to(f"../{unit}")
    for unit in _MASKED:
        (units / unit).symlink_to("/dev/null")
    (root / "kind/version").write_text(release(), encoding="ascii")


def _layers(root: Path, cache: Cache) -> dict[str, Layer]:
    kubernetes = "usr/local/bin/kubernetes"
    names = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler")
    certificates = "etc/ssl/certs/ca-certificates.crt"
    return {
        "kubernetes": {
            kubernetes: File(cache.obtain(KUBERNETES) / "kubernetes"),
            **{f"usr/local/bin/{name}": Link("kubernetes") for name in names},
            certificates: File(root / certificates),
            "tmp": Folder(0o1777),
        },
        "iptables": _iptables(root),
        "coredns": {"coredns": File(cache.obtain(COREDNS) / "coredns")},
        "pause": {"pause": File(cache.obtain(PAUSE) / "pause")},
        "node-agent": {"node-agent": File(cache.obtain(NODE_AGENT) / "node-agent")},
    }


def _images() -> Iterator[Image]:
    registry, programs = "registry.k8s.io", "/usr/local/bin"
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        yield Image(f"{registry}/{name}:{release()}", ["kubernetes"], [f"{programs}/{name}"])
    yield Image(
        f"{registry}/kube-proxy:{release()}",
        ["kubernetes", "iptables"],
        [f"{programs}/kube-proxy"],
    )
    yield Image(f"{registry}/etcd:3.6.5-0", ["kubernetes"], [f"{programs}/etcd"])
    yield Image(f"{registry}/coredns/coredns:v1.12.1", ["coredns"], ["/coredns"])
    yield Image(f"{registry}/pause:3.10.1", ["pause"], ["/pause"], user="65535:65535")
    yield Image("localhost/porthole-test/node-agent:1", ["node-agent"], ["/node-agent"])


def _iptables(root: Path) -> Layer:
    """Return what kube-proxy calls, with all that is linked into it, from a node's root."""
    programs = ["/usr/sbin/xtables-nft-multi", "/usr/sbin/conntrack", "/usr/bin/kmod"]
    plugins = [f"/{path.relative_to(root)}" for path in root.glob("usr/lib/*/xtables/*.so")]
    layer: dict[str, File | Link | Folder] = {
        name: Link(f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64")
    }
    tables = [f"{ip}tables{what}" for ip in ("ip", "ip6") for what in ("", "-save", "-restore")]
    layer |= {f"usr/sbin/{name}": Link("xtables-nft-multi") for name in tables}
    layer["run"] = Folder()
    todo = [*programs, *plugins]
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
            continue
        layer[place] = File(root / place)
        linked = run_in(root, "ldd", path)
        todo += [word for word in linked.split() if word.startswith("/")]
    return layer


def run_in(root: Path, *command: str) -> str:
    """Run a program of another root and return what it printed, whatever its exit status."""
    words = ["chroot", str(root), *command]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def _import(root: Path, images: Path, programs: Path) -> None:
    """Let a node's container runtime unpack images into the place where it looks for them."""
    with _containerd(root, programs) as ctr:
        run([*ctr, "images", "import", "--all-platforms", "--snapshotter", "overlayfs", images])


@contextmanager
def _containerd(root: Path, programs: Path) -> Iterator[list[str]]:
    """Run a container runtime on a node's root; yield how its client is called."""
    with tempfile.TemporaryDirectory(prefix="porthole-containerd-") as made:
        state, store = Path(made), root / "var/lib/containerd"
        store.mkdir(exist_ok=True)
        socket = state / "containerd.sock"
        (state / "config.toml").write_text(
            f"version = 3\nroot = '{store}'\nstate = '{state / 'state'}'\n"
            "disabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images',"
            " 'io.containerd.cri.v1.runtime']\n"
            f"[grpc]\naddress = '{socket}'\n[ttrpc]\naddress = '{socket}.ttrpc'\n",
            encoding="ascii",
        )
        with (state / "log").open("wb") as log:
            process = subprocess.Popen(
                # What it mounts while it unpacks is seen by nobody else.
                [*_UNSEEN, programs / "containerd", "--config", state / "config.toml"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            deadline = time.monotonic() + _PATIENCE
            while not socket.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Failure(f"containerd did not start:\n{(state / 'log').read_text()}")
                time.sleep(0.05)
            yield [str(programs / "ctr"), "--address", str(socket), "--namespace", "k8s.io"]
        finally:
            process.terminate()
            process.wait(_PATIENCE)
