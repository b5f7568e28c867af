"""The link, kept up: dial, greet, converse, and dial again.

All of the network towards the control plane is here, in `dial` and in `streams`. The
conversation itself is the contract's `Channel`; this is the shell around it.
"""

import asyncio
import contextlib
import random
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import uuid4

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from porthole_agent.desk import Desk
from porthole_agent.dial import LINK_PATH, websocket_url
from porthole_agent.enrolment import Identity
from porthole_agent.metrics import DIALS_FAILED, LINKED, LINKS, SUPERSEDED
from porthole_agent.news import News
from porthole_agent.patience import PromptConnection
from porthole_agent.streams import Streams
from porthole_contract.errors import (
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    Unproven,
)
from porthole_contract.link import codec
from porthole_contract.link.channel import (
    DEAD_AFTER,
    Acknowledged,
    Channel,
    Dead,
    Left,
    Received,
    Side,
)
from porthole_contract.link.commands import (
    ChangeStream,
    CloseStream,
    Command,
    OpenStream,
    TemplateContent,
    WantInventory,
)
from porthole_contract.link.frames import Challenge, Goodbye, Hello, Welcome
from porthole_contract.link.greeting import prove
from porthole_contract.link.skew import as_said_at
from porthole_contract.link.version import CURRENT, agree

_log = structlog.get_logger(__name__)

_T = TypeVar("_T")

SUBPROTOCOL = "porthole.link.v1"
_GREETING_WITHIN = 10.0
_FIRST_GREETING_WITHIN = 2.0
_FIRST_RETRY = 0.25
_LAST_RETRY = 5.0
_HOPELESS_RETRY = 30.0
"""Seconds between tries when the control plane said that dialling again is of no use; a
revoked agent may be forgiven, and a program that ends would not notice."""


class Hopeless(ProtocolError):
    """The control plane said goodbye for good; the sentence says why."""

    code = "hopeless"


def back_off(failures: int, chance: float) -> float:
    """Return the seconds to wait before dialling again.

    Args:
        failures: how many dials in a row have failed, from 0.
        chance: between 0 and 1; spreads the agents of a control plane that came back.
    """
    longest = min(_LAST_RETRY, _FIRST_RETRY * 2.0 ** min(failures, 16))
    return longest * (0.5 + chance / 2)


def patience(failures: int) -> float:
    """Return the seconds for which a control plane that was dialled may be silent.

    A balancer that does not look gives the same one again that has just fallen silent, and the
    next dial reaches another. One that is only slow has longer and longer.

    Args:
        failures: how many dials in a row have failed, from 0.
    """
    return min(_GREETING_WITHIN, _FIRST_GREETING_WITHIN * 2.0 ** min(failures, 16))


async def always() -> None:
    """Permit."""


class Link:
    """One agent's link.

    Args:
        identity: where it belongs.
        key: proves that it is the one who enrolled.
        news: what it owes to say.
        desk: carries out commands.
        streams: opens streams.
        want_inventory: called after each new conversation and when one is asked for.
        program: name and version, for people.
        permit: asked before dialling again after another process of this identity has
            linked: returns when this one is the one that may; what it raises ends `run`.
        cast_out: told True when the control plane says goodbye for good, as to an agent that
            was revoked, and False when there is a link.
    """

    def __init__(
        self,
        identity: Identity,
        key: Ed25519PrivateKey,
        *,
        news: News,
        streams: Streams,
        want_inventory: Callable[[], None],
        program: str,
        permit: Callable[[], Awaitable[None]] = always,
        cast_out: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._identity = identity
        self._key = key
        self._news = news
        self._streams = streams
        self._want_inventory = want_inventory
        self._program = program
        self._permit = permit
        self._cast_out = cast_out
        self._superseded = False
        self._instance = uuid4()
        self._channel = Channel(Side.AGENT)
        self._spoken = CURRENT
        self._inbox: deque[Any] = deque()
        self._wake = asyncio.Event()
        self._linked = False
        self._unlinked = asyncio.Event()
        self._unlinked.set()
        self._leaving = ""
        self._desk: Desk | None = None
        self._url = websocket_url(identity.url, LINK_PATH)
        self._tls = identity.tls()
        self.dialled_at = 0.0
        """When the last dial began, on the loop's clock; the watchdog looks at it."""

    @property
    def linked(self) -> bool:
        """Whether there is a link now."""
        return self._linked

    def serve(self, desk: Desk) -> None:
        """Give commands to `desk` from now on."""
        self._desk = desk

    def nudge(self) -> None:
        """Tell that there is something new to say or to do."""
        self._wake.set()

    async def leave(self, why: str, within: float = 2.0) -> None:
        """Say goodbye and do not dial again; returns when it was said or time is up."""
        self._leaving = why
        self._channel.goodbye("draining", why)
        self.nudge()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._unlinked.wait()

    async def run(self) -> None:
        """Keep the link up until `leave`.

        Raises:
            PortholeError: this process may not dial any more.
        """
        failures = 0
        while not self._leaving:
            wait: float
            if self._superseded:
                await self._permit()
                self._superseded = False
            try:
                await self._one_connection(patience(failures))
                failures = 0
                wait = back_off(0, random.random())  # noqa: S311 - jitter, not a secret
            except Hopeless as error:
                DIALS_FAILED.inc()
                _log.error("link_refused", why=str(error))
                self._cast_out(True)
                wait = _HOPELESS_RETRY
            except (
                OSError,
                TimeoutError,
                ConnectionClosed,
                InvalidHandshake,
                InvalidURI,
                ProtocolError,
            ) as error:
                DIALS_FAILED.inc()
                if failures == 0 or self.linked:
                    _log.warning("link_lost", why=str(error) or type(error).__name__)
                failures = 0 if self.linked else failures + 1
                wait = back_off(failures, random.random())  # noqa: S311 - jitter, not a secret
            finally:
                self._linked = False
                LINKED.set(0)
                self._unlinked.set()
                self._channel.detach()
                if self._desk is not None:
                    self._desk.unlinked()
            if not self._leaving:
                await asyncio.sleep(wait)

    async def _one_connection(self, within: float) -> None:
        self.dialled_at = asyncio.get_running_loop().time()
        async with connect(
            self._url,
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]  # a NewType of str
            ssl=self._tls,
            compression=None,
            max_size=codec.LONGEST_FRAME,
            ping_interval=None,  # the channel has pings of its own
            open_timeout=within,
            close_timeout=1.0,
            create_connection=PromptConnection,
            proxy=True,
        ) as socket:
            async with asyncio.timeout(within):
                await self._greet(socket)
            self._linked = True
            LINKED.set(1)
            self._cast_out(False)
            self._unlinked.clear()
            _log.info("linked", epoch=self._channel.epoch, control_plane=self._identity.url)
            reader = asyncio.create_task(self._read(socket), name="link reader")
            try:
                await self._converse(socket, reader)
            finally:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)

    async def _greet(self, socket: ClientConnection) -> None:
        channel = self._channel
        hello = Hello(
            version=str(CURRENT),
            agent=self._identity.agent,
            instance=self._instance,
            nonce=secrets.token_hex(32),
            conversation=channel.conversation,
            received=channel.received,
            epoch=channel.epoch,
            program=self._program,
        )
        await socket.send(codec.encode(hello))
        challenge = await self._hear(socket, Challenge)
        self._spoken = agree(challenge.version)
        if challenge.control_plane != self._identity.control_plane:
            raise Unproven("What answers is another control plane than the one that was joined.")
        if challenge.epoch <= channel.epoch:
            _log.warning("epoch_went_back", ours=channel.epoch, theirs=challenge.epoch)
        await socket.send(codec.encode(prove(self._key, hello, challenge, self._url)))
        welcome = await self._hear(socket, Welcome)
        undelivered = channel.attach(
            conversation=welcome.conversation,
            epoch=welcome.epoch,
            resumed=welcome.resumed,
            peer_received=welcome.received,
            now=asyncio.get_running_loop().time(),
        )
        LINKS.labels("resumed" if welcome.resumed else "anew").inc()
        self._streams.new_epoch(welcome.epoch)
        if not welcome.resumed:
            # What was received and not dealt with belongs to a conversation that is over;
            # it is sent again.
            self._inbox.clear()
            self._news.returned(undelivered)
            self._want_inventory()
        if self._desk is not None:
            self._desk.linked(anew=not welcome.resumed)

    async def _hear(self, socket: ClientConnection, kind: type[_T]) -> _T:
        frame = codec.decode_from_control(await socket.recv())
        if isinstance(frame, Goodbye):
            if frame.retry_after is None:
                raise Hopeless(f"The control plane said: {frame.message or frame.code}")
            raise RemoteProtocolError(f"The control plane said: {frame.message or frame.code}")
        if not isinstance(frame, kind):
            raise RemoteProtocolError(f"{type(frame).__name__} came where {kind.__name__} was due.")
        return frame

    async def _read(self, socket: ClientConnection) -> None:
        """Hear until the connection ends; the channel says what it means."""
        clock = asyncio.get_running_loop().time
        async for text in socket:
            for event in self._channel.receive(codec.decode_from_control(text), clock()):
                match event:
                    case Received(items):
                        self._inbox.extend(items)
                    case Acknowledged():
                        pass
                    case Left(goodbye):
                        self._superseded = goodbye.code == "superseded"
                        SUPERSEDED.inc(int(self._superseded))
                        raise (
                            RemoteProtocolError if goodbye.retry_after is not None else Hopeless
                        )(f"The control plane said goodbye: {goodbye.message or goodbye.code}")
            self.nudge()

    async def _converse(self, socket: ClientConnection, reader: asyncio.Task[None]) -> None:
        clock = asyncio.get_running_loop().time
        channel = self._channel
        while True:
            self._wake.clear()
            self._deal_with_inbox()
            if self._news and channel.room:
                self._say(self._news.take(channel.room))
            for event in channel.tick(clock()):
                if isinstance(event, Dead):
                    raise RemoteProtocolError(
                        f"The control plane has not been heard for {event.silent_for:.0f} s."
                    )
            frames = channel.frames()
            # A control plane that does not read does not hear either.
            async with asyncio.timeout(DEAD_AFTER):
                for frame in frames:
                    await socket.send(codec.encode(as_said_at(frame, self._spoken)))
            if reader.done():
                reader.result()
                return
            if any(isinstance(frame, Goodbye) for frame in frames):
                return
            if frames:
                continue
            await self._wait(reader, (channel.deadline() or clock()) - clock())

    def _say(self, items: list[Any]) -> None:
        """Queue items, each alone: one that cannot be said must not take others with it."""
        for item in items:
            try:
                self._channel.send(item)
            except LocalProtocolError as error:
                _log.error("item_not_said", kind=type(item).__name__, why=str(error))

    async def _wait(self, reader: asyncio.Task[None], seconds: float) -> None:
        """Wait until there is something to do, time passes, or the connection ends."""
        waker = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait(
                {waker, reader}, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waker.cancel()

    def _deal_with_inbox(self) -> None:
        assert self._desk is not None, "serve() comes first"
        dealt = 0
        while self._inbox:
            item = self._inbox[0]
            if isinstance(item, Command) and self._desk.room <= 0:
                break  # stays unacknowledged: the control plane waits
            self._inbox.popleft()
            dealt += 1
            self._deal_with(item, self._desk)
        if dealt:
            self._channel.taken(dealt)

    def _deal_with(self, item: Any, desk: Desk) -> None:
        match item:
            case Command():
                desk.take(item)
            case TemplateContent():
                desk.content(item)
            case OpenStream():
                self._streams.open(item)
            case ChangeStream():
                self._streams.change(item)
            case CloseStream():
                self._streams.close(item)
            case WantInventory():
                self._want_inventory()
