"""`/rdp/servers`."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from porthole_contract.errors import Invalid
from porthole_control.api import (
    IdempotencyKey,
    IfMatch,
    PartsDep,
    Reader,
    SessionWriter,
    UnitDep,
    UnitRoute,
    check_match,
    etag,
    known_callers,
    parts_of,
    router,
)
from porthole_control.db.doorbell import Bell
from porthole_control.driving.drives import Right, checked
from porthole_control.errors import Conflict
from porthole_control.idempotency import Answer, once
from porthole_control.parts import Parts
from porthole_control.people.rules import Principal, Scope
from porthole_control.problems import INVALID_STATUS, responses
from porthole_control.rdp_servers import repository, schemas, service
from porthole_control.rdp_servers.connection import tested
from porthole_control.rdp_servers.repository import Server
from porthole_control.rdp_servers.rules import PASSING, ServerStatus
from porthole_control.sessions import service as sessions

_LOOK_AGAIN: Final = 1.0
_MOST_SAMPLES: Final = 1000
_MOST_ALERTS: Final = 200
_MOST_PAGES: Final = 100_000
_PATH: Final = "/rdp/servers/{server_id:uuid}"


def _as_400(handle: Callable[[Request], Coroutine[Any, Any, Response]]) -> Any:
    async def handled(request: Request) -> Response:
        request.scope[INVALID_STATUS] = 400
        return await handle(request)

    return handled


class _ServerRoute(UnitRoute):
    """A route whose answer to what is invalid is 400, as clients of such servers expect."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request to this route."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]]
        handler = _as_400(super().get_route_handler())
        return handler


class _WaitingRoute(APIRoute):
    """The same, where transactions are over before anything is waited for."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request to this route."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]]
        handler = _as_400(super().get_route_handler())
        return handler


routes = router("rdp servers")
routes.route_class = _ServerRoute
waiting = APIRouter(
    prefix="/api/v1",
    tags=["rdp servers"],
    route_class=_WaitingRoute,
    dependencies=known_callers(),
    responses=responses(400, 401, 403, 404, 409, 413, 422, 429, 503, 504),
)


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
    response_model=schemas.RdpServerOut,
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
    """Make a server, stopped. It keeps its port and its home until it is deleted."""

    async def make() -> Answer:
        made = await service.create(
            unit,
            principal,
            **body.model_dump(mode="json"),
            most=parts.settings.rdp_servers_per_owner,
        )
        return Answer(201, schemas.RdpServerOut.of(made).model_dump(mode="json"))

    question = ["rdp/servers", body.model_dump(mode="json")]
    answer = await once(unit, principal, key, question, make)
    headers = {
        "ETag": etag(answer.body["version"]),
        "Location": f"/api/v1/rdp/servers/{answer.body['server_id']}",
    }
    return JSONResponse(answer.body, answer.status, headers)


@routes.get("/rdp/servers/statistics", summary="All RDP servers together")
async def rdp_statistics(principal: Reader, unit: UnitDep) -> schemas.RdpStatistics:
    """Return how the caller's servers are, and what they use together."""
    found, total = await repository.list_owned(
        unit.connection, principal.name, offset=0, limit=_MOST_SAMPLES
    )
    running = [server for server in found if server.status is ServerStatus.RUNNING]
    newest = await repository.newest_samples(unit.connection, [server.id for server in running])
    alerts = await repository.open_alerts(unit.connection, [server.id for server in running])
    counted = [server.status for server in found]
    return schemas.RdpStatistics(
        total_servers=total,
        running_servers=len(running),
        stopped_servers=counted.count(ServerStatus.STOPPED),
        error_servers=counted.count(ServerStatus.ERROR),
        passing_servers=sum(status in PASSING for status in counted),
        active_sessions=len(running),
        viewers=sum(server.viewers or 0 for server in running),
        active_alerts=sum(map(len, alerts.values())),
        cpu_percent=round(sum(sample.cpu_percent for sample in newest.values()), 2),
        memory_bytes=sum(sample.memory_bytes for sample in newest.values()),
        cpu_limit=round(sum(server.resources["cpu_limit"] for server in running), 2),
        memory_limit=sum(server.resources["memory_limit"] for server in running),
    )


@routes.get(
    _PATH,
    response_model=schemas.RdpServerOut,
    summary="Show an RDP server",
    responses=responses(404),
)
async def show_rdp_server(principal: Reader, unit: UnitDep, server_id: UUID) -> JSONResponse:
    """Return one server."""
    return _answer(await service.get(unit, principal, server_id))


@routes.put(
    _PATH,
    response_model=schemas.RdpServerOut,
    summary="Change an RDP server",
    responses=responses(404, 412),
)
async def change_rdp_server(
    principal: SessionWriter,
    unit: UnitDep,
    server_id: UUID,
    body: schemas.RdpServerPatch,
    if_match: IfMatch = None,
) -> JSONResponse:
    """Change a server; what is left out stays. It is made so at its next start.

    With `If-Match` and its ETag, only if it has not changed since (412).
    """
    changes = body.model_dump(mode="json", exclude_none=True)
    return _answer(await _changed(unit, principal, server_id, changes, if_match))


async def _changed(
    unit: Any, principal: Principal, server_id: UUID, changes: dict[str, Any], if_match: str | None
) -> Server:
    expected = None
    if if_match not in {None, "*"}:
        seen = await service.get(unit, principal, server_id)
        check_match(if_match, seen.version)
        expected = seen.version
    return await service.change(unit, principal, server_id, changes, expected_version=expected)


@routes.delete(
    _PATH, status_code=204, summary="Delete an RDP server", responses=responses(404, 409)
)
async def delete_rdp_server(
    principal: SessionWriter,
    unit: UnitDep,
    server_id: UUID,
    force: Annotated[bool, Query(description="Stop it, if it is not stopped.")] = False,
) -> Response:
    """Delete a server; 409 while it runs. Its home stays, among the caller's homes."""
    await service.delete(unit, principal, server_id, force=force)
    return Response(status_code=204)


@routes.get(f"{_PATH}/status", summary="How an RDP server is", responses=responses(404))
async def rdp_server_status(
    principal: Reader, unit: UnitDep, server_id: UUID
) -> schemas.RdpStatusOut:
    """Return how a server is, since when, and what it uses."""
    server = await service.get(unit, principal, server_id)
    runs = server.status is ServerStatus.RUNNING
    sample = None
    if runs:
        found = await repository.newest_samples(unit.connection, [server.id])
        sample = found.get(server.id)
    up = (unit.now - server.started_at).total_seconds() if runs and server.started_at else 0.0
    told = [moment for moment in (server.observed_at, sample and sample.at) if moment]
    return schemas.RdpStatusOut(
        server_id=server.id,
        status=server.status,
        message=server.message or "",
        uptime=max(0.0, round(up, 3)),
        active_sessions=int(runs),
        resource_usage=None if sample is None else schemas.RdpUsageOut.of(sample, server.resources),
        last_health_check=max(told, default=None),
    )


@routes.get(
    f"{_PATH}/service-status", summary="The programs of an RDP server", responses=responses(404)
)
async def rdp_service_status(
    principal: Reader, unit: UnitDep, server_id: UUID
) -> schemas.RdpServiceStatus:
    """Return whether the programs behind a server run."""
    server = await service.get(unit, principal, server_id)
    state = "active" if server.status is ServerStatus.RUNNING else "inactive"
    return schemas.RdpServiceStatus.model_validate(
        {"xrdp_status": state, "xrdp_sesman_status": state}
    )


@routes.get(f"{_PATH}/configuration", summary="How its desktop is made", responses=responses(404))
async def rdp_configuration(
    principal: Reader, unit: UnitDep, server_id: UUID
) -> schemas.RdpConfiguration:
    """Return a server's configuration."""
    server = await service.get(unit, principal, server_id)
    return schemas.RdpConfiguration.model_validate(server.configuration)


@routes.put(
    f"{_PATH}/configuration",
    summary="Change how its desktop is made",
    responses=responses(404, 412),
)
async def change_rdp_configuration(
    principal: SessionWriter,
    unit: UnitDep,
    server_id: UUID,
    body: schemas.RdpConfigurationPatch,
    if_match: IfMatch = None,
) -> schemas.RdpConfiguration:
    """Change a server's configuration; what is left out stays. It holds from the next start on."""
    changes = {"configuration": body.model_dump(mode="json", exclude_none=True)}
    changed = await _changed(unit, principal, server_id, changes, if_match)
    return schemas.RdpConfiguration.model_validate(changed.configuration)


@routes.get(f"{_PATH}/resources", summary="What it may use", responses=responses(404))
async def rdp_resources(principal: Reader, unit: UnitDep, server_id: UUID) -> schemas.RdpResources:
    """Return the limits of a server."""
    server = await service.get(unit, principal, server_id)
    return schemas.RdpResources.model_validate(server.resources)


@routes.put(f"{_PATH}/resources", summary="Change what it may use", responses=responses(404, 412))
async def change_rdp_resources(
    principal: SessionWriter,
    unit: UnitDep,
    server_id: UUID,
    body: schemas.RdpResourcesPatch,
    if_match: IfMatch = None,
) -> schemas.RdpResources:
    """Change the limits of a server; what is left out stays. They hold from the next start on."""
    changes = {"resources": body.model_dump(mode="json", exclude_none=True)}
    changed = await _changed(unit, principal, server_id, changes, if_match)
    return schemas.RdpResources.model_validate(changed.resources)


@routes.get(f"{_PATH}/usage", summary="What it uses now", responses=responses(404, 409))
async def rdp_usage(principal: Reader, unit: UnitDep, server_id: UUID) -> schemas.RdpUsageOut:
    """Return what a server used when its agent told of it last; 409 while it does not run."""
    server = await service.get(unit, principal, server_id)
    if server.status is not ServerStatus.RUNNING:
        raise Conflict("server_not_running", f"The server is {server.status}, and uses nothing.")
    sample = (await repository.newest_samples(unit.connection, [server.id])).get(server.id)
    if sample is None or sample.session_id != server.session_id:
        raise Conflict(
            "usage_unknown", "Its agent has not said yet what it uses, or does not say that at all."
        )
    return schemas.RdpUsageOut.of(sample, server.resources)


_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@routes.get(f"{_PATH}/usage/history", summary="What it used", responses=responses(404))
async def rdp_usage_history(
    principal: Reader,
    unit: UnitDep,
    server_id: UUID,
    duration: Annotated[
        str,
        Query(pattern=f"^{_DURATION.pattern}$", description="How far back: `30m`, `1h`, `1d`."),
    ] = "1h",
) -> schemas.RdpUsageHistory:
    """Return what a server used for some time, a day at the most."""
    server = await service.get(unit, principal, server_id)
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise Invalid("query.duration", "must be like `30m`, `1h` or `1d`")
    back = min(timedelta(**{_UNITS[match[2]]: int(match[1])}), service.KEPT)
    found = await repository.samples(
        unit.connection, server.id, since=unit.now - back, limit=_MOST_SAMPLES
    )
    return schemas.RdpUsageHistory(
        server_id=server.id,
        duration=duration,
        usage_history=[schemas.RdpUsageOut.of(sample, server.resources) for sample in found],
    )


@routes.get(f"{_PATH}/alerts", summary="What it uses too much of", responses=responses(404))
async def rdp_alerts(principal: Reader, unit: UnitDep, server_id: UUID) -> schemas.RdpAlerts:
    """Return the alerts of a server: those that hold, and all of the last day."""
    server = await service.get(unit, principal, server_id)
    found = [
        schemas.RdpAlertOut.of(alert)
        for alert in await repository.alerts(unit.connection, server.id, limit=_MOST_ALERTS)
    ]
    runs = server.status is ServerStatus.RUNNING
    active = [alert for alert in found if runs and not alert.resolved]
    return schemas.RdpAlerts(active_alerts=active, alert_history=found)


@routes.get(f"{_PATH}/sessions", summary="What it runs as", responses=responses(404))
async def rdp_sessions(
    principal: Reader, unit: UnitDep, server_id: UUID
) -> schemas.RdpActiveSessions:
    """Return the living session of a server; none while it is stopped."""
    server = await service.get(unit, principal, server_id)
    if not server.lives or server.session_id is None or server.phase is None:
        return schemas.RdpActiveSessions(active_sessions=[])
    one = schemas.RdpActiveSession(
        session_id=server.session_id,
        phase=server.phase,
        viewers=server.viewers or 0,
        started_at=server.started_at,
    )
    return schemas.RdpActiveSessions(active_sessions=[one])


# What is waited for --------------------------------------------------------------------

Wait = Annotated[
    float,
    Query(
        ge=0,
        le=60,
        description="Seconds to wait until it is done; after that the answer is 202.",
    ),
]


async def _writer(request: Request) -> Principal:
    """Return who asks, before anything is made of what they ask."""
    parts = parts_of(request)
    async with parts.database.reading() as unit:
        principal = await parts.guard.identify(request, unit)
    principal.must(Scope.SESSIONS)
    return principal


Writer = Annotated[Principal, Depends(_writer)]


async def _settled(parts: Parts, principal: Principal, server: Server, *, seconds: float) -> Server:
    """Return a server as soon as it is neither being started nor stopped, or time is up."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    with parts.doorbell.hearing(Bell.EVENTS) as hearing:
        while server.status in PASSING and (left := until - loop.time()) > 0:
            await hearing.next(min(left, _LOOK_AGAIN))
            async with parts.database.reading() as unit:
                server = await service.get(unit, principal, server.id)
    return server


def _done(server: Server, action: str, parts_now: Any) -> JSONResponse:
    runs = server.status is ServerStatus.RUNNING
    out = schemas.RdpActionOut.model_validate(
        {
            "server_id": server.id,
            "action": action,
            "status": server.status,
            "message": server.message or "",
            "timestamp": parts_now,
            "session_id": server.session_id,
            "started_at": server.started_at if runs else None,
            "stopped_at": server.last_stopped_at if server.status is ServerStatus.STOPPED else None,
        }
    )
    status = 202 if server.status in PASSING else 200
    return JSONResponse(out.model_dump(mode="json"), status)


_ACTION: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": schemas.RdpActionOut, "description": "On its way"},
}


@waiting.post(
    f"{_PATH}/start",
    response_model=schemas.RdpActionOut,
    responses=_ACTION,
    summary="Start an RDP server",
)
async def start_rdp_server(
    request: Request, principal: Writer, server_id: UUID, wait: Wait = 25
) -> JSONResponse:
    """Have a server run, as a session on its home; one that runs is left as it is."""
    parts = parts_of(request)
    async with parts.database.unit() as unit:
        most = parts.settings.sessions_per_owner
        server = await service.start(unit, principal, server_id, most=most)
    server = await _settled(parts, principal, server, seconds=wait)
    return _done(_running(server), "start", unit.now)


@waiting.post(
    f"{_PATH}/stop",
    response_model=schemas.RdpActionOut,
    responses=_ACTION,
    summary="Stop an RDP server",
)
async def stop_rdp_server(
    request: Request, principal: Writer, server_id: UUID, wait: Wait = 25
) -> JSONResponse:
    """End what a server runs as; its row and its home stay."""
    parts = parts_of(request)
    async with parts.database.unit() as unit:
        server = await service.stop(unit, principal, server_id)
    server = await _settled(parts, principal, server, seconds=wait)
    return _done(server, "stop", unit.now)


@waiting.post(
    f"{_PATH}/restart",
    response_model=schemas.RdpActionOut,
    responses=_ACTION,
    summary="Restart an RDP server",
)
async def restart_rdp_server(
    request: Request, principal: Writer, server_id: UUID, wait: Wait = 25
) -> JSONResponse:
    """End what a server runs as, and start it anew on its home, as it is configured now."""
    parts = parts_of(request)
    async with parts.database.unit() as unit:
        most = parts.settings.sessions_per_owner
        server = await service.restart(unit, principal, server_id, most=most)
    server = await _settled(parts, principal, server, seconds=wait)
    return _done(_running(server), "restart", unit.now)


async def _looker(request: Request) -> Principal:
    parts = parts_of(request)
    async with parts.database.reading() as unit:
        principal = await parts.guard.identify(request, unit)
    principal.must(Scope.CONNECT)
    return principal


@waiting.post(f"{_PATH}/test-connection", summary="Connect to it, and see whether it draws")
async def rdp_test_connection(
    request: Request,
    principal: Annotated[Principal, Depends(_looker)],
    server_id: UUID,
    force: Annotated[bool, Query(description="Take the place of who looks at it.")] = False,
) -> schemas.RdpConnectionTest:
    """Connect to a server over RDP, on the way of all viewers, until its screen was drawn.

    409 while somebody looks at it: a desktop over RDP has one viewer, who would lose it.
    """
    parts = parts_of(request)
    async with parts.database.reading() as unit:
        server = await service.get(unit, principal, server_id)
        if server.status is not ServerStatus.RUNNING or server.session_id is None:
            return schemas.RdpConnectionTest(
                connection_available=False,
                port_open=False,
                drawn_percent=0,
                pictures=0,
                resolution=None,
                seconds=0,
                message=f"The server is {server.status}.",
            )
        if not force and await repository.is_looked_at(unit.connection, server.session_id):
            raise Conflict(
                "server_in_use",
                "Somebody looks at it, and would lose it to the test. Test with force, or later.",
            )
        session = await sessions.get(unit, principal, server.session_id)
        right = await checked(unit, Right(principal, session, "view"))
    display = session.spec.get("display") or {}
    size = (int(display.get("width", 1280)), int(display.get("height", 720)))
    return await tested(parts.database, request.app.state.traffic.looking, right, size)


def _running(server: Server) -> Server:
    if server.status is ServerStatus.ERROR:
        raise Conflict("start_failed", server.message or "It could not be started.")
    return server
