"""What the gates say about themselves: drawn, viewers, idle for how long.

One watch for each pod that has an address: it connects to the gate's control channel as an
observer, over TLS to the fingerprint that we made, with grants of that session's own key. It
connects again whenever the gate is gone. What it has not heard for longer than a gate may be
silent, it forgets.
"""

import asyncio
import contextlib
import secrets
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog

from porthole_contract.errors import PortholeError, Refused
from porthole_contract.stream.channels import Channel, Mode, Wire
from porthole_contract.stream.control import HEARTBEAT, Lines, State, read_news
from porthole_contract.stream.grant import Claims, SigningKey, issue, nonce
from porthole_contract.stream.pinning import is_the_gate, pinned_tls
from porthole_contract.stream.preface import Decoder, Denied, Request, encode, read_answer
from porthole_contract.trace import Span
from porthole_operator.status import GATE_PORT
from porthole_telemetry import tracing

_SILENT_FOR: Final = HEARTBEAT.total_seconds() * 2.4
_WITHIN: Final = 5.0
_GRANTED_FOR: Final = timedelta(seconds=30)
_FIRST_RETRY: Final = 0.05
_LAST_RETRY: Final = 10.0
_BUFFER: Final = 16 * 1024
_CHUNK: Final = 64 * 1024

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Gate:
    """Where a gate is and how it is known; `key` signs the observer's grants for it.

    `trace`: whose spans of it are handed on; None: nobody's.
    """

    session: UUID
    pod: str
    address: str
    fingerprint: str
    key: SigningKey
    trace: str | None = None


class Gates:
    """The watches of all gates, one for each Session.

    Args:
        port: where gates listen.
    """

    def __init__(self, port: int = GATE_PORT) -> None:
        self._port = port
        self._watches: dict[str, _Watch] = {}
        self._tls = pinned_tls()

    def state(self, session: str, pod: str) -> State | None:
        """Return what the gate of this pod of this Session (uids) said last, if it is heard."""
        watch = self._watches.get(session)
        return watch.state if watch is not None and watch.gate.pod == pod else None

    def watched(self, session: str, pod: str) -> bool:
        """Whether the gate of this pod is being listened to."""
        watch = self._watches.get(session)
        return watch is not None and watch.gate.pod == pod

    @property
    def heard(self) -> int:
        """How many gates say how they are."""
        return sum(watch.state is not None for watch in self._watches.values())

    def watch(self, session: str, gate: Gate, heard: Callable[[], None]) -> None:
        """Listen to a gate, instead of the one before; `heard` is called when it says news."""
        self.forget(session)
        self._watches[session] = _Watch(gate, self._port, self._tls, heard)

    def forget(self, session: str) -> None:
        """Listen no more."""
        watch = self._watches.pop(session, None)
        if watch is not None:
            watch.task.cancel()

    async def close(self) -> None:
        """Listen to nobody any more."""
        tasks = [watch.task for watch in self._watches.values()]
        for session in list(self._watches):
            self.forget(session)
        await asyncio.gather(*tasks, return_exceptions=True)


class _Watch:
    def __init__(
        self, gate: Gate, port: int, tls: ssl.SSLContext, heard: Callable[[], None]
    ) -> None:
        self.gate = gate
        self.state: State | None = None
        self._spans = tracing.Strangers(gate.trace)
        self._port = port
        self._tls = tls
        self._heard = heard
        self.task = asyncio.create_task(self._listen(), name=f"gate of {gate.session}")

    async def _listen(self) -> None:
        retry = _FIRST_RETRY
        while True:
            try:
                async for state in self._states():
                    retry = _FIRST_RETRY
                    self._tell(state)
            except (OSError, PortholeError, TimeoutError) as error:
                _log.debug("gate_not_heard", session=str(self.gate.session), why=str(error))
            if self.state is not None:
                self._tell(None)
            await asyncio.sleep(retry)
            retry = min(retry * 1.6, _LAST_RETRY)

    def _tell(self, state: State | None) -> None:
        """Take the news; who idles a little longer is none."""
        before, self.state = self.state, state
        if _news(before) != _news(state):
            self._heard()

    async def _states(self) -> AsyncIterator[State]:
        async with asyncio.timeout(_WITHIN):
            reader, writer = await asyncio.open_connection(
                self.gate.address,
                self._port,
                ssl=self._tls,
                server_hostname="gate",
                limit=_BUFFER,
            )
        try:
            if not is_the_gate(writer.get_extra_info("ssl_object"), self.gate.fingerprint):
                sentence = "What answers in the gate's place is not the gate."
                raise Refused("gate_not_genuine", sentence)
            rest = await self._admitted(reader, writer)
            lines = Lines()
            while True:
                for line in lines.feed(rest):
                    news = read_news(line)
                    if isinstance(news, State):
                        yield news
                    elif isinstance(news, Span):
                        self._spans.take(news)
                async with asyncio.timeout(_SILENT_FOR):
                    rest = await reader.read(_CHUNK)
                if not rest:
                    return
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _admitted(self, reader: StreamReader, writer: StreamWriter) -> bytes:
        """Be let in as an observer; return the first bytes that came with the answer."""
        now = datetime.now(UTC)
        claims = Claims(
            session=self.gate.session,
            gate=self.gate.fingerprint,
            channel=Channel.CONTROL,
            mode=Mode.OBSERVE,
            nonce=nonce(secrets.token_bytes(16)),
            expires=now + _GRANTED_FOR,
        )
        request = Request(
            stream=uuid4(),
            channel=Channel.CONTROL,
            protocol=Wire.LINES,
            mode=Mode.OBSERVE,
            grant=issue(self.gate.key, claims, now),
        )
        decoder = Decoder()
        async with asyncio.timeout(_WITHIN):
            writer.write(encode(request))
            while data := await reader.read(_CHUNK):
                whole = decoder.feed(data)
                if whole is None:
                    continue
                answer = read_answer(whole[0])
                if isinstance(answer, Denied):
                    raise Refused(answer.error.code, answer.error.message)
                return whole[1]
        raise Refused("gate_closed", "The session's gate closed the connection.")


def _news(state: State | None) -> tuple[object, ...] | None:
    if state is None:
        return None
    return (state.drawn, state.stopping, len(state.viewers))
