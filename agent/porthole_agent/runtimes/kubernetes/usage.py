"""What the sessions of a cluster use: their gates say it, and are listened to for that.

Only what RDP servers use is asked for, so only the gates of sessions over RDP are heard. One
connection for each; what a gate says more often than it is asked for is its newest state.
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from porthole_agent.runtimes.gatewatch import GateWatch
from porthole_agent.runtimes.port import Use
from porthole_contract.stream.grant import SigningKey

_LAST_RETRY: Final = 10.0
"""Seconds between two tries at a gate that does not answer: the API server is asked each time."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A gate that is listened to: its certificate, and whose spans of it are handed on."""

    fingerprint: str
    trace: str | None = None


@dataclass(slots=True)
class _Listening:
    gate: Heard
    watch: GateWatch
    told: bool = field(default=False)


class Uses:
    """Listens to gates.

    Args:
        key: signs the observer's grants.
        connect: connects to the gate of a session.
        first: called when it is heard for the first time what a session uses.
    """

    def __init__(
        self,
        key: SigningKey,
        connect: Callable[[UUID], Awaitable[tuple[StreamReader, StreamWriter]]],
        first: Callable[[UUID], None],
    ) -> None:
        self._key = key
        self._connect = connect
        self._first = first
        self._gates: dict[UUID, _Listening] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def follow(self, session: UUID, gate: Heard | None) -> None:
        """Listen to a session's gate, instead of the one before; None: to none."""
        before = self._gates.get(session)
        if before is not None and before.gate == gate:
            return
        if before is not None:
            del self._gates[session]
            ending = asyncio.create_task(before.watch.stop())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
        if gate is not None:
            watch = GateWatch(
                session,
                lambda: self._connect(session),
                gate.fingerprint,
                key=self._key,
                heard=lambda: self._heard(session),
                trace=gate.trace,
                last_retry=_LAST_RETRY,
            )
            self._gates[session] = _Listening(gate, watch)
            watch.start()

    def all(self) -> tuple[Use, ...]:
        """Return what is known of all of them."""
        return tuple(
            Use(
                session=session,
                cpu_seconds=said.cpu_seconds,
                memory=said.memory,
                disk=0,  # nobody can say it without looking inside
                received=said.received,
                sent=said.sent,
                age=said.age,
            )
            for session, one in self._gates.items()
            if (said := one.watch.usage) is not None
        )

    async def close(self) -> None:
        """Listen to nobody any more."""
        for session in tuple(self._gates):
            self.follow(session, None)
        await asyncio.gather(*self._ending)

    def _heard(self, session: UUID) -> None:
        one = self._gates.get(session)
        if one is not None and not one.told and one.watch.usage is not None:
            one.told = True
            self._first(session)
