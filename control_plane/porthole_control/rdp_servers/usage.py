"""What agents say that sessions use, as samples and alerts of the servers that they are."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from porthole_contract.link.reports import SessionUse
from porthole_control.db.database import Unit
from porthole_control.db.ids import new_id
from porthole_control.rdp_servers import repository, rules
from porthole_control.rdp_servers.repository import Server
from porthole_control.rdp_servers.rules import Sample, Used

EVERY: Final = timedelta(seconds=1)
"""No more samples are kept, however often an agent tells."""
OLDEST: Final = timedelta(minutes=1)
"""What an agent tells is not taken for older than this."""


async def observed(unit: Unit, agent: UUID, said: Sequence[SessionUse]) -> None:
    """Keep what the servers of an agent use, and judge it."""
    if not said:
        return
    by_session = {one.session: one for one in said}
    servers = await repository.running_as(unit.connection, agent, by_session)
    if not servers:
        return
    identities = [server.id for server in servers]
    before = await repository.newest_samples(unit.connection, identities)
    alerts = await repository.open_alerts(unit.connection, identities)
    for server in servers:
        assert server.session_id is not None, "it was found by it"
        last = before.get(server.id)
        told = by_session[server.session_id]
        at = unit.now - min(timedelta(seconds=told.age), OLDEST)
        if last is not None and at - last.at < EVERY:
            continue  # it may be the same that was told before
        # Counted from before it ran: what its start used is not of the moment since it runs.
        started = min(server.last_started_at or at, at - EVERY)
        cores = float(server.resources["cpu_limit"])
        sample = rules.sampled(_used(told), at, last, started, cores)
        await repository.add_sample(unit.connection, server.id, sample)
        await _judge(unit, server, sample, alerts[server.id])


def _used(said: SessionUse) -> Used:
    return Used(said.session, said.cpu_seconds, said.memory, said.disk, said.received, said.sent)


async def _judge(unit: Unit, server: Server, sample: Sample, open_now: set[str]) -> None:
    raised, over = rules.judge(rules.shares(sample, server.resources), open_now)
    for one in raised:
        await repository.raise_alert(unit.connection, new_id(), server.id, one, unit.now)
    if over:
        await repository.resolve_alerts(unit.connection, server.id, unit.now, resources=over)
