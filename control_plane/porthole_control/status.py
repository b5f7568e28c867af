"""`GET /api/v1/status`: how this installation is, in a few numbers."""

from importlib.metadata import version
from uuid import UUID

from pydantic import BaseModel, Field

from porthole_control.agents import repository as agents
from porthole_control.api import PartsDep, Reader, UnitDep, router
from porthole_control.commands import repository as commands
from porthole_control.sessions import repository as sessions

routes = router("status")


class AgentStatus(BaseModel):
    """One agent in short."""

    name: str
    state: str
    linked: bool


class Status(BaseModel):
    """How this installation is."""

    version: str
    instance: UUID
    url: str
    sessions: dict[str, int] = Field(description="Living ones per phase; the caller's own.")
    queue: dict[str, int] = Field(description="Commands on their way, per state.")
    agents: list[AgentStatus]


@routes.get("/status", summary="How is it?")
async def status(principal: Reader, unit: UnitDep, parts: PartsDep) -> Status:
    """Return version, sessions per phase, the queue's depth, and the agents."""
    return Status(
        version=version("porthole"),
        instance=parts.instance,
        url=parts.reach.url,
        sessions=dict(await sessions.count_by_phase(unit.connection, principal.name)),
        queue=dict(await commands.count_by_state(unit.connection)),
        agents=[
            AgentStatus(name=agent.name, state=agent.state, linked=agent.linked)
            for agent in await agents.list_agents(unit.connection, limit=200)
        ],
    )
