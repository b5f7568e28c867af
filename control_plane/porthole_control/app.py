"""The one place where the parts of the control plane are joined."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import structlog
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from porthole_control import (
    certificate,
    console_files,
    housekeeping,
    probes,
    problems,
    status,
    traffic,
)
from porthole_control.agents import endpoints as agents
from porthole_control.agents import repository as agent_rows
from porthole_control.agents.schemas import AgentOut
from porthole_control.background import keep_going
from porthole_control.commands import endpoints as commands
from porthole_control.db import replicas, setup
from porthole_control.db.connecting import conninfo_of
from porthole_control.db.database import Database, Unit
from porthole_control.db.doorbell import Doorbell
from porthole_control.driving import endpoints as driving
from porthole_control.edge import Edge, Limits, host_name
from porthole_control.events import endpoints as events
from porthole_control.events.live import Live
from porthole_control.homes import endpoints as homes
from porthole_control.homes import repository as home_rows
from porthole_control.homes.schemas import HomeOut
from porthole_control.parts import Parts, Reach
from porthole_control.people import administrator
from porthole_control.people import endpoints as people
from porthole_control.people.guard import Guard, origin_of
from porthole_control.rdp_servers import actions as rdp_actions
from porthole_control.rdp_servers import endpoints as rdp_servers
from porthole_control.rdp_servers import looks as rdp_looks
from porthole_control.sessions import endpoints as sessions
from porthole_control.sessions import repository as session_rows
from porthole_control.sessions.schemas import session_json
from porthole_control.settings import Settings, split_address
from porthole_control.streams import logs, programs
from porthole_control.templates import endpoints as templates
from porthole_control.templates import service as template_service
from porthole_control.templates.schemas import TemplateOut

logger = structlog.get_logger(__name__)

CONSOLE = Path(__file__).parent / "console"
_DATABASE_PATIENCE = 60.0


def create_app(settings: Settings) -> FastAPI:
    """Return the public application; its parts live as long as its lifespan.

    Args:
        settings: how to run it; `port` is the real one by now.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(settings) as parts, traffic.running(parts) as app.state.traffic:
            app.state.parts = parts
            yield

    app = FastAPI(
        title="Porthole",
        version="1",
        summary="Remote desktops: sessions, what they are made from, and where they run.",
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app)
    for routes in (
        sessions.routes,  # first, for they are asked for most and each is tried in turn
        probes.routes,
        people.front_door,
        people.routes,
        templates.routes,
        agents.front_door,
        agents.routes,
        homes.routes,
        logs.routes,
        programs.routes,
        driving.routes,
        rdp_servers.routes,
        rdp_looks.routes,
        rdp_actions.waiting,
        commands.routes,
        events.router,
        status.routes,
    ):
        app.include_router(routes)
    app.router.routes.extend(traffic.routes())
    limits = _limits(settings)
    console_files.add_to(app, CONSOLE, below=limits.below)
    app.add_middleware(traffic.LinksFirst)
    app.add_middleware(Edge, limits=limits)  # the last one that is added is passed first
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Parts]:
    """Run the parts: the database's connections, the doorbell, and what goes on by itself."""
    conninfo = conninfo_of(settings)
    doorbell = Doorbell(conninfo)
    database = Database(
        conninfo,
        doorbell=doorbell,
        pool_size=settings.database_connections,
        if_set_back=agent_rows.MAY_KNOW_MORE,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        if settings.migrate:
            await setup.wait_and_migrate(database, patience=_DATABASE_PATIENCE)
        else:
            await setup.wait_until_migrated(database, patience=_DATABASE_PATIENCE)
        await administrator.ensure(
            database,
            settings.administrator,
            settings.administrator_token_file or settings.secrets / "admin-token",
            given=settings.administrator_token_file is not None,
        )
        reach = _reach(settings)
        parts = Parts(
            settings=settings,
            instance=await setup.instance_id(database),
            replica=uuid4(),
            reach=reach,
            database=database,
            doorbell=doorbell,
            guard=Guard(
                cookie=f"porthole-{_instance_name(settings)}", origins=[origin_of(reach.url)]
            ),
            live=Live(database, _RENDERERS),
        )
        async with database.unit() as unit:
            if not await replicas.others_live(unit):
                await agent_rows.linked_ones_may_know_more(unit.connection, unit.now)
            await replicas.register(unit, parts.replica)
        stack.push_async_callback(_say_farewell, parts)
        await stack.enter_async_context(doorbell)
        tasks = [
            asyncio.create_task(parts.live.run(doorbell), name="live"),
            asyncio.create_task(parts.guard.forget_when_told(doorbell), name="guard"),
            asyncio.create_task(parts.guard.write_down_use(database), name="token-use"),
            asyncio.create_task(housekeeping.look_after_waiting(parts), name="waiting"),
            asyncio.create_task(housekeeping.be_present(parts), name="presence"),
            asyncio.create_task(housekeeping.keep_time(parts), name="time"),
            asyncio.create_task(housekeeping.tidy(parts), name="tidy"),
        ]
        stack.push_async_callback(_cancel, tasks)
        yield parts


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            logger.error("task_ended", exc_info=outcome)


async def _say_farewell(parts: Parts) -> None:
    async def unregister() -> None:
        async with parts.database.unit() as unit:
            await replicas.unregister(unit, parts.replica)

    await keep_going("farewell", unregister)


def _reach(settings: Settings) -> Reach:
    if settings.listen is None:
        return Reach(settings.public_url or f"http://127.0.0.1:{settings.port}", None)
    made = certificate.ensure(settings)
    address, port = split_address(settings.listen, settings.port)
    if ip_address(address).is_unspecified:
        address = socket.gethostname()
    elif ":" in address:
        address = f"[{address}]"
    return Reach(settings.public_url or f"https://{address}:{port}", made.fingerprint)


def _limits(settings: Settings) -> Limits:
    below = ""
    hosts = {"localhost", socket.gethostname().lower(), *settings.allowed_hosts}
    if settings.public_url is not None:
        public = urlsplit(settings.public_url)
        hosts.add(host_name(public.netloc))
        below = public.path.rstrip("/")
    return Limits(
        below=below,
        hosts=frozenset(hosts),
        body_bytes=settings.body_limit,
        body_seconds=settings.body_timeout.total_seconds(),
    )


def _instance_name(settings: Settings) -> str:
    if settings.instance is not None:
        return settings.instance
    path = str(settings.home.absolute()).encode("utf-8", "surrogateescape")
    return hashlib.sha256(path).hexdigest()[:8]


async def _render_sessions(unit: Unit, ids: Collection[str]) -> Mapping[str, object]:
    rows = await session_rows.with_ids(unit.connection, [UUID(i) for i in ids])
    return {str(row.id): session_json(row) for row in rows}


async def _render_agents(unit: Unit, ids: Collection[str]) -> Mapping[str, object]:
    rows = await agent_rows.with_ids(unit.connection, [UUID(i) for i in ids])
    return {str(row.id): AgentOut.of(row) for row in rows if row.state != "revoked"}


async def _render_homes(unit: Unit, ids: Collection[str]) -> Mapping[str, object]:
    rows = await home_rows.with_ids(unit.connection, [UUID(i) for i in ids])
    return {str(row.id): HomeOut.of(row) for row in rows}


async def _render_templates(unit: Unit, names: Collection[str]) -> Mapping[str, object]:
    known = await template_service.all_known(unit)
    return {name: TemplateOut.of(known[name]) for name in names if name in known}


_RENDERERS = {
    "session": _render_sessions,
    "agent": _render_agents,
    "home": _render_homes,
    "template": _render_templates,
}


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes
        )
        definitions = problems.Problem.model_json_schema(
            ref_template="#/components/schemas/{model}"
        )
        inner = definitions.pop("$defs", {})
        schema["components"]["schemas"].update({"Problem": definitions, **inner})
        app.openapi_schema = schema
    return app.openapi_schema
