"""Images, run with runc as a pod would run them: read-only, no capability, their own user."""

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from porthole_agent.runtimes.local.oci import (
    Container,
    Limits,
    configuration,
    scratch,
)
from porthole_images.image import Image

MIB = 1024 * 1024
SHARED = 10001
"""The group that a desktop and its gate share."""


@dataclass
class Running:
    """A container that runs, and what it has said so far."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, within: float = 20.0) -> int:
        """Ask it to end and return its exit status."""
        runc("kill", self.name, "TERM")
        return self.process.wait(within)


@dataclass
class Runner:
    """Runs images; everything that it started is ended with it."""

    folder: Path
    running: list[Running] = field(default_factory=list)

    def start(
        self, image: Image, root: Path, *, args: tuple[str, ...] = (), groups=(), mounts=()
    ) -> Running:
        """Start an image as its own configuration says, root read-only, without a capability."""
        config = image.config["config"]
        uid, gid = map(int, config["User"].split(":"))
        name = f"porthole-image-{uuid4().hex[:12]}"
        bundle = self.folder / name
        bundle.mkdir()
        container = Container(
            name=name,
            hostname="pod",
            root=str(root),
            uid=uid,
            gid=gid,
            groups=groups,
            args=(*config.get("Entrypoint", ()), *(args or config.get("Cmd", ()))),
            env=dict(pair.split("=", 1) for pair in config["Env"]),
            cwd=config["WorkingDir"],
            mounts=(scratch("/tmp", 64 * MIB), scratch("/dev/shm", 64 * MIB), *mounts),
            network=None,
            limits=Limits(cpu=2, cpu_request=1, memory=2048 * MIB, tasks=500),
        )
        (bundle / "config.json").write_text(json.dumps(configuration(container)))
        log = bundle / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["runc", "run", "--bundle", str(bundle), name],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        started = Running(name, process, log)
        self.running.append(started)
        return started

    def run(self, image: Image, root: Path, *args: str, **how: Any) -> tuple[int, str]:
        """Run a command in an image, instead of what it begins with; return status and words."""
        without = {
            key: value for key, value in image.config["config"].items() if key != "Entrypoint"
        }
        plain = Image(image.name, image.layers, {"config": without})
        started = self.start(plain, root, args=args, **how)
        return started.process.wait(60), started.said()

    def close(self) -> None:
        for one in self.running:
            if one.process.poll() is None:
                runc("kill", one.name, "KILL")
                one.process.wait(20)
            runc("delete", "--force", one.name)


def runc(*arguments: str) -> None:
    subprocess.run(["runc", *arguments], check=False, capture_output=True)


def healthy(sock: Path) -> bool:
    """Whether a gate's health says that the screen has been drawn."""
    with socket.socket(socket.AF_UNIX) as asking, contextlib.suppress(OSError):
        asking.settimeout(3)
        asking.connect(str(sock))
        asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n")
        return asking.recv(64).startswith(b"HTTP/1.1 200")
    return False


def wait_until(look: Callable[[], bool], within: float, why: Callable[[], str]) -> None:
    until = time.monotonic() + within
    while not look():
        assert time.monotonic() < until, why()
        time.sleep(0.05)
