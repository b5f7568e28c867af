"""`GET /api/v1/events`: what changes, as server-sent events.

`hello` says where the list begins; then every `session`, `agent`, `template` and `home`
that changes is sent whole, or with `"gone": true`, and a `ping` when nothing has changed for
a while. The browser resumes by itself with `Last-Event-ID`; `reset` tells it that this is no
longer possible and it has to list again.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from time import monotonic
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import to_json

from porthole_control.api import parts_of
from porthole_control.events.live import News
from porthole_control.events.repository import Position
from porthole_control.parts import Parts
from porthole_control.people import service as people
from porthole_control.people.rules import Principal, Scope

router = APIRouter(prefix="/api/v1", tags=["events"])

EventId = Annotated[str, Field(max_length=64)]
_PING_SECONDS = 10.0
_LOOK_SECONDS = 1.0
"""How often a listener that hears nothing looks whether a right was taken away."""
_BELIEVED_SECONDS = 10.0
"""How long a token is taken for good when nothing was taken away; it may have expired."""


def _lines(position: Position, event: str | None = None, data: str | None = None) -> bytes:
    text = "" if event is None else f"event: {event}\ndata: {data}\n"
    return f"{text}id: {position}\n\n".encode()


def _line_of(news: News) -> bytes:
    data = news.data
    if data is None:
        data = to_json({"id": news.subject, "gone": True}).decode()
    return _lines(news.position, news.kind, data)


async def _tell(
    parts: Parts, principal: Principal, after: Position | None, *, rights: int
) -> AsyncIterator[bytes]:
    guard = parts.guard
    listening = parts.live.listen(principal.name, after, patience=_LOOK_SECONDS)
    looked = pinged = monotonic()
    async with aclosing(listening):
        position = after or Position(0, 0)
        async for told in listening:
            if isinstance(told, Position):
                event = "hello" if after is None or told == after else "reset"
                position = told
                # Browsers come back after three seconds if they are not told otherwise.
                yield b"retry: 500\n" + _lines(position, event, "{}")
                continue
            now = monotonic()
            if guard.revocations != rights or now > looked + _BELIEVED_SECONDS:
                rights, looked = guard.revocations, now
                async with parts.database.reading() as unit:
                    if not await people.still_good(unit, principal):
                        return
            for news in told:
                position = news.position
                yield _line_of(news)
            if not told and now > pinged + _PING_SECONDS:
                # Keeps proxies from closing it, and its place up to date. An event and no
                # comment: a browser that hears none for a while knows that the line is dead.
                pinged = now
                yield _lines(position, "ping", "{}")


# Not in OpenAPI, which has no words for an answer that never ends; whoever tries all calls
# of a description would wait for it.
@router.get("/events", include_in_schema=False)
async def follow(
    request: Request,
    last_event_id: Annotated[EventId | SkipJsonSchema[None], Header()] = None,
) -> StreamingResponse:
    """Follow sessions, homes, templates and agents as they change."""
    parts = parts_of(request)
    rights = parts.guard.revocations  # as they were before it was looked who asks
    async with parts.database.reading() as unit:
        principal = await parts.guard.identify(request, unit)
    principal.must(Scope.READ)
    after = Position.parse(last_event_id) if last_event_id else None
    return StreamingResponse(
        _tell(parts, principal, after, rights=rights),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
