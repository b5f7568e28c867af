"""A control plane as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.support.postgres import TestDatabase


class Process:
    """A control plane as a process of its own."""

    def __init__(self, database: TestDatabase, home: Path, **environment: str) -> None:
        self.home = home
        self.log = home.parent / "control-plane.log"
        self._environment = {
            **os.environ,
            "PORTHOLE_HOME": str(home),
            "PORTHOLE_DATABASE_URL": database.url,
            "PORTHOLE_DATABASE_PASSWORD_FILE": str(database.password_file),
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self) -> None:
        with self.log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "porthole_control", "--port", "0"],
                env=self._environment,
                stderr=errors,
            )
        until = time.monotonic() + 60
        while not self.port:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)
            for line in self.log.read_text().splitlines():
                if '"serving"' in line:
                    self.port = json.loads(line)["port"]
        while time.monotonic() < until:
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/readyz").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
