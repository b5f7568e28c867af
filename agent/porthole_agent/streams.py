"""Viewers' bytes: from a session's gate to a WebSocket that is dialled for this stream alone.

The agent carries bytes and understands none of them. In each direction it holds no more
than `IN_FLIGHT`, and what one side does not take, it does not read from the other.
"""

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from porthole_agent.admission import UNGRANTED
from porthole_agent.dial import websocket_url
from porthole_agent.enrolment import Identity
from porthole_agent.gates import Commander, open_channel
from porthole_agent.metrics import STREAM_BYTES, STREAMS, STREAMS_ENDED
from porthole_agent.patience import PatientConnection
from porthole_agent.racing import until_one_ends
from porthole_agent.runtimes.port import Observation, Runtime
from porthole_contract.errors import Refused
from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import ChangeStream, CloseStream, OpenStream
from porthole_contract.link.reports import StreamRefused
from porthole_contract.stream.channels import Channel
from porthole_contract.stream.closing import CloseReason, websocket_close
from porthole_contract.stream.grant import SigningKey
from porthole_contract.stream.preface import Request

_log = structlog.get_logger(__name__)

IN_FLIGHT = 256 * 1024
"""Bytes on their way in one direction at the most."""
LOGS = "logs"
"""The channel that the agent serves itself: what a session's programs have said, as text."""
_CHUNK = 64 * 1024
_DIAL_WITHIN = 10.0
_LAST_WORD_WITHIN = 0.3
"""Seconds to wait for the gate's word on why it closed a stream."""
SUBPROTOCOL = "binary"
_TO_VIEWER = STREAM_BYTES.labels("to_viewer")
_FROM_VIEWER = STREAM_BYTES.labels("from_viewer")


@dataclass
class _Stream:
    item: OpenStream
    task: asyncio.Task[None] | None = None
    ending: tuple[str, str] | None = None  # code and sentence, when we are the ones who end it


@dataclass
class _Gate:
    commander: Commander
    streams: set[UUID] = field(default_factory=set)


class Streams:
    """Every stream of this agent.

    Args:
        identity: where the control plane is.
        key: signs grants for gates.
        runtime: how gates are reached.
        seen: returns what is known of a session.
        refuse: tells the control plane that a stream cannot be opened.
    """

    def __init__(
        self,
        identity: Identity,
        key: SigningKey,
        runtime: Runtime,
        *,
        seen: Callable[[UUID], Observation | None],
        refuse: Callable[[StreamRefused], None],
    ) -> None:
        self._identity = identity
        self._key = key
        self._runtime = runtime
        self._seen = seen
        self._refuse = refuse
        self._epoch = 0
        self._tls = identity.tls()
        self._open: dict[UUID, _Stream] = {}
        self._gates: dict[UUID, _Gate] = {}
        self._errands: set[asyncio.Task[None]] = set()

    def new_epoch(self, epoch: int) -> None:
        """Streams opened from now on belong to this epoch; open ones go on."""
        self._epoch = epoch

    def open(self, item: OpenStream) -> None:
        """Open a stream; a refusal is told, anything later closes its WebSocket."""
        if item.stream in self._open:
            return
        stream = _Stream(item)
        self._open[item.stream] = stream
        STREAMS.set(len(self._open))
        stream.task = asyncio.create_task(self._carry(stream), name=f"stream {item.stream}")
        # Not in the task: one that is ended before it has begun never runs.
        stream.task.add_done_callback(lambda _: self._forget(item.stream))

    def change(self, item: ChangeStream) -> None:
        """Change what an open stream may do; one whose gate does not obey is ended."""
        if (stream := self._open.get(item.stream)) is not None:
            self._run(self._change(stream, item.mode))

    def close(self, item: CloseStream) -> None:
        """End a stream, with the words that reach its viewer."""
        if (stream := self._open.get(item.stream)) is not None:
            self._end(stream, item.code, item.message)

    async def close_all(self, code: str, message: str) -> None:
        """End every stream; returns when they are closed."""
        streams = list(self._open.values())
        for stream in streams:
            self._end(stream, code, message)
        tasks = [stream.task for stream in streams if stream.task is not None]
        await asyncio.gather(*tasks, *self._errands, return_exceptions=True)

    # Inside ------------------------------------------------------------------------------

    def _forget(self, stream: UUID) -> None:
        self._open.pop(stream, None)
        STREAMS.set(len(self._open))

    def _end(self, stream: _Stream, code: str, message: str) -> None:
        stream.ending = (code, message)
        if stream.task is not None:
            stream.task.cancel()

    def _run(self, errand: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _change(self, stream: _Stream, mode: str) -> None:
        gate = self._gates.get(stream.item.session)
        try:
            if gate is None:
                raise Refused("gate_unknown", "The stream has no gate.")  # noqa: TRY301 - ended below
            await gate.commander.set_mode(stream.item.stream, mode)
        except Exception as error:  # noqa: BLE001 - whatever it is, the rights are not changed
            # Rights that were taken away must not live on because a gate is deaf.
            _log.warning("mode_not_changed", stream=str(stream.item.stream), why=str(error))
            self._end(stream, "mode_changed", "Your rights changed. Open the session again.")

    async def _carry(self, stream: _Stream) -> None:
        item = stream.item
        log = _log.bind(stream=str(item.stream), session=str(item.session), channel=item.channel)
        how = "done"
        try:
            seen = self._checked(item)
            if item.channel == LOGS:
                await self._carry_logs(item)
            else:
                await self._carry_channel(stream, seen)
        except Refused as error:
            how = "refused"
            log.info("stream_refused", code=error.code, why=error.sentence)
            self._refuse(
                StreamRefused(
                    stream=item.stream, code=error.code[:64], message=error.sentence[:2000]
                )
            )
        except (OSError, TimeoutError, ConnectionClosed, InvalidHandshake) as error:
            how = "failed"
            log.info("stream_failed", why=str(error) or type(error).__name__)
        except asyncio.CancelledError:
            if stream.ending is None:
                raise
        except Exception:
            how = "crashed"
            log.exception("stream_crashed")
        finally:
            STREAMS_ENDED.labels(how).inc()

    def _checked(self, item: OpenStream) -> Observation:
        seen = self._seen(item.session)
        if seen is None:
            raise Refused("session_unknown", "This agent has no such session.")
        if seen.owner != item.owner:
            raise Refused("owner_differs", "The session belongs to somebody else here.")
        # Whether it is still wanted is judged by the control plane, on its own clock.
        return seen

    async def _carry_logs(self, item: OpenStream) -> None:
        text = (await self._runtime.logs(item.session)).encode()
        async with self._dial(item) as socket:
            for start in range(0, len(text), _CHUNK):
                await socket.send(text[start : start + _CHUNK])

    async def _carry_channel(self, stream: _Stream, seen: Observation) -> None:
        item = stream.item
        fingerprint = await self._fingerprint(item, seen)
        request = Request(
            stream=item.stream,
            channel=item.channel,
            protocol=item.protocol,
            mode=item.mode,
            grant=UNGRANTED,
            replaces=item.replaces,
        )
        reader, writer, first = await open_channel(
            self._runtime,
            self._key,
            request,
            session=item.session,
            fingerprint=fingerprint,
            epoch=self._epoch,
        )
        self._end_replaced(item)
        gate = self._gate(item.session, fingerprint)
        gate.streams.add(item.stream)
        try:
            async with self._dial(item) as socket:
                try:
                    if first:
                        await socket.send(first)
                    with contextlib.suppress(OSError):  # gates end streams with a reset, too
                        await _pump(socket, reader, writer)
                    code, message = await self._last_word(gate, item.stream)
                except asyncio.CancelledError:
                    if stream.ending is None:
                        raise
                    code, message = stream.ending
                    writer.transport.abort()  # whether or not the viewer takes its last word
                await socket.close(*websocket_close(code, message))
        finally:
            if not writer.is_closing():
                writer.transport.abort()
            gate.streams.discard(item.stream)
            if not gate.streams:
                self._gates.pop(item.session, None)
                self._run(gate.commander.stop())

    def _end_replaced(self, item: OpenStream) -> None:
        """End what the gate has ended: whose viewer takes nothing does not hear of it by itself."""
        old = None if item.replaces is None else self._open.get(item.replaces)
        if old is not None and old.item.session == item.session:
            self._end(old, CloseReason.REPLACED, "You have connected anew.")

    async def _fingerprint(self, item: OpenStream, seen: Observation) -> str:
        """Return what its gate is known by; whose files are wanted while it sleeps gets one."""
        if seen.status.gate is not None:
            return seen.status.gate.fingerprint
        if item.channel == Channel.FILES and seen.status.phase is Phase.HIBERNATED:
            return await self._runtime.lend_files(item.session)
        raise Refused("gate_not_ready", "The session is not running.")

    async def _last_word(self, gate: _Gate, stream: UUID) -> tuple[str, str]:
        closed = await gate.commander.ending(stream, _LAST_WORD_WITHIN)
        if closed is None:
            return (CloseReason.DESKTOP_LEFT, "The desktop closed the connection.")
        return (closed.reason, closed.message)

    def _gate(self, session: UUID, fingerprint: str) -> _Gate:
        gate = self._gates.get(session)
        if gate is None:
            commander = Commander(self._runtime, self._key, session, fingerprint, self._epoch)
            gate = self._gates[session] = _Gate(commander)
        return gate

    def _dial(self, item: OpenStream) -> connect:
        # The control plane is reached where it was joined, whatever it calls itself.
        url = websocket_url(self._identity.url, f"/api/v1/streams/{item.stream}/agent")
        return connect(
            url,
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]  # a NewType of str
            additional_headers={"Authorization": f"Bearer {item.secret}"},
            ssl=self._tls,
            compression=None,
            max_size=IN_FLIGHT,
            max_queue=2,
            write_limit=_CHUNK,
            create_connection=PatientConnection,
            open_timeout=_DIAL_WITHIN,
            close_timeout=1.0,
            proxy=True,
        )


async def _pump(socket: ClientConnection, reader: StreamReader, writer: StreamWriter) -> None:
    """Carry bytes both ways until one side ends."""

    async def down() -> None:
        while data := await reader.read(_CHUNK):
            await socket.send(data)
            _TO_VIEWER.inc(len(data))

    async def up() -> None:
        async for message in socket:
            data = message if isinstance(message, bytes) else message.encode()
            writer.write(data)
            _FROM_VIEWER.inc(len(data))
            await writer.drain()

    writer.transport.set_write_buffer_limits(high=_CHUNK)
    # Whoever waits for the gate to take or to say something does not see the viewer leave.
    await until_one_ends(down(), up(), socket.wait_closed())
