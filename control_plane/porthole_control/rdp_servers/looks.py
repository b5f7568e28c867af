"""`/rdp/servers/{id}/status` and the like: how servers are, and what they use."""

import re
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query

from porthole_contract.errors import Invalid
from porthole_control.api import Reader, UnitDep
from porthole_control.errors import Conflict
from porthole_control.problems import responses
from porthole_control.rdp_servers import repository, schemas, service
from porthole_control.rdp_servers.routes import PATH, in_units
from porthole_control.rdp_servers.rules import PASSING, ServerStatus

_MOST_SERVERS: Final = 1000
_MOST_SAMPLES: Final = 1000
_MOST_ALERTS: Final = 200

routes = in_units()


@routes.get("/rdp/servers/statistics", summary="All RDP servers together")
async def rdp_statistics(principal: Reader, unit: UnitDep) -> schemas.RdpStatistics:
    """Return how the caller's servers are, and what they use together."""
    found, total = await repository.list_owned(
        unit.connection, principal.name, offset=0, limit=_MOST_SERVERS
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


@routes.get(f"{PATH}/status", summary="How an RDP server is", responses=responses(404))
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
        message=server.port_state[1] or server.message or "",
        uptime=max(0.0, round(up, 3)),
        active_sessions=int(runs),
        resource_usage=None if sample is None else schemas.RdpUsageOut.of(sample, server.resources),
        last_health_check=max(told, default=None),
    )


@routes.get(
    f"{PATH}/service-status", summary="The programs of an RDP server", responses=responses(404)
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


@routes.get(f"{PATH}/usage", summary="What it uses now", responses=responses(404, 409))
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


@routes.get(f"{PATH}/usage/history", summary="What it used", responses=responses(404))
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


@routes.get(f"{PATH}/alerts", summary="What it uses too much of", responses=responses(404))
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


@routes.get(f"{PATH}/sessions", summary="What it runs as", responses=responses(404))
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
