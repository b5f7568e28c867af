"""A container engine of a cluster's own: Debian's Docker in namespaces that end with it.

The engine and all that it starts live in a mount, network and process namespace whose first
process is ended with the cluster. Its mounts, bridges, rules and processes are gone then,
whatever happened before; the machine's own are never touched. slirp4netns is its way out,
and the way in to the ports that are published on 127.0.0.1.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import debian
from e2e.cluster.cache import Artefact, Cache
from e2e.cluster.host import need_packages
from e2e.cluster.programs import RUNC
from e2e.cluster.running import run
from porthole_client.cli.exits import Failure
from porthole_client.cli.up.processes import Identity, wait_over

INSIDE = "10.0.2.100"
"""The engine's own address in its network; what is published there is reached from outside."""

_DOCKERD = "docker\x2eio"  # a package of Debian's and not the host of that name
_RESOLVER = "10.0.2.3"
_HOST_PACKAGES = ("iptables", "libdevmapper1.02.1", "slirp4netns")
_PATIENCE = 60.0  # seconds for the engine to answer
_GRACE = 20.0  # seconds for what was killed to be gone


def _make(folder: Path, _cache: Cache) -> None:
    wanted = {
        "trixie": (_DOCKERD, "docker-cli", "containerd"),
        "bookworm": ("tini",),
    }
    work = folder / "work"
    work.mkdir()
    debian.unpack(wanted, folder / "root", work)
    shutil.rmtree(work)


ENGINE = Artefact("engine", _make, version="docker 26 of trixie, tini 1", usual=15)
"""The packages of the engine, unpacked in `root`."""


@dataclass(frozen=True)
class Engine:
    """The engine of one cluster.

    Args:
        folder: its state; the name must be short, for sockets lie in it.
        packages: the folder of `ENGINE`.
        runc: the folder of `RUNC`.
        name: the cluster's.
    """

    folder: Path
    packages: Path
    runc: Path
    name: str

    @property
    def socket(self) -> Path:
        """Where Docker's API is served."""
        return self.folder / "docker.sock"

    @property
    def programs(self) -> Path:
        """The folder of the client `docker`."""
        return self.packages / "root/usr/bin"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of programs that use it."""
        path = f"{self.programs}:{os.environ.get('PATH', '')}"
        return {**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "PATH": path}

    def is_running(self) -> bool:
        """Whether it runs, and its way out with it."""
        found = self._identities()
        return len(found) == len(_PARTS) and all(one.is_alive() for one in found.values())

    def start(self) -> None:
        """Start it, if it does not run, and wait until it answers.

        Raises:
            Failure: it did not; the sentence has the end of its log.
        """
        if self.is_running():
            return
        self.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._start_network(self._start_init())
        (self.folder / "go").touch()
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if not self.is_running() or time.monotonic() > deadline:
                said = (self.folder / "engine.log").read_text(errors="replace")[-3000:]
                self.stop()
                raise Failure(f"The container engine did not start:\n{said}")
            time.sleep(0.1)

    def publish(self, port: int) -> None:
        """Lead a port of this machine's 127.0.0.1 to the same port inside.

        Raises:
            Failure: somebody has the port.
        """
        forward = {
            "execute": "add_hostfwd",
            "arguments": {
                "proto": "tcp",
                "host_addr": "127.0.0.1",
                "host_port": port,
                "guest_addr": INSIDE,
                "guest_port": port,
            },
        }
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self.folder / "slirp.sock"))
            asking.sendall(json.dumps(forward).encode())
            asking.shutdown(socket.SHUT_WR)
            answer = json.loads(asking.makefile("rb").read())
        if "error" in answer:
            said = answer["error"].get("desc", "")
            raise Failure(f"Port {port} of 127.0.0.1 cannot be led into the cluster: {said}.")

    def stop(self) -> None:
        """End it with everything that it started; what it kept on disk goes, too."""
        parts = self._identities()
        for part in parts.values():
            # With the first process of a namespace of processes, all in it end at once; it is
            # over only when they are.
            part.send(signal.SIGKILL)
        if not wait_over(parts.values(), _GRACE):
            raise Failure(f"The engine of cluster {self.name} does not end: {parts}.")
        _remove_cgroups(self._cgroup)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str | Path) -> str:
        """Run a program that uses it and return what it printed.

        Raises:
            Failure: it failed.
        """
        return run(command, env=self.environment)

    @property
    def _cgroup(self) -> str:
        return f"porthole-cluster-{self.name}"

    def _answers(self) -> bool:
        asked = subprocess.run(
            [self.programs / "docker", "version", "--format", "{{.Server.Version}}"],
            env=self.environment,
            capture_output=True,
            check=False,
        )
        return asked.returncode == 0

    def _identities(self) -> Mapping[str, Identity]:
        found = {}
        for part in _PARTS:
            try:
                content = json.loads((self.folder / f"{part}.json").read_text(encoding="ascii"))
            except (FileNotFoundError, json.JSONDecodeError):
                continue
            found[part] = Identity(**content)
        return found

    def _remember(self, part: str, pid: int) -> None:
        identity = Identity.of(pid)
        if identity is None:
            said = (self.folder / f"{part}.log").read_text(errors="replace")[-3000:]
            raise Failure(f"The {part} of the cluster ended at once:\n{said}")
        content = json.dumps(identity.__dict__)
        (self.folder / f"{part}.json").write_text(content, encoding="ascii")

    def _start_init(self) -> int:
        """Start the first process of the namespaces, which becomes dockerd; return its pid."""
        root = self.packages / "root"
        dockerd = [
            str(root / "usr/sbin/dockerd"),
            f"--data-root={self.folder / 'data'}",
            f"--exec-root={self.folder / 'exec'}",
            f"--pidfile={self.folder / 'dockerd.pid'}",
            f"--host=unix://{self.socket}",
            "--storage-driver=overlay2",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            f"--cgroup-parent=/{self._cgroup}",
            f"--userland-proxy-path={root / 'usr/sbin/docker-proxy'}",
            f"--dns={_RESOLVER}",
        ]
        # It waits for its network. With forwarding on already, dockerd leaves FORWARD alone.
        waiting = (
            'until [ -e "$0/go" ]; do sleep 0.02; done;'
            ' echo 1 > /proc/sys/net/ipv4/ip_forward; exec "$@"'
        )
        namespaces = ["--mount", "--propagation=private", "--net", "--pid", "--mount-proc"]
        init = ["unshare", *namespaces, "--fork", "--kill-child=KILL", "--"]
        command = [*init, str(root / "usr/bin/tini-static"), "-g", "--"]
        command += ["sh", "-c", waiting, str(self.folder), *dockerd]
        path = f"{root / 'usr/sbin'}:{root / 'usr/bin'}:{self.runc}:{os.environ['PATH']}"
        init = _child_of(self._start("engine", command, {**os.environ, "PATH": path}))
        self._remember("engine", init)
        return init

    def _start_network(self, init: int) -> None:
        """Give the namespaces a way out."""
        command = ["slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback"]
        command += [f"--api-socket={self.folder / 'slirp.sock'}", str(init), "tap0"]
        self._remember("network", self._start("network", command, os.environ))
        deadline = time.monotonic() + _PATIENCE
        while not (self.folder / "slirp.sock").exists():
            if time.monotonic() > deadline or not self._identities()["network"].is_alive():
                said = (self.folder / "network.log").read_text(errors="replace")
                raise Failure(f"The cluster's network did not start:\n{said}")
            time.sleep(0.02)

    def _start(self, part: str, command: list[str], environment: Mapping[str, str]) -> int:
        with (self.folder / f"{part}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return process.pid


_PARTS = ("engine", "network")


def engine(cache: Cache, folder: Path, name: str, *, prepare: bool = True) -> Engine:
    """Return the engine of a cluster.

    Args:
        cache: has what it is made of.
        folder: its state.
        name: the cluster's.
        prepare: whether what is missing is installed and made; to stop it nothing is needed.

    Raises:
        Failure: something is missing and cannot be installed or made.
    """
    if prepare:
        need_packages(_HOST_PACKAGES, cache.say)
        cache.obtain(ENGINE)
        cache.obtain(RUNC)
    return Engine(folder, cache.place(ENGINE), cache.place(RUNC), name)


def _child_of(parent: int) -> int:
    """Return the only child of a process, once it has one."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if found := children.read_text(encoding="ascii").split():
            return int(found[0])
        time.sleep(0.01)
    raise Failure("The cluster's namespaces were not made.")


def _remove_cgroups(name: str) -> None:
    """Remove a control group in every hierarchy, with all below; nobody is in them any more."""
    tops = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/")]
    for top in tops:
        if not (top / name).is_dir():
            continue
        deadline = time.monotonic() + _GRACE
        for path in [*sorted((top / name).rglob("*/"), reverse=True), top / name]:
            while path.is_dir():
                try:
                    path.rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        raise Failure(f"The control group {path} is not empty.") from None
                    time.sleep(0.05)
