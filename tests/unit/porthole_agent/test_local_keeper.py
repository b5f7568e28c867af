"""Orders that come to a session while its keeper waits for something."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from porthole_agent.runtimes.local.containers import Runc
from porthole_agent.runtimes.local.decide import lose
from porthole_agent.runtimes.local.homes import Homes
from porthole_agent.runtimes.local.journal import Journal
from porthole_agent.runtimes.local.keeper import Keeper
from porthole_agent.runtimes.local.record import Record
from porthole_agent.runtimes.local.room import Room
from porthole_agent.runtimes.local.site import Site
from porthole_contract.conditions import Reason
from porthole_contract.lifecycle import Phase
from tests.support.local_records import NOW, a_record, a_spec

ROOM = Room(sessions=4, cpu=64.0, memory=2**40)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    parts: dict[str, Any] = {
        "house": SimpleNamespace(runc=Runc(tmp_path / "runc")),
        "packages": SimpleNamespace(),
    }
    made = Site(
        folder=tmp_path,
        room=ROOM,
        uids=range(100),
        homes=Homes(tmp_path / "homes"),
        journal=Journal(tmp_path / "journal.jsonl"),
        **parts,
    )
    made.journal.open()
    yield made
    made.journal.close()


def kept(site: Site, record: Record) -> Keeper:
    site.session_folder(record.session).mkdir(parents=True)
    return Keeper(site, record, lambda _: None)


async def test_what_is_begun_is_what_was_ordered_while_its_packages_were_looked_for(
    site: Site,
) -> None:
    record = a_record(spec=a_spec(lifetime="1h"))
    keeper = kept(site, record)

    async def obstacle(*_: Any, **__: Any) -> None:
        await keeper.change(2, a_spec(lifetime="2h"), record.template)

    site.packages.obstacle = obstacle  # type: ignore[method-assign]
    seen = await keeper._look()
    assert seen.effective == site.effective(keeper.record)
    assert keeper.record.order == 2


async def test_an_order_that_comes_while_a_loss_is_written_stays_whole(site: Site) -> None:
    record = a_record(Phase.RUNNING)
    keeper = kept(site, record)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    lost = lose(record, Reason.DESKTOP_LOST, "It ended.", NOW, counts=True)
    await asyncio.gather(
        keeper._lose(lost), keeper.change(2, record.spec, record.template, traceparent=trace)
    )
    assert (keeper.record.order, keeper.record.traceparent) == (2, trace)
