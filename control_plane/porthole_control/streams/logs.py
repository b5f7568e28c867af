"""`GET /api/v1/sessions/{id}/logs`: what a session's programs have said, as its agent has it.

A stream like any other, whose viewer we are ourselves: the agent dials back, sends text and
closes.
"""

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from porthole_control.api import known_callers, parts_of
from porthole_control.db.database import Unit
from porthole_control.db.ids import new_id
from porthole_control.errors import Conflict, Unavailable
from porthole_control.people.rules import Principal, Scope
from porthole_control.problems import responses
from porthole_control.sessions import service as sessions
from porthole_control.sockets import Gone
from porthole_control.streams import ours
from porthole_control.streams.endings import CLOSED, GATE_REFUSED, SESSION_ENDED, Ending
from porthole_control.streams.looking import Looking

CHANNEL: Final = "logs"
MOST_BYTES: Final = 1024 * 1024
"""The newest so many bytes are shown."""
WITHIN: Final = timedelta(seconds=10)

_TIME_IS_UP: Final = 1001

routes = APIRouter(prefix="/api/v1", tags=["sessions"], dependencies=known_callers())


class Collector:
    """A viewer that says nothing and remembers the end of what it is told."""

    def __init__(self) -> None:
        self.text = bytearray()
        self.lost = asyncio.Event()
        self._deadline = asyncio.get_running_loop().time() + WITHIN.total_seconds()

    async def hear(self) -> str | bytes:
        """Say nothing, until there is no more time."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._deadline - loop.time()))
        raise Gone(_TIME_IS_UP)

    async def say(self, data: bytes) -> None:
        """Take text in; what is too much goes at the beginning."""
        self.text += data
        if len(self.text) > 2 * MOST_BYTES:
            del self.text[:-MOST_BYTES]

    async def close(self, code: int, reason: str = "") -> None:
        """Nothing is to be closed."""

    @property
    def newest(self) -> str:
        """The end of the text."""
        return bytes(self.text[-MOST_BYTES:]).decode(errors="replace")


@routes.get(
    "/sessions/{session_id}/logs",
    summary="What its programs said",
    response_class=PlainTextResponse,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **responses(401, 403, 404, 409, 422, 503),
    },
)
async def session_logs(request: Request, session_id: UUID) -> Response:
    """Return the newest of what the programs of a session have said, at most 1 MiB."""
    parts = parts_of(request)
    async with parts.database.unit() as unit:
        principal = await parts.guard.identify(request, unit)
        principal.must(Scope.READ)
        stream = await _begin(unit, principal, session_id, parts.replica)
    collector = Collector()
    ending = await _looking(request).carry(stream, collector, asyncio.Event())
    if ending.code != CLOSED.code:
        raise _problem(ending)
    return PlainTextResponse(collector.newest)


def _looking(request: Request) -> Looking:
    looking: Looking = request.app.state.traffic.looking
    return looking


async def _begin(unit: Unit, principal: Principal, session_id: UUID, replica: UUID) -> UUID:
    session = await sessions.get(unit, principal, session_id)
    if session.ended:
        raise Conflict(SESSION_ENDED.name, "The session has ended, and its logs with it.")
    if session.agent_id is None:
        raise Conflict("not_begun", "No agent has begun with the session yet.")
    await ours.must_be_reachable(unit, session)
    stream = new_id()
    await ours.begin(unit, stream, principal, session, channel=CHANNEL, replica=replica)
    return stream


def _problem(ending: Ending) -> Exception:
    if ending.code in {GATE_REFUSED.code, SESSION_ENDED.code}:
        return Conflict(ending.name, ending.sentence)
    return Unavailable("The session's agent did not send its logs in time.", retry_after=2)
