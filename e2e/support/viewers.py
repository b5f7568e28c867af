"""Viewers without a browser: tickets by the API, RFB by the tests' own client."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from e2e.support.outside import Desktop
from tests.support.rfb_client import RfbClient, WebSocketStream


def api(url: str, token: str, trust: ssl.SSLContext | bool = True) -> httpx.AsyncClient:
    """Return a client of the plain API."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers, timeout=20, verify=trust)


async def create(client: httpx.AsyncClient, **body: Any) -> str:
    """Ask for a session and wait until it runs; return its id."""
    made = await client.post("/sessions", json=body)
    assert made.status_code == 202, made.text
    session = made.json()["id"]
    await until_phase(client, session, "Running", within=60)
    return str(session)


async def until_phase(
    client: httpx.AsyncClient, session: str, phase: str, within: float
) -> dict[str, Any]:
    """Wait until the API says that a session is in this phase; return the session."""
    end = time.monotonic() + within
    while True:
        seen: dict[str, Any] = (await client.get(f"/sessions/{session}")).raise_for_status().json()
        if seen["phase"] == phase:
            return seen
        assert time.monotonic() < end, f"not {phase} within {within:.0f} s: {seen}"
        await asyncio.sleep(0.1)


async def until_reachable(
    client: httpx.AsyncClient, session: str, status: str, within: float
) -> float:
    """Wait until a session says whether its agent is linked; return how long that took."""
    began = time.monotonic()
    while True:
        conditions = (
            (await client.get(f"/sessions/{session}")).raise_for_status().json()["conditions"]
        )
        if any((one["type"], one["status"]) == ("Reachable", status) for one in conditions):
            return time.monotonic() - began
        assert time.monotonic() < began + within, conditions
        await asyncio.sleep(0.1)


@asynccontextmanager
async def stream(
    client: httpx.AsyncClient, session: str, mode: str = "control", **options: Any
) -> AsyncIterator[ClientConnection]:
    """Open one stream with a ticket of its own."""
    made = await client.post(f"/sessions/{session}/tickets", json={"mode": mode})
    assert made.status_code == 201, made.text
    async with connect(
        made.json()["url"], subprotocols=["binary"], compression=None, max_size=None, **options
    ) as socket:
        assert socket.subprotocol == "binary"
        yield socket


@asynccontextmanager
async def viewer(
    client: httpx.AsyncClient, session: str, mode: str = "control", **options: Any
) -> AsyncIterator[RfbClient]:
    """Look at a session."""
    async with stream(client, session, mode, **options) as socket:
        through = WebSocketStream(socket)
        yield await RfbClient.greet(through, through)


async def until_seen(
    client: httpx.AsyncClient, session: str, within: float, **options: Any
) -> float:
    """Look until there is a picture, as somebody who tries again; return how long that took."""
    began = time.monotonic()
    while True:
        try:
            async with viewer(client, session, **options) as seen:
                await seen.refresh()
                return time.monotonic() - began
        except _ENDS:
            if time.monotonic() > began + within:
                raise
        await asyncio.sleep(0.1)


@asynccontextmanager
async def stalled(client: httpx.AsyncClient, session: str) -> AsyncIterator[ClientConnection]:
    """Look at a session, ask for a thousand frames, and never read one of them."""
    async with stream(client, session, max_queue=1, ping_interval=None) as socket:
        through = WebSocketStream(socket)
        seen = await RfbClient.greet(through, through)
        for _ in range(1000):
            seen.request(incremental=False)
        yield socket


class Neighbour:
    """Somebody at work in a session of their own: one command after the other."""

    def __init__(self, seen: RfbClient, desktop: Desktop) -> None:
        self.seen = seen
        self._desktop = desktop
        self.waits: list[float] = []

    async def work(self) -> None:
        """Type commands and see what they do, until cancelled."""
        # A desktop that is drawn may still be starting its terminal.
        while self._desktop.read("here") is None:
            self.seen.type("echo > here\n")
            await asyncio.sleep(1)
        while True:
            begun = time.monotonic()
            said = f"beat {len(self.waits)}"
            self.seen.type(f"echo {said} > beat\n")
            while self._desktop.read("beat") != f"{said}\n":
                assert time.monotonic() < begun + 15, f"{said!r} was typed and did nothing"
                await asyncio.sleep(0.02)
            self.waits.append(time.monotonic() - begun)
            await asyncio.sleep(0.3)

    async def _look(self) -> None:
        self.seen.request()
        while True:
            if await self.seen.message() == 0:
                self.seen.request()

    @classmethod
    @asynccontextmanager
    async def at_work(cls, client: httpx.AsyncClient, session: str) -> AsyncIterator[Self]:
        """Have them at work; what stops them fails the story."""
        async with viewer(client, session) as seen, asyncio.TaskGroup() as tasks:
            neighbour = cls(seen, Desktop.of(session))
            doing = [tasks.create_task(neighbour._look()), tasks.create_task(neighbour.work())]
            yield neighbour
            for task in doing:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*doing)


class Onlooker:
    """Somebody who looks at a session all the time, and looks again when the stream ends.

    Attributes:
        opened: how many streams they have opened.
        blind: the longest time in seconds between two pictures.
    """

    def __init__(self) -> None:
        self.opened = 0
        self.blind = 0.0
        self._seen = asyncio.Event()

    async def _look(self, client: httpx.AsyncClient, session: str) -> None:
        last = time.monotonic()
        while True:
            with contextlib.suppress(*_ENDS):
                async with viewer(client, session) as seen:
                    self.opened += 1
                    while True:
                        await seen.refresh()
                        self._seen.set()
                        now = time.monotonic()
                        self.blind, last = max(self.blind, now - last), now
                        await asyncio.sleep(0.1)
            await asyncio.sleep(0.1)

    @classmethod
    @asynccontextmanager
    async def looking(cls, client: httpx.AsyncClient, session: str) -> AsyncIterator[Self]:
        """Have them look, from the first picture on."""
        onlooker = cls()
        looking = asyncio.create_task(onlooker._look(client, session))
        try:
            await onlooker._seen.wait()
            yield onlooker
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking


_ENDS = (httpx.TransportError, AssertionError, WebSocketException, OSError, EOFError)
"""What a viewer is told when its stream ends, or none is to be had just now."""
