"""Programs in namespaces of their own, which end together and take everything along.

The enclosure's first process holds a mount, a network and a process namespace. When it ends,
the kernel ends every process in there and drops mounts, bridges and packet rules; what is left
is a folder, and empty control groups of one name. slirp4netns, outside, is the way out, and
the way in to ports that are published on 127.0.0.1.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from porthole_client.cli.exits import Failure
from porthole_client.cli.up.processes import Identity, wait_over

ADDRESS = "10.0.2.100"
"""The enclosure's address; what listens there can be published."""

RESOLVER = "10.0.2.3"
"""Where names are resolved for those inside, as this machine does it."""

_PARTS = ("inside", "network")
_NAMESPACES = ("--mount", "--propagation=private", "--net", "--pid", "--mount-proc")
# The network comes after the first process. With forwarding on from the start, Docker has no
# reason to forbid it to everybody else.
_WAIT = (
    'until [ -e "$0/go" ]; do sleep 0.02; done; echo 1 > /proc/sys/net/ipv4/ip_forward; exec "$@"'
)
_PATIENCE = 30.0  # seconds for what should take one
_SHOWN = 3000  # characters of a log, from its end


@dataclass(frozen=True)
class Enclosure:
    """Namespaces with a program in them.

    Args:
        folder: their state; the name must be short, for sockets lie in it.
        cgroup: the control group, in every hierarchy, below which those inside make theirs.
    """

    folder: Path
    cgroup: str

    def is_alive(self) -> bool:
        """Whether its first process and its way out are there."""
        found = self._identities()
        return len(found) == len(_PARTS) and all(one.is_alive() for one in found.values())

    def begin(self, init: Sequence[str], command: Sequence[str], env: Mapping[str, str]) -> None:
        """Make the namespaces and run a program in them.

        Args:
            init: a program that is good as a first process, and runs the words after it.
            command: the program.
            env: its environment.

        Raises:
            Failure: they could not be made; the sentence says why.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        unshare = ["unshare", *_NAMESPACES, "--fork", "--kill-child=KILL", "--"]
        waiting = ["sh", "-c", _WAIT, str(self.folder), *command]
        first = _child_of(self._start("inside", [*unshare, *init, *waiting], env))
        self._remember("inside", first)
        api = self.folder / "network.sock"
        slirp = ["slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback"]
        words = [*slirp, f"--api-socket={api}", str(first), "tap0"]
        self._remember("network", self._start("network", words, os.environ))
        deadline = time.monotonic() + _PATIENCE
        while not api.exists():
            if time.monotonic() > deadline or not self.is_alive():
                raise Failure(f"The cluster's network did not start:\n{self.log('network')}")
            time.sleep(0.02)
        (self.folder / "go").touch()

    def publish(self, port: int) -> None:
        """Lead a port of this machine's 127.0.0.1 to the same port of `ADDRESS`.

        Raises:
            Failure: somebody has the port.
        """
        arguments = {
            "proto": "tcp",
            "host_addr": "127.0.0.1",
            "host_port": port,
            "guest_addr": ADDRESS,
            "guest_port": port,
        }
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self.folder / "network.sock"))
            asking.sendall(json.dumps({"execute": "add_hostfwd", "arguments": arguments}).encode())
            asking.shutdown(socket.SHUT_WR)
            with asking.makefile("rb") as answered:
                answer = json.loads(answered.read())
        if "error" in answer:
            said = answer["error"].get("desc", "")
            raise Failure(f"Port {port} of 127.0.0.1 cannot be led into the cluster: {said}.")

    def end(self) -> None:
        """End everything inside, and remove what is left of it.

        Raises:
            Failure: the kernel does not let go of it.
        """
        parts = self._identities()
        for part in parts.values():
            # The first process of a namespace is over only when all others in it are.
            part.send(signal.SIGKILL)
        if not wait_over(parts.values(), _PATIENCE):
            raise Failure(f"These processes do not end: {parts}.")
        _remove_cgroups(self.cgroup)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self, part: str) -> str:
        """Return the end of what a part said: `inside` or `network`."""
        path = self.folder / f"{part}.log"
        return path.read_text(encoding="utf-8", errors="replace")[-_SHOWN:]

    def _identities(self) -> dict[str, Identity]:
        found = {}
        for part in _PARTS:
            path = self.folder / f"{part}.json"
            if path.exists():
                found[part] = Identity(**json.loads(path.read_text(encoding="ascii")))
        return found

    def _remember(self, part: str, pid: int) -> None:
        identity = Identity.of(pid)
        if identity is None:
            raise Failure(f"The cluster's {part} ended at once:\n{self.log(part)}")
        half = self.folder / f".{part}"
        half.write_text(json.dumps(asdict(identity)), encoding="ascii")
        half.rename(self.folder / f"{part}.json")

    def _start(self, part: str, command: Sequence[str], env: Mapping[str, str]) -> int:
        """Start a program that outlives this one, and return its pid."""
        log = str(self.folder / f"{part}.log")
        return os.posix_spawnp(
            "env",
            ["env", "--chdir=/", *command],
            env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inherited()),
            ],
            setsid=True,
        )


def _inherited() -> list[int]:
    """Return what whoever called us has open: a lock of theirs must not last for a cluster."""
    found = []
    for fd in (int(path.name) for path in Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):
            if fd > 2 and os.get_inheritable(fd):
                found.append(fd)
    return found


def _child_of(parent: int) -> int:
    """Return the only child of a process, once it has one."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if found := children.read_text(encoding="ascii").split():
            return int(found[0])
        time.sleep(0.01)
    raise Failure("The cluster's namespaces could not be made.")


def _remove_cgroups(name: str) -> None:
    """Remove a control group of every hierarchy with all below; nobody is in them any more."""
    deadline = time.monotonic() + _PATIENCE
    for top in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/")):
        below = sorted((top / name).rglob("*/"), reverse=True)
        for group in [*below, top / name]:
            while group.is_dir():
                try:
                    group.rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        raise Failure(f"The control group {group} is not empty.") from None
                    time.sleep(0.05)
