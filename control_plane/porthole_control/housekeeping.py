"""What goes on by itself in every replica; each of it may run in all of them at once."""

import asyncio

from porthole_control import idempotency
from porthole_control.agents import service as agents
from porthole_control.background import keep_going
from porthole_control.commands import repository as commands
from porthole_control.commands import story
from porthole_control.db import replicas
from porthole_control.db.doorbell import Bell
from porthole_control.events import repository as events
from porthole_control.events import service as stories
from porthole_control.parts import Parts
from porthole_control.people import repository as people
from porthole_control.rdp_servers import service as rdp_servers
from porthole_control.sessions import repository as sessions
from porthole_control.sessions import scheduling
from porthole_control.sessions import service as session_service

_WAITING_SECONDS = 5.0
_CALM_SECONDS = 0.05
_MINUTE = 60.0
_LONGEST_STORY = 2000
"""Events of one session that are kept; who tells more has gone wrong."""


async def look_after_waiting(parts: Parts) -> None:
    """Give waiting sessions to agents, whenever something has changed and every few seconds."""
    with parts.doorbell.hearing(Bell.WAITING) as hearing:
        while True:
            await keep_going("waiting", lambda: scheduling.assign_waiting(parts.database))
            # Agents and sessions change many at a time; one look is enough for all of them.
            await asyncio.sleep(_CALM_SECONDS)
            await hearing.next(_WAITING_SECONDS)


async def be_present(parts: Parts) -> None:
    """Say that this replica lives, and notice which others do not, every two seconds."""
    while True:
        await keep_going("database", parts.database.look)
        await keep_going("presence", lambda: _presence(parts))
        await asyncio.sleep(replicas.PRESENT_EVERY.total_seconds())


async def keep_time(parts: Parts) -> None:
    """End what has waited for too long, every few seconds."""
    while True:
        await keep_going("deadlines", lambda: _past_deadlines(parts))
        await asyncio.sleep(_WAITING_SECONDS)


async def _past_deadlines(parts: Parts) -> None:
    async with parts.database.unit() as unit:
        await session_service.give_up_late_ones(unit)
        expired = await commands.expire(unit.connection, unit.now)
    remarks = (story.ended(one) for one in expired)
    await stories.remark(parts.database, *(line for line in remarks if line is not None))


async def _presence(parts: Parts) -> None:
    async with parts.database.unit() as unit:
        await replicas.seen(unit, parts.replica)
    if not parts.presence.judges(unit.now):
        return
    async with parts.database.unit() as unit:
        await agents.forget_dead_links(
            unit,
            silent_since=unit.now - replicas.SILENT_AFTER,
            unseen_since=unit.now - replicas.LOST_AFTER,
        )


async def tidy(parts: Parts) -> None:
    """Delete what is past its retention, every minute."""
    while True:
        await asyncio.sleep(_MINUTE)
        await keep_going("tidy", lambda: _tidy(parts))


async def _tidy(parts: Parts) -> None:
    settings = parts.settings
    async with parts.database.unit() as unit:
        connection, now = unit.connection, unit.now
        await idempotency.prune(connection, before=now - settings.idempotency_retention)
        await events.shorten_stories(connection, most=_LONGEST_STORY)
        await events.prune_feed(connection, before=now - settings.event_retention)
        await people.prune(connection, before=now - settings.event_retention)
        await sessions.ended_before(connection, before=now - settings.session_retention, limit=1000)
        await commands.prune(connection, before=now - settings.session_retention)
        await rdp_servers.tidy(unit)
        await replicas.prune(unit)
