"""`/sessions`."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import to_json, to_jsonable_python

from porthole_contract.lifecycle import Phase
from porthole_contract.session import Name
from porthole_control.agents import repository as agents
from porthole_control.api import (
    IdempotencyKey,
    IfMatch,
    PartsDep,
    Reader,
    SessionWriter,
    UnitDep,
    Viewer,
    asked_at,
    etag,
    expected_version,
    router,
)
from porthole_control.db.database import Unit
from porthole_control.events import repository as events
from porthole_control.idempotency import Answer, once
from porthole_control.paging import (
    CursorParam,
    LimitParam,
    Page,
    decode,
    decode_moment,
    encode,
    page,
)
from porthole_control.people.rules import Principal
from porthole_control.problems import responses
from porthole_control.sessions import repository, service
from porthole_control.sessions.repository import Filter, Session
from porthole_control.sessions.schemas import (
    NewSession,
    SessionEventOut,
    SessionOut,
    SessionPatch,
    session_json,
)
from porthole_control.streams import repository as streams
from porthole_control.streams import tickets
from porthole_control.streams.schemas import ClipboardOut, NewTicket, StreamOut, TicketOut
from porthole_control.templates import repository as templates

routes = router("sessions")


def _answer(session: Session, status: int = 200) -> Response:
    return _json(session_json(session), status, {"ETag": etag(session.version)})


async def _expected(
    unit: Unit, principal: Principal, session_id: UUID, if_match: str | None
) -> int | None:
    async def version() -> int:
        return (await service.get(unit, principal, session_id)).version

    return await expected_version(if_match, version)


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(to_json(body), status, headers, media_type="application/json")


@routes.get(
    "/sessions",
    response_model=Page[SessionOut],
    summary="List sessions",
    responses=responses(404),
)
async def list_sessions(
    principal: Reader,
    unit: UnitDep,
    ended: Annotated[bool, Query(description="Those that have ended, too.")] = False,
    phase: Phase | SkipJsonSchema[None] = None,
    template: Name | SkipJsonSchema[None] = None,
    agent: Name | SkipJsonSchema[None] = None,
    name: Name | SkipJsonSchema[None] = None,
    limit: LimitParam = 50,
    cursor: CursorParam = None,
) -> Response:
    """Return the caller's sessions, newest first."""
    rows = await repository.list_owned(
        unit.connection,
        principal.name,
        Filter(ended=ended, phase=phase, template=template, agent=agent, name=name),
        after=decode_moment(cursor),
        limit=limit + 1,
    )
    items, following = page(rows, limit, lambda row: (row.created_at, row.id))
    return _json({"items": [session_json(row) for row in items], "next": following})


@routes.post(
    "/sessions",
    status_code=202,
    response_model=SessionOut,
    summary="Create a session",
    responses=responses(404, 409),
)
async def create_session(
    principal: SessionWriter,
    unit: UnitDep,
    parts: PartsDep,
    body: NewSession,
    key: IdempotencyKey = None,
) -> Response:
    """Accept a session. It begins by itself; its phase and reason say how far it is."""

    async def make() -> Answer:
        given = body.to_dict()
        if body.display is not None:  # what of it is not asked for is the template's
            given["display"] = body.display.model_dump(mode="json", exclude_unset=True)
        wanted = service.Wanted(
            template=body.template,
            spec={k: v for k, v in given.items() if k not in _NOT_SPEC},
            name=body.name,
            agent=body.agent,
            agent_labels=body.agent_labels,
            start_deadline=body.start_deadline,
        )
        most = parts.settings.sessions_per_owner
        made = await service.create(unit, principal, wanted, most=most)
        return Answer(202, to_jsonable_python(session_json(made)))

    question = ["sessions", body.to_dict()]
    answer = await once(unit, principal, key, question, make)
    headers = {
        "ETag": etag(answer.body["version"]),
        "Location": f"/api/v1/sessions/{answer.body['id']}",
    }
    return _json(answer.body, answer.status, headers)


_NOT_SPEC = frozenset({"template", "name", "agent", "agent_labels", "start_deadline"})


@routes.get(
    "/sessions/{session_id:uuid}",
    response_model=SessionOut,
    summary="Show a session",
    responses=responses(404),
)
async def show_session(principal: Reader, unit: UnitDep, session_id: UUID) -> Response:
    """Return one session, an ended one too."""
    return _answer(await service.get(unit, principal, session_id))


@routes.patch(
    "/sessions/{session_id:uuid}",
    status_code=202,
    response_model=SessionOut,
    summary="Change a session",
    responses=responses(404, 409, 412),
)
async def change_session(
    principal: SessionWriter,
    unit: UnitDep,
    session_id: UUID,
    body: SessionPatch,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Change what a session should be, by a merge patch.

    With `If-Match` and its ETag, only if it has not changed since (412). With an
    `Idempotency-Key`, a change that arrives once more, late, does not undo what came after it.
    """
    change = body.model_dump(mode="json", exclude_unset=True)

    async def make() -> Answer:
        expected = await _expected(unit, principal, session_id, if_match)
        changed = await service.patch(
            unit, principal, session_id, change, expected_version=expected
        )
        return Answer(202, to_jsonable_python(session_json(changed)))

    question = ["sessions", str(session_id), change]
    answer = await once(unit, principal, key, question, make)
    return _json(answer.body, answer.status, {"ETag": etag(answer.body["version"])})


@routes.delete(
    "/sessions/{session_id:uuid}",
    status_code=202,
    response_model=SessionOut,
    summary="End a session",
    responses=responses(404, 412),
)
async def delete_session(
    principal: SessionWriter, unit: UnitDep, session_id: UUID, if_match: IfMatch = None
) -> Response:
    """End a session; nothing of it is left but its home.

    With `If-Match` and its ETag, only if it has not changed since (412).
    """
    expected = await _expected(unit, principal, session_id, if_match)
    return _answer(
        await service.delete(unit, principal, session_id, expected_version=expected), 202
    )


@routes.get(
    "/sessions/{session_id:uuid}/events", summary="What happened to it", responses=responses(404)
)
async def session_story(
    principal: Reader,
    unit: UnitDep,
    session_id: UUID,
    limit: LimitParam = 100,
    cursor: CursorParam = None,
) -> Page[SessionEventOut]:
    """Return what happened to a session, in order."""
    await service.get(unit, principal, session_id)
    position = decode(cursor, int)
    after = position[0] if position is not None and isinstance(position[0], int) else None
    rows = await events.session_events_of(unit.connection, session_id, after=after, limit=limit + 1)
    following = encode(rows[limit - 1].id) if len(rows) > limit else None
    return Page(items=[SessionEventOut.of(row) for row in rows[:limit]], next=following)


@routes.get(
    "/sessions/{session_id:uuid}/streams", summary="Who looked at it", responses=responses(404)
)
async def session_streams(
    principal: Reader,
    unit: UnitDep,
    session_id: UUID,
    limit: LimitParam = 50,
    cursor: CursorParam = None,
) -> Page[StreamOut]:
    """Return the streams of a session, newest first."""
    await service.get(unit, principal, session_id)
    rows = await streams.of_session(
        unit.connection, session_id, principal.name, after=decode_moment(cursor), limit=limit + 1
    )
    items, following = page(rows, limit, lambda row: (row.created_at, row.id))
    return Page(items=[StreamOut.of(row) for row in items], next=following)


@routes.post(
    "/sessions/{session_id:uuid}/tickets",
    status_code=201,
    response_model=TicketOut,
    summary="Ask for a ticket",
    responses=responses(404, 409),
)
async def create_ticket(
    request: Request,
    principal: Viewer,
    unit: UnitDep,
    parts: PartsDep,
    session_id: UUID,
    body: NewTicket,
) -> JSONResponse:
    """Return the right to open one stream to a session, once, within seconds."""
    session = await service.get(unit, principal, session_id)
    agent = None
    if session.agent_id is not None:
        agent = await agents.agent(unit.connection, session.agent_id)
    ticket = await tickets.issue(
        unit,
        principal,
        session,
        linked=agent is not None and agent.linked,
        channel=body.channel,
        protocol=body.protocol,
        mode=body.mode,
        origin=request.headers.get("origin") if principal.by_cookie else None,
        lifetime=parts.settings.ticket_lifetime,
        replaces=body.replaces,
    )
    template = None
    if session.template_digest is not None:
        template = await templates.content(unit.connection, session.template_digest)
    sockets = f"ws{asked_at(request).removeprefix('http')}"
    out = TicketOut(
        ticket=ticket.text,
        stream=ticket.stream,
        url=f"{sockets}/api/v1/streams/{ticket.text}",
        expires_at=ticket.expires_at,
        clipboard=ClipboardOut.of(template),
    )
    return JSONResponse(out.model_dump(mode="json"), 201)
