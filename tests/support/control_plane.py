"""A control plane for tests: the whole application on a real database, and an agent's hands."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI
from sqlalchemy import update

from porthole_contract.lifecycle import Phase
from porthole_contract.link.greeting import new_key
from porthole_contract.link.reports import (
    AgentObserved,
    Capacity,
    CommandResult,
    HomeObserved,
    ObservedEvent,
    Outcome,
    SessionObserved,
    TemplateOffered,
)
from porthole_contract.session import (
    Desired,
    Protocol,
    ResourceList,
    SessionSpec,
    SessionStatus,
)
from porthole_contract.template import SessionTemplateSpec
from porthole_control.agents import repository as agent_repository
from porthole_control.agents import service as agents
from porthole_control.agents.tables import agents as agent_rows
from porthole_control.app import create_app
from porthole_control.commands import repository as commands
from porthole_control.commands.repository import Claimed
from porthole_control.db.database import Database
from porthole_control.homes import service as homes
from porthole_control.parts import Parts
from porthole_control.sessions import reports
from porthole_control.settings import Settings
from tests.support.postgres import TestDatabase

BASE = "http://127.0.0.1:8080"


@dataclass
class ControlPlane:
    """A running control plane and its administrator's client."""

    app: FastAPI
    parts: Parts
    settings: Settings
    admin: httpx.AsyncClient

    @property
    def database(self) -> Database:
        """Its database."""
        return self.parts.database

    def client(self, token: str | None = None, **headers: str) -> httpx.AsyncClient:
        """Return a client with this token; close it when done."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url=BASE,
            headers=headers,
        )

    @asynccontextmanager
    async def user(self, name: str, **fields: Any) -> AsyncIterator[httpx.AsyncClient]:
        """Yield the client of another user."""
        body = {"name": "test", "user": name, **fields}
        made = await self.admin.post("/api/v1/tokens", json=body)
        async with self.client(made.raise_for_status().json()["token"]) as client:
            yield client

    async def until(self, path: str, **fields: Any) -> dict[str, Any]:
        """Ask for `path` until it has these fields; what goes on by itself takes a moment."""
        for _ in range(300):
            seen: dict[str, Any] = (await self.admin.get(path)).raise_for_status().json()
            if all(seen[name] == value for name, value in fields.items()):
                return seen
            await asyncio.sleep(0.05)
        raise AssertionError(f"{path} is still {seen}")

    async def agent(self, name: str = "one", **about: Any) -> "Agent":
        """Let an agent in and link it."""
        made = await self.admin.post("/api/v1/agents/join-tokens", json={"name": name})
        key = new_key().public_key().public_bytes_raw()
        enrolled = await self.admin.post(
            "/api/v1/agents/enrol",
            json={
                "token": made.raise_for_status().json()["token"],
                "public_key": base64.b64encode(key).decode(),
            },
        )
        agent = Agent(self, UUID(enrolled.raise_for_status().json()["agent_id"]), name)
        await agent.link()
        await agent.describe(**about)
        return agent


@asynccontextmanager
async def a_control_plane(
    database: TestDatabase, home: Path, **changes: Any
) -> AsyncIterator[ControlPlane]:
    """Run a control plane on `database` and yield it."""
    settings = Settings(
        home=home,
        database_url=database.url,
        database_password_file=database.password_file,
        **changes,
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        file = settings.administrator_token_file or settings.secrets / "admin-token"
        token = file.read_text().strip()
        running = ControlPlane(app, app.state.parts, settings, httpx.AsyncClient())
        await running.admin.aclose()
        running.admin = running.client(token)
        async with running.admin:
            yield running


TEMPLATE = SessionTemplateSpec(title="A desktop")


class Agent:
    """What an agent's link does to the database, without the link."""

    def __init__(self, control_plane: ControlPlane, identity: UUID, name: str) -> None:
        self.control_plane = control_plane
        self.id = identity
        self.name = name
        self.epoch = 0
        self.place = uuid4()

    @property
    def database(self) -> Database:
        """The control plane's database."""
        return self.control_plane.database

    async def link(self) -> None:
        """Begin a link: the next epoch, and everything unfinished is sent again."""
        self.epoch += 1
        async with self.database.unit() as unit:
            await unit.connection.execute(
                update(agent_rows)
                .where(agent_rows.c.id == self.id)
                .values(
                    epoch=self.epoch,
                    linked_replica=self.control_plane.parts.replica,
                    linked_at=unit.now,
                    last_seen_at=unit.now,
                )
            )
            await commands.resend(unit.connection, agent=self.id, epoch=self.epoch, now=unit.now)
            await agents.link_changed(unit, self.id)

    async def unlink(self) -> None:
        """Lose the link."""
        async with self.database.unit() as unit:
            await unit.connection.execute(
                update(agent_rows).where(agent_rows.c.id == self.id).values(linked_replica=None)
            )
            await agents.link_changed(unit, self.id)

    async def describe(
        self,
        *,
        templates: Sequence[TemplateOffered] = (TemplateOffered(name="desktop", spec=TEMPLATE),),
        sessions: int = 10,
        sessions_used: int = 0,
        total: Mapping[str, str] | None = None,
        used: Mapping[str, str] | None = None,
        protocols: Sequence[str] = ("vnc",),
        place: UUID | None = None,
        draining: bool = False,
        runtime: Literal["local", "kubernetes"] = "local",
        rdp_listen: str | None = None,
    ) -> None:
        """Say what it is and what it offers."""
        seen = AgentObserved(
            place=place or self.place,
            runtime=runtime,
            rdp_listen=rdp_listen,
            program="porthole-agent test",
            capacity=Capacity(
                sessions=sessions,
                sessions_used=sessions_used,
                total=ResourceList(**total or {}),
                used=ResourceList(**used or {}),
            ),
            protocols=tuple(Protocol(one) for one in protocols),
            templates=tuple(templates),
            draining=draining,
        )
        async with self.database.unit() as unit:
            await agents.observed(unit, self.id, seen)

    async def claim(self, credit: int = 100) -> Sequence[Claimed]:
        """Take the commands whose turn it is."""
        async with self.database.unit() as unit:
            return await commands.claim(
                unit.connection, agent=self.id, epoch=self.epoch, credit=credit, now=unit.now
            )

    async def finish(
        self,
        *claimed: Claimed,
        outcome: Outcome = Outcome.SUCCEEDED,
        code: str = "",
        message: str = "",
    ) -> None:
        """Say how commands ended."""
        results = [
            CommandResult(command=one.id, outcome=outcome, code=code, message=message)
            for one in claimed
        ]
        async with self.database.unit() as unit:
            await reports.command_results(unit, self.id, results)

    async def obey(self) -> Sequence[Claimed]:
        """Do everything that is to be done, and say so."""
        claimed = await self.claim()
        await self.finish(*claimed)
        return claimed

    async def see(self, *seen: SessionObserved, epoch: int | None = None) -> None:
        """Say what it sees of sessions."""
        async with self.database.unit() as unit:
            await reports.observed(unit, self.id, epoch or self.epoch, seen)

    async def inventory(self, *seen: SessionObserved, ended: Sequence[Any] = ()) -> None:
        """Send a complete inventory."""
        async with self.database.unit() as unit:
            await reports.inventory(unit, self.id, self.epoch, sessions=seen, ended=ended)

    async def see_homes(self, *seen: HomeObserved) -> None:
        """Say what it has of homes."""
        async with self.database.unit() as unit:
            known = await agent_repository.agent(unit.connection, self.id)
            assert known is not None
            await homes.observed(unit, known, seen)

    async def run(self, session: dict[str, Any]) -> None:
        """Obey, and see a session run."""
        await self.obey()
        await self.see(observed(session, phase=Phase.RUNNING))


def observed(session: dict[str, Any], **changes: Any) -> SessionObserved:
    """Return what an agent sees of a session that the API has shown."""
    status = {
        "phase": changes.pop("phase", Phase.RUNNING),
        "reason": changes.pop("reason", ""),
        "message": changes.pop("message", ""),
        **changes.pop("status", {}),
    }
    fields = {
        "session": session["id"],
        "name": session["name"],
        "owner": session["owner"],
        "order": session["order"],
        "desired": Desired(session["desired"]),
        "status": SessionStatus(**status),
        **changes,
    }
    return SessionObserved(**fields)


def event(reason: str, message: str, at: datetime | None = None) -> ObservedEvent:
    """Return something that happened at the runtime."""
    return ObservedEvent(at=at or datetime.now(UTC), reason=reason, message=message)


def spec(owner: str = "admin", **fields: Any) -> SessionSpec:
    """Return a session's spec."""
    return SessionSpec.model_validate({"owner": owner, "template": "desktop", **fields})
