"""Streams that are kept open for a while for programs that look at desktops and use them.

One for each session, token and mode: the first request opens it, further ones find it, and
when nothing is asked for `KEPT` it is closed. It is a stream like any other: it stands in
the session's list, and it ends when the right to it does.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from porthole_contract.errors import Refused, RemoteProtocolError
from porthole_contract.stream import drive
from porthole_contract.stream.channels import PROTOCOLS, Channel
from porthole_control.db.database import Database, Unit
from porthole_control.db.ids import new_id
from porthole_control.driving.leg import DriveLeg, Found
from porthole_control.driving.story import Uses
from porthole_control.errors import Conflict, TooMany, Unanswered, Unavailable
from porthole_control.people.rules import Principal
from porthole_control.sessions.repository import Session
from porthole_control.streams import ours
from porthole_control.streams.endings import AGENT_SILENT, GATE_REFUSED, SESSION_ENDED, Ending
from porthole_control.streams.looking import Looking

KEPT: Final = 15.0
"""Seconds for which a stream that nothing is asked of is kept open."""
MOST: Final = 512
"""Streams of programs that one process has at one time."""

_Key = tuple[UUID, UUID, str]


@dataclass(frozen=True, slots=True)
class Right:
    """Who drives which session, and how: `view` or `control`."""

    principal: Principal
    session: Session
    mode: str

    @property
    def key(self) -> _Key:
        """What tells streams apart."""
        return self.session.id, self.principal.token_id, self.mode


class _Drive:
    """One stream, and who waits for it; it is open while `carrying` runs."""

    def __init__(self, stream: UUID, uses: Uses) -> None:
        self.leg = DriveLeg()
        self.stream = stream
        self.uses = uses
        self.turn = asyncio.Lock()
        self.carrying: asyncio.Task[Ending] | None = None
        self.waiting = 0
        self.closing: asyncio.TimerHandle | None = None


class Drives:
    """All of them, in this process.

    Args:
        database: where streams are.
        looking: opens them.
        replica: this process.
    """

    def __init__(self, database: Database, looking: Looking, replica: UUID) -> None:
        self._database = database
        self._looking = looking
        self._replica = replica
        self._open: dict[_Key, _Drive] = {}
        self._goodbye = asyncio.Event()

    def has(self, right: Right) -> bool:
        """Return whether there is such a stream already."""
        return right.key in self._open

    async def ask(
        self,
        right: Right,
        make: Callable[[int], drive.Request],
        *,
        raw: bytes = b"",
        within: float,
    ) -> Found:
        """Ask one thing of a desktop.

        Args:
            right: who asks, of which session (`checked`).
            make: makes the request of its number.
            raw: bytes that follow it.
            within: seconds in which it has to be answered.

        Raises:
            Conflict: the desktop, or its gate, says no.
            TooMany: the desktop takes no more for now.
            Unavailable: it was not asked, since it cannot be reached.
            Unanswered: it was asked, and has not answered.
        """
        try:
            async with asyncio.timeout(within):
                answer, data = await self._in_turn(right, make, raw)
        except TimeoutError:
            raise Unanswered("The desktop has not answered in time.") from None
        except RemoteProtocolError as error:
            raise Unanswered(f"The desktop has not answered as it should: {error}") from None
        if isinstance(answer, drive.Failed):
            raise _refusal(answer)
        return answer, data

    async def _in_turn(
        self, right: Right, make: Callable[[int], drive.Request], raw: bytes
    ) -> Found:
        while True:
            one = self._one(right)
            with self._in_use(right.key, one):
                async with one.turn:
                    # Who was before may have closed it; then another is opened.
                    if self._open.get(right.key) is one:
                        if one.carrying is None:
                            await self._begin(right, one)
                        return await self._asked(right.key, one, make, raw)

    @contextmanager
    def _in_use(self, key: _Key, one: _Drive) -> Iterator[None]:
        """Keep a stream open, and for `KEPT` longer."""
        if one.closing is not None:
            one.closing.cancel()
        one.waiting += 1
        try:
            yield
        finally:
            one.waiting -= 1
            if not one.waiting:
                loop = asyncio.get_running_loop()
                one.closing = loop.call_later(KEPT, self._leave, key, one)

    def _one(self, right: Right) -> _Drive:
        found = self._open.get(right.key)
        if found is None:
            if len(self._open) >= MOST:
                raise Unavailable("Too many programs drive desktops at once.", retry_after=2)
            what = "The console" if right.principal.by_cookie else "A program"
            who = f"{what} of {right.principal.name}"
            uses = Uses(self._database, right.session.id, who)
            found = self._open[right.key] = _Drive(new_id(), uses)
        return found

    def _leave(self, key: _Key, one: _Drive) -> None:
        """Close a stream; whoever comes next opens another."""
        if self._open.get(key) is one:
            del self._open[key]
        one.leg.leave()

    async def _begin(self, right: Right, one: _Drive) -> None:
        async with self._database.unit() as unit:
            await ours.begin(
                unit,
                one.stream,
                right.principal,
                right.session,
                channel=Channel.DRIVE,
                protocol=PROTOCOLS[Channel.DRIVE][0],
                mode=right.mode,
                replica=self._replica,
            )
        name = f"drive {one.stream}"
        one.carrying = asyncio.create_task(self._carry(right.key, one), name=name)

    async def _asked(
        self, key: _Key, one: _Drive, make: Callable[[int], drive.Request], raw: bytes
    ) -> Found:
        assert one.carrying is not None
        request = make(one.leg.next_id)
        answering = asyncio.ensure_future(one.leg.ask(request, raw))
        try:
            await asyncio.wait((answering, one.carrying), return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                one.uses.used(request)
                return answering.result()
            raise _problem(one.carrying.result())
        finally:
            # An answer that nobody waits for must be nobody else's; what is none ends it.
            if not answering.done() or answering.exception() is not None:
                self._leave(key, one)
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    async def _carry(self, key: _Key, one: _Drive) -> Ending:
        try:
            return await self._looking.carry(one.stream, one.leg, self._goodbye)
        finally:
            self._leave(key, one)
            await one.uses.over()

    async def close(self) -> None:
        """End all of them; returns when they are."""
        self._goodbye.set()
        tasks = [one.carrying for one in self._open.values() if one.carrying is not None]
        await asyncio.gather(*tasks, return_exceptions=True)


async def checked(unit: Unit, right: Right) -> Right:
    """Return a right to drive a session, if it can be driven now.

    Raises:
        Conflict: it has ended, or does not run.
        Unavailable: its agent cannot be reached.
    """
    ours.must_run(right.session)
    await ours.must_be_reachable(unit, right.session)
    return right


def _refusal(answer: drive.Failed) -> Exception:
    where = "" if answer.at is None else f" (step {answer.at})"
    message = f"{answer.message}{where}" or "The desktop did not do it."
    if answer.code == "too_fast":
        return TooMany(message, retry_after=1)
    return Refused(answer.code, message)


def _problem(ending: Ending) -> Exception:
    why = ending.sentence or ending.name
    if ending.code in {GATE_REFUSED.code, SESSION_ENDED.code}:
        return Conflict(ending.name, why)
    if ending.code == AGENT_SILENT.code:  # the agent has not come, so nothing has reached it
        return Unavailable(f"The desktop cannot be reached: {why}")
    return Unanswered(f"The desktop has not answered: {why}")
