"""The agent's own word with a session's gate: why streams end, and orders about them.

One `Commander` per session that has streams. It is the gate's only commander as long as no
agent with a newer epoch comes. It connects when it is first needed and again when the
connection is lost; orders that nobody answered within `ANSWER_WITHIN` have failed.
"""

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections import OrderedDict
from uuid import UUID

import structlog

from porthole_agent.admission import UNGRANTED, admit
from porthole_agent.runtimes.port import Runtime
from porthole_contract.errors import PortholeError, Refused, RemoteProtocolError
from porthole_contract.stream.channels import Channel, Mode, Wire
from porthole_contract.stream.closing import CloseReason
from porthole_contract.stream.control import (
    Closed,
    Done,
    Kick,
    Lines,
    SetMode,
    encode,
    read_news,
)
from porthole_contract.stream.grant import SigningKey
from porthole_contract.stream.preface import Request

_log = structlog.get_logger(__name__)

ANSWER_WITHIN = 1.5
"""Seconds; a change of rights is promised within two."""
_REMEMBERED = 256


async def open_channel(
    runtime: Runtime,
    key: SigningKey,
    request: Request,
    *,
    session: UUID,
    fingerprint: str,
    epoch: int,
) -> tuple[StreamReader, StreamWriter, bytes]:
    """Connect to a session's gate and have it open one channel.

    `request` is sent with a fresh grant. Returns what to read and write, and the first bytes
    of the channel, if some came with the gate's answer.

    Raises:
        Refused: the gate is not there, not genuine, or says no.
    """
    reader, writer = await runtime.connect_gate(session)
    first = await admit(
        reader, writer, key, request, session=session, fingerprint=fingerprint, epoch=epoch
    )
    return reader, writer, first


class Commander:
    """The commander of one gate.

    Args:
        runtime: how the gate is reached.
        key: signs grants.
        session: whose gate it is.
        fingerprint: of the gate's certificate.
        epoch: of the agent's link; the newest commander wins.
    """

    def __init__(
        self, runtime: Runtime, key: SigningKey, session: UUID, fingerprint: str, epoch: int
    ) -> None:
        self._runtime = runtime
        self._key = key
        self._session = session
        self._fingerprint = fingerprint
        self._epoch = epoch
        self._writer: StreamWriter | None = None
        self._connected = asyncio.Event()
        self._orders = 0
        self._answers: dict[int, asyncio.Future[Done]] = {}
        self._endings: OrderedDict[UUID, Closed] = OrderedDict()
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._listen(), name=f"commander of {session}")

    async def stop(self) -> None:
        """Close the connection."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def set_mode(self, stream: UUID, mode: str) -> None:
        """Change what a viewer may do.

        Raises:
            Refused: the gate did not do it.
        """
        self._orders += 1
        await self._order(SetMode(id=self._orders, stream=stream, mode=mode))

    async def kick(self, stream: UUID, reason: CloseReason, message: str) -> None:
        """Close a stream.

        Raises:
            Refused: the gate did not do it.
        """
        self._orders += 1
        await self._order(
            Kick.model_validate(
                {"id": self._orders, "stream": stream, "reason": reason, "message": message[:500]}
            )
        )

    async def ending(self, stream: UUID, within: float) -> Closed | None:
        """Return why the gate closed a stream, if it says so within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while stream not in self._endings:
                    self._ended.clear()
                    await self._ended.wait()
        return self._endings.pop(stream, None)

    async def _order(self, order: SetMode | Kick) -> None:
        answer = asyncio.get_running_loop().create_future()
        self._answers[order.id] = answer
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await self._connected.wait()
                if self._writer is None:  # lost again before we were woken
                    raise ConnectionResetError
                self._writer.write(encode(order))
                done: Done = await answer
        except (TimeoutError, OSError):
            raise Refused("gate_silent", "The session's gate does not answer.") from None
        finally:
            del self._answers[order.id]
        if done.error is not None:
            raise Refused(done.error, done.message)

    async def _listen(self) -> None:
        wait = 0.05
        while True:
            try:
                await self._one_connection()
                wait = 0.05
            except (OSError, PortholeError) as error:
                if isinstance(error, RemoteProtocolError):
                    _log.warning("gate_talks_rubbish", session=str(self._session), why=str(error))
            finally:
                self._connected.clear()
                self._writer = None
            await asyncio.sleep(wait)
            wait = min(wait * 2, 2.0)

    async def _one_connection(self) -> None:
        request = Request(
            stream=self._session,
            channel=Channel.CONTROL,
            protocol=Wire.LINES,
            mode=Mode.COMMAND,
            grant=UNGRANTED,
        )
        reader, writer, rest = await open_channel(
            self._runtime,
            self._key,
            request,
            session=self._session,
            fingerprint=self._fingerprint,
            epoch=self._epoch,
        )
        try:
            self._writer = writer
            self._connected.set()
            lines = Lines()
            while True:
                for line in lines.feed(rest):
                    self._hear(line)
                rest = await reader.read(65536)
                if not rest:
                    return
        finally:
            writer.transport.abort()

    def _hear(self, line: bytes) -> None:
        news = read_news(line)
        match news:
            case Done(id=int() as number) if number in self._answers:
                if not self._answers[number].done():
                    self._answers[number].set_result(news)
            case Closed():
                self._endings[news.viewer.stream] = news
                if len(self._endings) > _REMEMBERED:
                    self._endings.popitem(last=False)
                self._ended.set()
            case _:
                pass
