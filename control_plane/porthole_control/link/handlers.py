"""What is done with each thing that an agent says."""

from collections.abc import Mapping, Sequence

from porthole_contract.link.channel import WINDOW
from porthole_contract.link.commands import TemplateContent
from porthole_contract.link.reports import (
    AgentObserved,
    CommandResult,
    HomeObserved,
    SessionObserved,
    StreamRefused,
    WantTemplate,
)
from porthole_control.agents import repository as agent_rows
from porthole_control.agents import service as agents
from porthole_control.db.database import Unit
from porthole_control.homes import service as homes
from porthole_control.link import repository
from porthole_control.link.hub import Hub
from porthole_control.link.inventory import Snapshot
from porthole_control.link.reports import Handler, Speaker
from porthole_control.metrics import INVENTORIES
from porthole_control.rdp_servers import usage as rdp_usage
from porthole_control.sessions import reports as sessions
from porthole_control.streams.asking import streams_refused
from porthole_control.templates import repository as templates


def handlers(hub: Hub) -> Mapping[type, Handler]:
    """Return what deals with items, per type.

    Args:
        hub: answers those who ask for something.
    """

    async def wants_template(unit: Unit, speaker: Speaker, items: Sequence[WantTemplate]) -> None:
        for digest in {item.digest for item in items}:
            link = hub.link(speaker.agent)
            # Each of its commands asks once: who leaves more than a window of answers untaken
            # would have us keep them without end.
            if link is None or link.channel.owed(TemplateContent) >= WINDOW:
                continue
            # Only what it has a session of: templates of others are none of its business.
            if not await repository.needs_template(unit.connection, speaker.agent, digest):
                continue
            spec = await templates.content(unit.connection, digest)
            if spec is not None:
                link.say(TemplateContent(digest=digest, spec=spec))

    return {
        CommandResult: _command_results,
        SessionObserved: _sessions_observed,
        HomeObserved: _homes_observed,
        AgentObserved: _agent_observed,
        Snapshot: _inventory,
        StreamRefused: streams_refused,
        WantTemplate: wants_template,
    }


async def _command_results(unit: Unit, speaker: Speaker, items: Sequence[CommandResult]) -> None:
    await sessions.command_results(unit, speaker.agent, items)


async def _sessions_observed(
    unit: Unit, speaker: Speaker, items: Sequence[SessionObserved]
) -> None:
    await sessions.observed(unit, speaker.agent, speaker.epoch, items)


async def _homes_observed(unit: Unit, speaker: Speaker, items: Sequence[HomeObserved]) -> None:
    agent = await agent_rows.agent(unit.connection, speaker.agent)
    if agent is not None and agent.state != "revoked":
        await homes.observed(unit, agent, items)


async def _agent_observed(unit: Unit, speaker: Speaker, items: Sequence[AgentObserved]) -> None:
    # Each says all there is to say, so the last one counts.
    await rdp_usage.observed(unit, speaker.agent, items[-1].uses)
    # Last, for it locks the agent's row, which everything that is sent to the agent waits for.
    await agents.observed(unit, speaker.agent, items[-1])


async def _inventory(unit: Unit, speaker: Speaker, items: Sequence[Snapshot]) -> None:
    agent = await agent_rows.agent(unit.connection, speaker.agent)
    if agent is None or agent.state == "revoked":
        return
    INVENTORIES.inc(len(items))
    snapshot = items[-1]
    agents.check_place(agent, snapshot.place)
    await homes.observed(unit, agent, snapshot.homes)
    await sessions.inventory(
        unit,
        speaker.agent,
        speaker.epoch,
        sessions=snapshot.sessions,
        ended=snapshot.ended,
    )
