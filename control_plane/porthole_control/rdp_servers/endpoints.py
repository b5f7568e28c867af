"""`/rdp/servers`: made, listed, changed, deleted."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Response
from fastapi.responses import JSONResponse

from porthole_control.api import (
    IdempotencyKey,
    IfMatch,
    PartsDep,
    Reader,
    SessionWriter,
    UnitDep,
    etag,
    expected_version,
)
from porthole_control.db.database import Unit
from porthole_control.idempotency import Answer, once
from porthole_control.people.rules import Principal
from porthole_control.problems import responses
from porthole_control.rdp_servers import repository, schemas, service
from porthole_control.rdp_servers.repository import Server
from porthole_control.rdp_servers.routes import PATH, in_units

_MOST_PAGES: Final = 100_000

routes = in_units()


def _answer(server: Server, status: int = 200) -> JSONResponse:
    out = schemas.RdpServerOut.of(server).model_dump(mode="json")
    return JSONResponse(out, status, {"ETag": etag(server.version)})


@routes.get("/rdp/servers", summary="List RDP servers")
async def list_rdp_servers(
    principal: Reader,
    unit: UnitDep,
    page: Annotated[int, Query(ge=1, le=_MOST_PAGES, description="Counted from 1.")] = 1,
    limit: Annotated[int, Query(ge=1, le=100, description="The most servers of a page.")] = 20,
) -> schemas.RdpServers:
    """Return the caller's servers, newest first."""
    found, total = await repository.list_owned(
        unit.connection, principal.name, offset=(page - 1) * limit, limit=limit
    )
    return schemas.RdpServers(
        servers=[schemas.RdpServerOut.of(server) for server in found],
        pagination=schemas.Pagination(
            page=page, limit=limit, total=total, pages=-(-total // limit)
        ),
    )


@routes.post(
    "/rdp/servers",
    status_code=201,
    response_model=schemas.RdpServerMade,
    summary="Make an RDP server",
    responses=responses(404, 409, 429),
)
async def create_rdp_server(
    principal: SessionWriter,
    unit: UnitDep,
    parts: PartsDep,
    body: schemas.NewRdpServer,
    key: IdempotencyKey = None,
) -> JSONResponse:
    """Make a server, stopped. It keeps its port and its home until it is deleted.

    If it is to be exposed, the password of its port is shown here, and only here.
    """

    async def make() -> Answer:
        made = await service.create(
            unit,
            principal,
            **body.model_dump(mode="json"),
            most=parts.settings.rdp_servers_per_owner,
        )
        return Answer(201, schemas.RdpServerMade.made(made).model_dump(mode="json"))

    question = ["rdp/servers", body.model_dump(mode="json")]
    answer = await once(unit, principal, key, question, make, secret=body.expose)
    headers = {
        "ETag": etag(answer.body["version"]),
        "Location": f"/api/v1/rdp/servers/{answer.body['server_id']}",
    }
    return JSONResponse(answer.body, answer.status, headers)


@routes.get(
    PATH,
    response_model=schemas.RdpServerOut,
    summary="Show an RDP server",
    responses=responses(404),
)
async def show_rdp_server(principal: Reader, unit: UnitDep, server_id: UUID) -> JSONResponse:
    """Return one server."""
    return _answer(await service.get(unit, principal, server_id))


@routes.put(
    PATH,
    response_model=schemas.RdpServerOut,
    summary="Change an RDP server",
    responses=responses(404, 409, 412),
)
async def change_rdp_server(
    principal: SessionWriter,
    unit: UnitDep,
    server_id: UUID,
    body: schemas.RdpServerPatch,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> JSONResponse:
    """Change a server; what is left out stays. It is made so at its next start.

    With `If-Match` and its ETag, only if it has not changed since (412).
    """
    changes = body.model_dump(mode="json", exclude_none=True)
    changed = await _changed(unit, principal, server_id, changes, key, if_match)
    return JSONResponse(changed, 200, {"ETag": etag(changed["version"])})


async def _changed(
    unit: Unit,
    principal: Principal,
    server_id: UUID,
    changes: dict[str, Any],
    key: str | None,
    if_match: str | None,
) -> dict[str, Any]:
    async def version() -> int:
        return (await service.get(unit, principal, server_id)).version

    async def make() -> Answer:
        expected = await expected_version(if_match, version)
        changed = await service.change(
            unit, principal, server_id, changes, expected_version=expected
        )
        return Answer(200, schemas.RdpServerOut.of(changed).model_dump(mode="json"))

    question = ["rdp/servers", str(server_id), changes]
    return (await once(unit, principal, key, question, make)).body


@routes.delete(PATH, status_code=204, summary="Delete an RDP server", responses=responses(404, 409))
async def delete_rdp_server(
    principal: SessionWriter,
    unit: UnitDep,
    server_id: UUID,
    force: Annotated[bool, Query(description="Stop it, if it is not stopped.")] = False,
) -> Response:
    """Delete a server; 409 while it runs. Its home stays, among the caller's homes."""
    await service.delete(unit, principal, server_id, force=force)
    return Response(status_code=204)


@routes.post(
    f"{PATH}/password",
    response_model=schemas.RdpServerMade,
    summary="Expose an RDP server, with a new password",
    responses=responses(404, 409),
)
async def expose_rdp_server(
    principal: SessionWriter, unit: UnitDep, server_id: UUID, key: IdempotencyKey = None
) -> JSONResponse:
    """Have its port listened on while it runs, with a password that is shown here, once.

    Who came in by an older one is cut off, and it is good no more.
    """

    async def make() -> Answer:
        made = await service.expose(unit, principal, server_id)
        return Answer(200, schemas.RdpServerMade.made(made).model_dump(mode="json"))

    question = ["rdp/servers", str(server_id), "password"]
    answer = await once(unit, principal, key, question, make, secret=True)
    return JSONResponse(answer.body, 200, {"ETag": etag(answer.body["version"])})


@routes.delete(
    f"{PATH}/password",
    response_model=schemas.RdpServerOut,
    summary="Expose an RDP server no more",
    responses=responses(404),
)
async def hide_rdp_server(principal: SessionWriter, unit: UnitDep, server_id: UUID) -> JSONResponse:
    """Have its port listened on no more; who came in there is cut off."""
    return _answer(await service.hide(unit, principal, server_id))


@routes.get(f"{PATH}/configuration", summary="How its desktop is made", responses=responses(404))
async def rdp_configuration(
    principal: Reader, unit: UnitDep, server_id: UUID
) -> schemas.RdpConfiguration:
    """Return a server's configuration."""
    server = await service.get(unit, principal, server_id)
    return schemas.RdpConfiguration.model_validate(server.configuration)


@routes.put(
    f"{PATH}/configuration",
    summary="Change how its desktop is made",
    responses=responses(404, 409, 412),
)
async def change_rdp_configuration(
    principal: SessionWriter,
    unit: UnitDep,
    server_id: UUID,
    body: schemas.RdpConfigurationPatch,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> schemas.RdpConfiguration:
    """Change a server's configuration; what is left out stays. It holds from the next start on."""
    changes = {"configuration": body.model_dump(mode="json", exclude_none=True)}
    changed = await _changed(unit, principal, server_id, changes, key, if_match)
    return schemas.RdpConfiguration.model_validate(changed["configuration"])


@routes.get(f"{PATH}/resources", summary="What it may use", responses=responses(404))
async def rdp_resources(principal: Reader, unit: UnitDep, server_id: UUID) -> schemas.RdpResources:
    """Return the limits of a server."""
    server = await service.get(unit, principal, server_id)
    return schemas.RdpResources.model_validate(server.resources)


@routes.put(
    f"{PATH}/resources",
    summary="Change what it may use",
    responses=responses(404, 409, 412),
)
async def change_rdp_resources(
    principal: SessionWriter,
    unit: UnitDep,
    server_id: UUID,
    body: schemas.RdpResourcesPatch,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> schemas.RdpResources:
    """Change the limits of a server; what is left out stays. They hold from the next start on."""
    changes = {"resources": body.model_dump(mode="json", exclude_none=True)}
    changed = await _changed(unit, principal, server_id, changes, key, if_match)
    return schemas.RdpResources.model_validate(changed["resources"])
