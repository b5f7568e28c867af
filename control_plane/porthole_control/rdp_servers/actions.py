"""`/rdp/servers/{id}/start`, `/stop`, `/restart`, `/test-connection`: done, and waited for.

Transactions are over before anything is waited for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Query, Request
from fastapi.responses import JSONResponse

from porthole_control.api import IdempotencyKey, known_before, parts_of
from porthole_control.db.database import Unit
from porthole_control.db.doorbell import Bell
from porthole_control.driving.drives import Right, checked
from porthole_control.errors import Conflict
from porthole_control.idempotency import Answer, once
from porthole_control.parts import Parts
from porthole_control.people.rules import Principal, Scope
from porthole_control.rdp_servers import repository, schemas, service
from porthole_control.rdp_servers.connection import tested
from porthole_control.rdp_servers.repository import Server
from porthole_control.rdp_servers.routes import PATH, in_their_own_time
from porthole_control.rdp_servers.rules import PASSING, ServerStatus
from porthole_control.sessions import service as sessions

_LOOK_AGAIN: Final = 1.0
_CALM: Final = 0.05
"""Seconds; sessions change many at a time, and one look is enough for all of them."""

waiting = in_their_own_time()

Wait = Annotated[
    float,
    Query(
        ge=0,
        le=60,
        description="Seconds to wait until it is done; after that the answer is 202.",
    ),
]


Writer = Annotated[Principal, Depends(known_before(Scope.SESSIONS))]
Looker = Annotated[Principal, Depends(known_before(Scope.CONNECT))]


async def _once(
    parts: Parts,
    principal: Principal,
    key: str | None,
    question: tuple[str, UUID],
    act: Callable[[Unit], Awaitable[Server]],
) -> tuple[Server, datetime]:
    """Do something with a server, once per key; return the server then, and when that was."""
    action, server_id = question
    async with parts.database.unit() as unit:

        async def make() -> Answer:
            await act(unit)
            return Answer(202, {})

        await once(unit, principal, key, ["rdp/servers", str(server_id), action], make)
        return await service.get(unit, principal, server_id), unit.now


async def _settled(parts: Parts, principal: Principal, server: Server, *, seconds: float) -> Server:
    """Return a server as soon as it is neither being started nor stopped, or time is up."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    with parts.doorbell.hearing(Bell.EVENTS) as hearing:
        while server.status in PASSING and (left := until - loop.time()) > 0:
            await hearing.next(min(left, _LOOK_AGAIN))
            await asyncio.sleep(min(left, _CALM))
            async with parts.database.reading() as unit:
                server = await service.get(unit, principal, server.id)
    return server


def _done(server: Server, action: str, now: datetime) -> JSONResponse:
    runs = server.status is ServerStatus.RUNNING
    out = schemas.RdpActionOut.model_validate(
        {
            "server_id": server.id,
            "action": action,
            "status": server.status,
            "message": server.message or "",
            "timestamp": now,
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
    f"{PATH}/start",
    response_model=schemas.RdpActionOut,
    responses=_ACTION,
    summary="Start an RDP server",
)
async def start_rdp_server(
    request: Request,
    principal: Writer,
    server_id: UUID,
    wait: Wait = 25,
    key: IdempotencyKey = None,
) -> JSONResponse:
    """Have a server run, as a session on its home; one that runs is left as it is."""
    parts = parts_of(request)
    most = parts.settings.sessions_per_owner
    start = partial(service.start, principal=principal, identity=server_id, most=most)
    server, now = await _once(parts, principal, key, ("start", server_id), start)
    server = await _settled(parts, principal, server, seconds=wait)
    return _done(_running(server), "start", now)


@waiting.post(
    f"{PATH}/stop",
    response_model=schemas.RdpActionOut,
    responses=_ACTION,
    summary="Stop an RDP server",
)
async def stop_rdp_server(
    request: Request,
    principal: Writer,
    server_id: UUID,
    wait: Wait = 25,
    key: IdempotencyKey = None,
) -> JSONResponse:
    """End what a server runs as; its row and its home stay."""
    parts = parts_of(request)
    stop = partial(service.stop, principal=principal, identity=server_id)
    server, now = await _once(parts, principal, key, ("stop", server_id), stop)
    server = await _settled(parts, principal, server, seconds=wait)
    return _done(server, "stop", now)


@waiting.post(
    f"{PATH}/restart",
    response_model=schemas.RdpActionOut,
    responses=_ACTION,
    summary="Restart an RDP server",
)
async def restart_rdp_server(
    request: Request,
    principal: Writer,
    server_id: UUID,
    wait: Wait = 25,
    key: IdempotencyKey = None,
) -> JSONResponse:
    """End what a server runs as, and start it anew on its home, as it is configured now."""
    parts = parts_of(request)
    most = parts.settings.sessions_per_owner
    restart = partial(service.restart, principal=principal, identity=server_id, most=most)
    server, now = await _once(parts, principal, key, ("restart", server_id), restart)
    server = await _settled(parts, principal, server, seconds=wait)
    return _done(_running(server), "restart", now)


@waiting.post(f"{PATH}/test-connection", summary="Connect to it, and see whether it draws")
async def rdp_test_connection(
    request: Request,
    principal: Looker,
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
