"""A supervisor and a gate as real processes, and streams to them, for tests.

with tempfile.TemporaryDirectory(prefix="ph-") as folder:
    pair = DesktopPair(Path(folder))
    pair.start_desktop(); pair.start_gate()
    pair.wait_healthy()
    client = await pair.view()
    ...
    pair.stop()
"""

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from porthole_contract.stream import control, preface
from tests.support.gate_setup import GateIdentity
from tests.support.rfb_client import DEFAULT, RfbClient

SUPERVISOR = Path(__file__).parents[2] / "desktop/porthole_desktop/supervisor"
PROGRAMS = [
    {"name": "Terminal", "command": ["xterm", "-T", "Terminal"], "autostart": True},
    {"name": "Clock", "command": ["xclock"]},
]


class NotAdmitted(Exception):
    """The gate said no; `code` is why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DesktopPair:
    """Both programs of one session, in a short folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sockets = folder / "s"
        self.home = folder / "home"
        self.sockets.mkdir()
        self.home.mkdir()
        self.identity = GateIdentity.make(folder / "g")
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.gate: subprocess.Popen[bytes] | None = None
        self._writers: list[asyncio.StreamWriter] = []

    def start_desktop(self, *options: str, pass_fds: tuple[int, ...] = (), **changes: Any) -> None:
        """Start the supervisor by its path, as a container does."""
        config = {
            "version": 1,
            "title": "a test",
            "display": {"width": 800, "height": 600},
            "programs": PROGRAMS,
            "sockets": str(self.sockets),
            "stop_seconds": 3,
            **changes,
        }
        path = self.folder / "desktop.json"
        path.write_text(json.dumps(config))
        command = [sys.executable, "-I", "-B", str(SUPERVISOR), "--config", str(path), *options]
        env = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "TMPDIR": str(self.folder),
            "USER": "tester",
        }
        with (self.folder / "supervisor.log").open("ab") as log:
            self.supervisor = subprocess.Popen(command, env=env, stderr=log, pass_fds=pass_fds)

    def start_gate(self, **changes: Any) -> None:
        """Start the gate."""
        path = self.folder / "gate.json"
        path.write_text(json.dumps(self.identity.config(self.sockets, **changes)))
        command = [sys.executable, "-m", "porthole_desktop.gate", "--config", str(path)]
        with (self.folder / "gate.log").open("ab") as log:
            self.gate = subprocess.Popen(command, stderr=log)

    def stop_gate(self) -> None:
        """End the gate, so that another can be started."""
        if self.gate is not None:
            self.gate.terminate()
            self.gate.wait(10)

    def stop(self) -> None:
        """End what still runs."""
        for process in (self.gate, self.supervisor):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in (self.gate, self.supervisor):
            if process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(15)
                process.kill()
                process.wait()

    def log(self, name: str) -> str:
        """Return what `supervisor` or `gate` wrote."""
        return (self.folder / f"{name}.log").read_text()

    def wait_log(self, name: str, pattern: str, seconds: float = 10) -> str:
        """Wait until a line of a log fits; return the pattern's first group."""
        until = time.monotonic() + seconds
        while (found := re.search(pattern, self.log(name))) is None:
            if time.monotonic() > until:
                raise TimeoutError(self.log(name))
            time.sleep(0.05)
        return found[1]

    def health(self, path: str = "/healthz") -> tuple[int, bytes]:
        """Ask the gate how it is."""
        connection = http.client.HTTPConnection("gate")
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self.identity.folder / "health.sock"))
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def wait_healthy(self, seconds: float = 20) -> None:
        """Wait until a viewer would see the desktop."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                if self.health()[0] == 200:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"{self.log('supervisor')}\n{self.log('gate')}")

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a TLS connection to the gate."""
        path = str(self.identity.folder / "gate.sock")
        tls = self.identity.tls()
        until = time.monotonic() + 10
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(
                    path, ssl=tls, server_hostname="gate"
                )
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.05)
            else:
                self._writers.append(writer)
                return reader, writer

    async def close_streams(self) -> None:
        """Close whatever a test has opened."""
        await close_all(self._writers)
        self._writers.clear()

    async def open(
        self, request: preface.Request
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a stream.

        Raises:
            NotAdmitted: the gate said no.
        """
        reader, writer = await self.connect()
        writer.write(preface.encode(request))
        answer = await read_answer(reader)
        if isinstance(answer, preface.Denied):
            writer.close()
            raise NotAdmitted(answer.error.code, answer.error.message)
        return reader, writer

    async def view(
        self,
        mode: str = "control",
        stream: UUID | None = None,
        encodings: Any = DEFAULT,
        replaces: UUID | None = None,
    ) -> RfbClient:
        """Open a stream on the channel `vnc`, and greet."""
        request = self.identity.request("vnc", mode, stream).evolve(replaces=replaces)
        reader, writer = await self.open(request)
        return await RfbClient.greet(reader, writer, encodings)

    async def control(self, mode: str = "command", epoch: int = 1) -> "ControlClient":
        """Open a control channel."""
        return ControlClient(*await self.open(self.identity.request("control", mode, epoch=epoch)))


class ControlClient:
    """The other end of a control channel."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._next = 0

    async def news(self, seconds: float = 10) -> control.News:
        """Read one line."""
        async with asyncio.timeout(seconds):
            line = await self.reader.readline()
        if not line:
            raise EOFError("The control channel was closed.")
        news = control.read_news(line)
        assert news is not None
        return news

    async def state(self, wanted: Any = lambda _: True, seconds: float = 10) -> control.State:
        """Read until a state comes for which `wanted` is true."""
        async with asyncio.timeout(seconds):
            while True:
                news = await self.news(seconds)
                if isinstance(news, control.State) and wanted(news):
                    return news

    async def closed(self, seconds: float = 10) -> control.Closed:
        """Read until a stream was closed."""
        async with asyncio.timeout(seconds):
            while True:
                news = await self.news(seconds)
                if isinstance(news, control.Closed):
                    return news

    async def order(self, kind: Any, **fields: Any) -> control.Done:
        """Give an order and wait until it is done."""
        self._next += 1
        self.writer.write(control.encode(kind(id=self._next, **fields)))
        while True:
            news = await self.news()
            if isinstance(news, control.Done) and news.id == self._next:
                return news

    def close(self) -> None:
        self.writer.close()


async def close_all(writers: Iterable[asyncio.StreamWriter]) -> None:
    """Close connections, and wait until they are."""
    for writer in writers:
        # Debian's Python 3.11.2 trips over aborting what was closed twice.
        if not writer.is_closing():
            writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    await asyncio.sleep(0.05)  # TLS closes what is below it a turn or two later


async def read_answer(reader: asyncio.StreamReader) -> preface.Admitted | preface.Denied:
    """Read the gate's answer to a preface, and not a byte more."""
    head = await reader.readexactly(preface.HEADER)
    body = await reader.readexactly(int.from_bytes(head[-2:], "big"))
    whole = preface.Decoder().feed(head + body)
    assert whole is not None
    return preface.read_answer(whole[0])


def a_stream() -> UUID:
    """Return a name for a stream."""
    return uuid4()
