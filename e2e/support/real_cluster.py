"""A cluster as a story uses it: by the command line alone."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import yaml

PORTHOLE = Path(sys.executable).parent / "porthole"


class RealCluster:
    """A cluster of one name.

    Args:
        name: the cluster's.
    """

    def __init__(self, name: str) -> None:
        self.name = name
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

    def up(self, *words: str) -> float:
        """Make it, with nothing on it; return how long that took, in seconds."""
        begun = time.monotonic()
        self.porthole("up", "--bare", *words)
        exports = re.findall(r"^export (\w+)=(.*)$", self.porthole("env"), re.MULTILINE)
        self.environment |= {name: value.strip("'") for name, value in exports}
        return time.monotonic() - begun

    def kubectl(self, *words: str, given: str = "") -> str:
        """Run kubectl as the cluster's administrator and return what it printed."""
        return self.run("kubectl", *words, given=given)

    def run(self, *command: str, given: str = "") -> str:
        """Run a program that `porthole cluster env` puts into PATH (kubectl, docker, helm)."""
        done = subprocess.run(
            command,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def eventually(self, expected: str, *words: str, patience: float = 60) -> None:
        """Run kubectl again and again until it prints what is expected."""
        deadline = time.monotonic() + patience
        while True:
            command = ["kubectl", *words]
            done = subprocess.run(
                command, env=self.environment, capture_output=True, text=True, check=False
            )
            if done.stdout == expected:
                return
            assert time.monotonic() < deadline, f"{' '.join(words)}: {done}"
            time.sleep(0.5)

    def apply(self, *manifests: object) -> None:
        """Apply manifests."""
        self.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(manifests))

    def wait(self, what: str, condition: str, *words: str, patience: int = 120) -> None:
        """Wait until something is so."""
        self.kubectl("wait", what, f"--for={condition}", f"--timeout={patience}s", *words)
