"""A whole Porthole for benchmarks, started by `porthole up` and ended afterwards."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect

from porthole_client import AsyncPorthole
from tests.support.ports import free_port
from tests.support.rfb_client import RfbClient, WebSocketStream

_UP_WITHIN = 180.0
_RAW = 0
_COPY = 1
ENCODINGS = (_COPY, _RAW)
"""What benchmarks' viewers ask for: nothing that takes time to decode."""


@dataclass
class Instance:
    """One running instance; `api` and `token` are its administrator's."""

    home: Path
    url: str
    sign_in: str
    api: httpx.AsyncClient
    token: str

    def porthole(self) -> AsyncPorthole:
        """Return the SDK's client, as its administrator."""
        return AsyncPorthole(self.url, self.token)

    async def part(self, name: str) -> int:
        """Return the process id of a part."""
        shown = json.loads((self.home / "run" / "parts.json").read_text(encoding="utf-8"))
        return int(next(part["process"]["pid"] for part in shown["parts"] if part["name"] == name))

    async def session(self, **spec: Any) -> str:
        """Create a session, wait until it runs, and return its id."""
        made = (await self.api.post("/api/v1/sessions", json=spec)).raise_for_status().json()
        until = time.monotonic() + 60
        while time.monotonic() < until:
            seen = (await self.api.get(f"/api/v1/sessions/{made['id']}")).json()
            if seen["phase"] == "Running":
                return str(made["id"])
            await asyncio.sleep(0.05)
        raise TimeoutError(f"The session is {seen['phase']}: {seen.get('message')}")

    async def end(self, session: str) -> None:
        """End a session and wait until it is gone."""
        await self.api.delete(f"/api/v1/sessions/{session}")
        for _ in range(600):
            seen = await self.api.get(f"/api/v1/sessions/{session}")
            if seen.status_code == httpx.codes.NOT_FOUND or seen.json()["phase"] == "Terminated":
                return
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def viewer(self, session: str, mode: str = "control") -> AsyncIterator[RfbClient]:
        """Yield a viewer at the end of the whole path."""
        ticket = await self.api.post(f"/api/v1/sessions/{session}/tickets", json={"mode": mode})
        async with connect(
            ticket.raise_for_status().json()["url"],
            subprotocols=["binary"],  # type: ignore[list-item]
            compression=None,
            max_size=None,
        ) as websocket:
            stream = WebSocketStream(websocket)
            yield await RfbClient.greet(stream, stream, ENCODINGS)

    @asynccontextmanager
    async def direct(self, session: str) -> AsyncIterator[RfbClient]:
        """Yield a viewer at the desktop's own socket, with nothing of ours in between."""
        (path,) = (self.home / "agent" / "sessions" / session).glob("**/rfb.sock")
        folder = os.open(path.parent, os.O_PATH)  # its path is longer than a socket's may be
        try:
            short = f"/proc/self/fd/{folder}/{path.name}"
            reader, writer = await asyncio.open_unix_connection(short)
        finally:
            os.close(folder)
        try:
            yield await RfbClient.greet(reader, writer, ENCODINGS)
        finally:
            writer.close()


@asynccontextmanager
async def an_instance() -> AsyncIterator[Instance]:
    """Run a whole Porthole with a home of its own."""
    home = Path(tempfile.mkdtemp(prefix="porthole-bench-", dir="/var/tmp"))
    port = free_port()
    program = str(Path(sys.executable).parent / "porthole")
    up = await asyncio.create_subprocess_exec(
        *(program, "up", "--home", str(home), "--port", str(port), "--no-browser"),
        env={**os.environ, "PORTHOLE_SESSIONS_PER_OWNER": "100000"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert up.stdout is not None
    words: list[str] = []
    link = ""
    try:
        async with asyncio.timeout(_UP_WITHIN):
            while not link:
                line = (await up.stdout.readline()).decode()
                words.append(line)
                if not line:
                    raise RuntimeError("`porthole up` ended:\n" + "".join(words))
                if found := re.search(r"http://\S+sign-in\S+", line):
                    link = found.group(0)
        drain = asyncio.create_task(up.stdout.read())
        token = (home / "secrets" / "admin-token").read_text(encoding="utf-8").strip()
        url = f"http://127.0.0.1:{port}"
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as api:
            yield Instance(home, url, link, api, token)
    finally:
        with contextlib.suppress(ProcessLookupError):
            up.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                await up.wait()
        if link:
            drain.cancel()
        shutil.rmtree(home, ignore_errors=True)
