"""`/sessions/{id}/screenshot`, `/input`, `/clipboard`: desktops for programs."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic.json_schema import SkipJsonSchema

from porthole_contract.errors import Invalid
from porthole_contract.stream import drive
from porthole_control.api import known_before, known_callers, parts_of
from porthole_control.driving import rules
from porthole_control.driving.drives import Drives, Right, checked
from porthole_control.driving.pictures import Pictures
from porthole_control.driving.schemas import Input, InputDone
from porthole_control.people.rules import Principal, Scope
from porthole_control.problems import responses
from porthole_control.sessions import service as sessions

WITHIN: Final = 20.0
"""Seconds for what does not wait by itself."""
_EVENTS_A_SECOND: Final = 500
"""No fewer are typed by a desktop, whatever it does beside."""
_PNG: Final = "image/png"
_TEXT: Final = "text/plain; charset=utf-8"

routes = APIRouter(
    prefix="/api/v1",
    tags=["sessions"],
    dependencies=known_callers(),
    responses=responses(400, 401, 403, 404, 409, 413, 422, 429, 503, 504),
)
_A_TEXT: Final[dict[str, Any]] = {"text/plain": {"schema": {"type": "string"}}}
_A_PICTURE: Final[dict[str, Any]] = {_PNG: {"schema": {"type": "string", "format": "binary"}}}
_PNG_BEGINS: Final = b"\x89PNG\r\n\x1a\n"


Looker = Annotated[Principal, Depends(known_before(Scope.CONNECT))]
User = Annotated[Principal, Depends(known_before(Scope.SESSION_CONTROL))]


@routes.get(
    "/sessions/{session_id:uuid}/screenshot",
    summary="What its screen shows",
    response_class=Response,
    responses={200: {"content": {_PNG: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def session_screenshot(
    request: Request,
    principal: Looker,
    session_id: UUID,
    width: Annotated[
        Annotated[int, Query(ge=16, le=16384, description="No wider than so many pixels.")]
        | SkipJsonSchema[None],
        Query(),
    ] = None,
) -> Response:
    """Return a PNG of a session's screen, at most a second old."""
    right = await _right(request, principal, session_id, "view")
    png = await _pictures(request).take(right, width)
    return Response(png, media_type=_PNG, headers={"Cache-Control": "no-store"})


@routes.post("/sessions/{session_id:uuid}/input", summary="Use its keys and pointer")
async def session_input(
    request: Request, principal: User, session_id: UUID, body: Input
) -> InputDone:
    """Do things at a session's desktop, one after another, and return when they are done."""
    actions = rules.compiled(body.actions)
    right = await _right(request, principal, session_id, "control")
    within = WITHIN + drive.waits(actions) + drive.events(actions) / _EVENTS_A_SECOND
    answer, _ = await _drives(request).ask(
        right, lambda number: drive.Act(id=number, actions=actions), within=within
    )
    still = answer.still if isinstance(answer, drive.Done) else None
    return InputDone(actions=len(body.actions), still=still)


@routes.get(
    "/sessions/{session_id:uuid}/clipboard",
    summary="What was copied in it",
    response_class=Response,
    responses={
        200: {"content": {**_A_TEXT, **_A_PICTURE}},
        204: {"description": "No picture was copied."},
    },
)
async def read_clipboard(
    request: Request,
    principal: User,
    session_id: UUID,
    kind: Annotated[
        Literal["text", "picture"], Query(description="What is wanted of it; a picture is a PNG.")
    ] = "text",
) -> Response:
    """Return what a session's programs have copied: a text, or nothing; or a picture."""
    right = await _right(request, principal, session_id, "control")
    asked = drive.ReadImage if kind == "picture" else drive.ReadClipboard
    _, found = await _drives(request).ask(right, lambda number: asked(id=number), within=WITHIN)
    headers = {"Cache-Control": "no-store"}
    if kind == "text":
        return Response(found, media_type=_TEXT, headers=headers)
    if not found:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    return Response(found, media_type=_PNG, headers=headers)


@routes.put(
    "/sessions/{session_id:uuid}/clipboard",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Have it paste a text or a picture",
    openapi_extra={"requestBody": {"required": True, "content": {**_A_TEXT, **_A_PICTURE}}},
)
async def write_clipboard(request: Request, principal: User, session_id: UUID) -> Response:
    """Have a session's programs paste a body of at most 1 MiB: a text in UTF-8, or a PNG."""
    content = await request.body()
    is_picture = request.headers.get("content-type", "").partition(";")[0].strip() == _PNG
    if is_picture and not content.startswith(_PNG_BEGINS):
        raise Invalid("body", "is not a PNG")
    try:
        _ = is_picture or content.decode()
    except UnicodeDecodeError:
        raise Invalid("body", "is not a text in UTF-8") from None
    right = await _right(request, principal, session_id, "control")
    made = drive.WriteImage if is_picture else drive.WriteClipboard
    await _drives(request).ask(
        right, lambda number: made(id=number, bytes=len(content)), raw=content, within=WITHIN
    )
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _right(request: Request, principal: Principal, session_id: UUID, mode: str) -> Right:
    """Return what the caller may do; in a transaction that is over before anything is asked."""
    parts = parts_of(request)
    seconds = parts.settings.request_timeout.total_seconds()
    async with asyncio.timeout(seconds), parts.database.reading() as unit:
        session = await sessions.get(unit, principal, session_id)
        right = await checked(unit, Right(principal, session, mode))
    stronger = Right(principal, session, "control")
    # A program that uses a desktop takes its pictures by the stream that it has.
    if principal.may(Scope.SESSION_CONTROL) and _drives(request).has(stronger):
        return stronger
    return right


def _drives(request: Request) -> Drives:
    drives: Drives = request.app.state.traffic.drives
    return drives


def _pictures(request: Request) -> Pictures:
    pictures: Pictures = request.app.state.traffic.pictures
    return pictures
