"""An agent that does what a test tells it: the contract's channel on a real WebSocket."""

import asyncio
import base64
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import ClientConnection, connect

from porthole_contract.link import codec
from porthole_contract.link.channel import Acknowledged, Channel, Left, Received, Side
from porthole_contract.link.commands import Command, OpenStream
from porthole_contract.link.frames import Challenge, Goodbye, Hello, Welcome
from porthole_contract.link.greeting import new_key, prove
from porthole_contract.link.reports import (
    AgentObserved,
    Capacity,
    CommandResult,
    Outcome,
    TemplateOffered,
)
from porthole_contract.link.version import CURRENT
from tests.support.control_plane import TEMPLATE, ControlPlane

SUBPROTOCOL: Any = "porthole.link.v1"


class SaidGoodbye(Exception):
    """The control plane ended a greeting or a link."""

    def __init__(self, goodbye: Goodbye) -> None:
        super().__init__(goodbye.message)
        self.goodbye = goodbye


class ScriptedAgent:
    """An enrolled agent; it links with `linked()`."""

    def __init__(self, identity: UUID, key: Ed25519PrivateKey) -> None:
        self.id = identity
        self.key = key
        self.instance = uuid4()
        self.channel = Channel(Side.AGENT)
        self.heard: list[Any] = []
        self.obedient = True
        self.take = True
        self.on_stream: Callable[[OpenStream], Awaitable[None]] | None = None
        self.goodbye: Goodbye | None = None
        self.resumed = False
        self.place = uuid4()
        self._something = asyncio.Event()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.socket: ClientConnection | None = None

    @classmethod
    async def enrol(cls, control_plane: ControlPlane, name: str = "one") -> "ScriptedAgent":
        """Let an agent join."""
        made = await control_plane.admin.post("/api/v1/agents/join-tokens", json={"name": name})
        key = new_key()
        enrolled = await control_plane.admin.post(
            "/api/v1/agents/enrol",
            json={
                "token": made.raise_for_status().json()["token"],
                "public_key": base64.b64encode(key.public_key().public_bytes_raw()).decode(),
            },
        )
        return cls(UUID(enrolled.raise_for_status().json()["agent_id"]), key)

    def twin(self) -> "ScriptedAgent":
        """Another process with the same identity."""
        return ScriptedAgent(self.id, self.key)

    # Links ---------------------------------------------------------------------------

    async def greet(self, socket: ClientConnection, url: str, **changes: Any) -> Welcome:
        """Say who we are and prove it."""
        hello = Hello.model_validate(
            {
                "version": str(CURRENT),
                "agent": self.id,
                "instance": self.instance,
                "nonce": secrets.token_hex(32),
                "conversation": self.channel.conversation,
                "received": self.channel.received,
                "epoch": self.channel.epoch,
                "program": "scripted 1",
                **changes,
            }
        )
        await socket.send(codec.encode(hello))
        challenge = await self._frame(socket)
        assert isinstance(challenge, Challenge)
        await socket.send(codec.encode(prove(self.key, hello, challenge, url)))
        welcome = await self._frame(socket)
        assert isinstance(welcome, Welcome)
        return welcome

    async def _frame(self, socket: ClientConnection) -> Any:
        frame = codec.decode_from_control(await socket.recv())
        if isinstance(frame, Goodbye):
            raise SaidGoodbye(frame)
        return frame

    @asynccontextmanager
    async def linked(self, base: str, **changes: Any) -> AsyncIterator["ScriptedAgent"]:
        """Be linked while the block runs; leaving it cuts the connection without a word."""
        url = f"{base}/api/v1/agents/link"
        async with connect(
            url, subprotocols=[SUBPROTOCOL], compression=None, max_size=None, ping_interval=None
        ) as socket:
            welcome = await self.greet(socket, url, **changes)
            self.resumed = welcome.resumed
            self.goodbye = None
            self.channel.attach(
                conversation=welcome.conversation,
                epoch=welcome.epoch,
                resumed=welcome.resumed,
                peer_received=welcome.received,
                now=_clock(),
            )
            self.socket = socket
            tasks = [asyncio.create_task(self._read(socket)), asyncio.create_task(self._write())]
            try:
                yield self
            finally:
                self.cut()
                for task in (*tasks, *self._tasks):
                    task.cancel()
                await asyncio.gather(*tasks, *self._tasks, return_exceptions=True)
                self.channel.detach()

    def cut(self) -> None:
        """Lose the connection, without a word."""
        if self.socket is not None:
            self.socket.transport.abort()

    def say(self, *items: Any) -> None:
        """Say something."""
        self.channel.send(*items)
        self._wake.set()

    def describe(self, **changes: Any) -> None:
        """Say what we are and what we offer."""
        self.say(
            AgentObserved.model_validate(
                {
                    "place": self.place,
                    "runtime": "local",
                    "program": "scripted 1",
                    "capacity": Capacity(sessions=100, sessions_used=0),
                    "templates": (TemplateOffered(name="desktop", spec=TEMPLATE),),
                    **changes,
                }
            )
        )

    async def until(self, ready: Callable[[], Any], within: float = 20.0) -> Any:
        """Wait until `ready` returns something true, looked at whenever something is heard."""
        async with asyncio.timeout(within):
            while not (found := ready()):
                self._something.clear()
                await _wait(self._something, 0.05)
        return found

    @property
    def commands(self) -> list[Command]:
        """The commands that were heard, each as often as it was."""
        return [item for item in self.heard if isinstance(item, Command)]

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            for event in self.channel.receive(codec.decode_from_control(text), _clock()):
                match event:
                    case Received(items):
                        self._received(items)
                    case Acknowledged():
                        pass
                    case Left(goodbye):
                        self.goodbye = goodbye
            self._something.set()
            self._wake.set()

    def _received(self, items: tuple[Any, ...]) -> None:
        self.heard.extend(items)
        if self.take:
            self.channel.taken(len(items))
        for item in items:
            if isinstance(item, Command) and self.obedient:
                self.channel.send(CommandResult(command=item.id, outcome=Outcome.SUCCEEDED))
            if isinstance(item, OpenStream) and self.on_stream is not None:
                task = asyncio.create_task(self.on_stream(item))  # type: ignore[arg-type]
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _write(self) -> None:
        assert self.socket is not None
        while True:
            self._wake.clear()
            self.channel.tick(_clock())
            for frame in self.channel.frames():
                await self.socket.send(codec.encode(frame))
            await _wait(self._wake, 1.0)


def dial_back(order: OpenStream, **changes: Any) -> connect:
    """Dial back for a stream, as an agent does."""
    return connect(
        order.url,
        subprotocols=["binary"],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Bearer {changes.pop('secret', order.secret)}"},
        compression=None,
        max_size=None,
        **changes,
    )


def view(url: str, **changes: Any) -> connect:
    """Open a stream, as a viewer does."""
    return connect(
        url,
        subprotocols=["binary"],  # type: ignore[list-item]
        compression=None,
        max_size=None,
        close_timeout=0.5,
        **changes,
    )


async def _wait(event: asyncio.Event, within: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            await event.wait()


def _clock() -> float:
    return asyncio.get_running_loop().time()
