"""A cluster as a story uses it: by the command line alone."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.record import Place

PORTHOLE = Path(sys.executable).parent / "porthole"
_AT_ONCE = 120.0  # seconds for one program, unless it says more


class RealCluster:
    """A cluster of one name.

    Args:
        name: the cluster's.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.place = Place(name)
        self.environment = dict(os.environ)

    def porthole(self, verb: str, *words: str, patience: float = 1500) -> str:
        """Run `porthole cluster VERB` and return what it printed; its progress is shown."""
        done = subprocess.run(
            [PORTHOLE, "cluster", verb, "--name", self.name, *words],
            stdout=subprocess.PIPE,
            text=True,
            timeout=patience,
            check=True,
        )
        return done.stdout

    def up(self) -> str:
        """Make it with Porthole on it, or bring it up to date; return the link that signs in."""
        said = self.porthole("up", "--nodes", "2", patience=3000)
        exports = re.findall(r"^export (\w+)=(.*)$", self.porthole("env"), re.MULTILINE)
        self.environment |= {name: value.strip("'") for name, value in exports}
        link = re.search(r"https://\S+", said)
        assert link, said
        return link[0]

    def kubectl(self, *words: str, given: str = "") -> str:
        """Run kubectl as the cluster's administrator and return what it printed."""
        return self.run("kubectl", *words, given=given)

    def get(self, *words: str) -> Any:
        """Return an object, or a list's items, as kubectl gets them."""
        shown = yaml.safe_load(self.kubectl("get", *words, "-o", "yaml"))
        return shown["items"] if shown["kind"] == "List" else shown

    def refused(self, *words: str, given: str = "") -> str:
        """Run kubectl, which must fail; return what it said."""
        done = self.attempt("kubectl", *words, given=given)
        assert done.returncode != 0, f"{' '.join(words)}: {done.stdout}"
        return done.stderr

    def run(self, *command: str, given: str = "", patience: float = _AT_ONCE) -> str:
        """Run a program that `porthole cluster env` puts into PATH (kubectl, docker, helm)."""
        done = self.attempt(*command, given=given, patience=patience)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def attempt(
        self, *command: str, given: str = "", patience: float = _AT_ONCE
    ) -> subprocess.CompletedProcess[str]:
        """Run such a program, whatever comes of it."""
        return subprocess.run(
            command,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=patience,
        )

    def eventually(self, expected: str, *words: str, patience: float = 60) -> None:
        """Run kubectl again and again until it prints what is expected."""
        seen: object = None

        def look() -> bool:
            nonlocal seen
            seen = self.attempt("kubectl", *words)
            return seen.stdout == expected

        until(look, lambda: f"{' '.join(words)}: {seen}", patience)

    def apply(self, *manifests: object) -> None:
        """Apply manifests."""
        self.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(manifests))

    @contextmanager
    def forwarded(self, what: str, port: int, namespace: str) -> Iterator[int]:
        """Lead a port of this machine's 127.0.0.1 to one of a pod's; yield it."""
        # The kubelet tells that a pod runs later than its gate may say that it is ready.
        self.wait(what, "jsonpath={.status.phase}=Running", "-n", namespace)
        command = ["kubectl", "port-forward", "-n", namespace, what, f":{port}"]
        with subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, text=True
        ) as forwarding:
            try:
                assert forwarding.stdout is not None
                yield int(forwarding.stdout.readline().split()[2].rpartition(":")[2])
            finally:
                forwarding.terminate()

    def wait(self, what: str, condition: str, *words: str, patience: int = 90) -> None:
        """Wait until something is so."""
        self.kubectl("wait", what, f"--for={condition}", f"--timeout={patience}s", *words)


def until(look: Callable[[], object], what: Callable[[], str] | str, within: float = 60) -> None:
    """Look again and again until there is something to see."""
    deadline = time.monotonic() + within
    while not look():
        said = what if isinstance(what, str) else what()
        assert time.monotonic() < deadline, f"not within {within} s: {said}"
        time.sleep(0.3)
