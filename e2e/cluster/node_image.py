"""The image of a node, as kind expects it: Debian, a container runtime, Kubernetes.

kind reads `/kind/version` and what lies in `/kind/manifests`, and expects the images of the
control plane to be there already: the node's own container runtime unpacks them here, so that
a node pulls nothing.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster import archive, control_plane_images, debian
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
_RECIPE = [Path(module.__file__) for module in (archive, control_plane_images)]
_ENABLED = ("containerd.service", "kubelet.service")
_MASKED = ("getty.target", "timers.target")
_PLUGINS = {"host-local", "loopback", "portmap", "ptp"}
_UNSEEN = ("unshare", "--mount", "--propagation", "private", "--")
_PATIENCE = 30.0  # seconds for the container runtime to answer


def _make_base(folder: Path, cache: Cache) -> None:
    need_packages(("mmdebstrap",), cache.say)
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT]
    options = [f"--aptopt={setting}" for setting in debian.access()]
    run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--aptopt=APT::Install-Recommends false",
            *options,
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
    # Beside the artefact: its folder holds what is finished, and the root needs a disk.
    with tempfile.TemporaryDirectory(prefix=".node-", dir=folder.parent) as made:
        root, images = Path(made) / "root", Path(made) / "images.tar"
        root.mkdir()
        run(["tar", "-C", root, "--exclude=./dev/*", "-xf", cache.obtain(BASE) / "base.tar"])
        _tidy(root)
        _install(root, cache)
        layers = control_plane_images.layers(root, cache)
        archive.write(images, layers, control_plane_images.images())
        with _containerd(root, cache.obtain(CONTAINERD)) as ctr:
            run([*ctr, "images", "import", "--all-platforms", "--snapshotter", "overlayfs", images])
        tar = ["tar", "-C", root, "--xattrs", "--numeric-owner", "--sort=name"]
        run([*tar, "-cf", folder / "node.tar", "."])


NODE_IMAGE = Artefact(
    "node-image",
    _make,
    version=NAME,
    sources=(_TREE, Path(__file__), *_RECIPE),
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


@contextmanager
def _containerd(root: Path, programs: Path) -> Iterator[list[str]]:
    """Run a container runtime on a node's store; yield how its client is called."""
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
