"""`/templates`."""

from typing import Annotated

from fastapi import Path, Response
from fastapi.responses import JSONResponse

from porthole_contract.names import LONGEST_SESSION_NAME
from porthole_control.api import (
    IdempotencyKey,
    IfMatch,
    Reader,
    TemplateWriter,
    UnitDep,
    etag,
    expected_version,
    router,
)
from porthole_control.idempotency import Answer, once
from porthole_control.paging import CursorParam, LimitParam, Page, decode, page
from porthole_control.problems import responses
from porthole_control.templates import service
from porthole_control.templates.schemas import NewTemplate, TemplateContent, TemplateOut

routes = router("templates")

TemplateName = Annotated[
    str, Path(max_length=LONGEST_SESSION_NAME, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]


@routes.get("/templates", summary="List templates", responses=responses(404))
async def list_templates(
    _principal: Reader, unit: UnitDep, limit: LimitParam = 100, cursor: CursorParam = None
) -> Page[TemplateOut]:
    """Return all templates by name, ours and those that agents bring along."""
    position = decode(cursor, str)
    after = "" if position is None else str(position[0])
    found = await service.all_known(unit)
    rows = [template for name, template in found.items() if name > after][: limit + 1]
    items, following = page(rows, limit, lambda row: (row.newest.name,))
    return Page(items=[TemplateOut.of(row) for row in items], next=following)


@routes.get("/templates/{name}", summary="Show a template", responses=responses(404))
async def show_template(
    _principal: Reader, unit: UnitDep, name: TemplateName, response: Response
) -> TemplateOut:
    """Return one template."""
    found = await service.known(unit, name)
    response.headers["ETag"] = etag(found.newest.revision)
    return TemplateOut.of(found)


@routes.post(
    "/templates",
    status_code=201,
    response_model=TemplateOut,
    summary="Make a template",
    responses=responses(409),
)
async def create_template(
    principal: TemplateWriter, unit: UnitDep, body: NewTemplate, key: IdempotencyKey = None
) -> JSONResponse:
    """Make a template; 409 if there is one of that name."""

    async def make() -> Answer:
        await service.create(unit, principal, body.name, body.spec)
        out = TemplateOut.of(await service.known(unit, body.name))
        return Answer(201, out.model_dump(mode="json"))

    answer = await once(unit, principal, key, ["templates", body.model_dump(mode="json")], make)
    headers = {"ETag": etag(answer.body["revision"])}
    return JSONResponse(answer.body, answer.status, headers=headers)


@routes.put(
    "/templates/{name}",
    response_model=TemplateOut,
    summary="Change a template",
    responses={
        201: {"model": TemplateOut, "description": "Created"},
        **responses(404, 409, 412),
    },
)
async def put_template(
    principal: TemplateWriter,
    unit: UnitDep,
    name: TemplateName,
    body: TemplateContent,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> JSONResponse:
    """Give a template a new revision, or make it. Sessions keep the one they have.

    With `If-Match` and its ETag, only if it has not changed since (412).
    """

    async def revision() -> int:
        return (await service.known(unit, name)).newest.revision

    async def make() -> Answer:
        only_if = await expected_version(if_match, revision)
        _, new = await service.put(unit, principal, name, body.spec, only_if_revision=only_if)
        out = TemplateOut.of(await service.known(unit, name))
        return Answer(201 if new else 200, out.model_dump(mode="json"))

    question = ["templates", name, body.model_dump(mode="json")]
    answer = await once(unit, principal, key, question, make)
    headers = {"ETag": etag(answer.body["revision"])}
    return JSONResponse(answer.body, answer.status, headers)


@routes.delete(
    "/templates/{name}",
    status_code=204,
    summary="Delete a template",
    responses=responses(404),
)
async def delete_template(
    _principal: TemplateWriter, unit: UnitDep, name: TemplateName
) -> Response:
    """Delete a template of ours; sessions made from it go on."""
    await service.delete(unit, name)
    return Response(status_code=204)
