"""The listener on which processes pass streams to one another: who gets in there."""

import ssl
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from porthole_contract.link.commands import OpenStream
from porthole_control.db import replicas
from porthole_control.db.replicas import Peer
from porthole_control.db.tables import replicas as rows
from porthole_control.streams import looking, passing
from tests.support.postgres import TestDatabase
from tests.support.scripted_agent import ScriptedAgent, dial_back, view
from tests.support.served import Served, served
from tests.support.streaming import running_session, ticket


@pytest.fixture
async def one(test_database: TestDatabase, tmp_path: Path):
    async with served(test_database, tmp_path / "home") as running:
        yield running


async def listener(at: Served) -> Peer:
    async with at.control_plane.database.reading() as unit:
        (peer,) = await replicas.peers(unit)
    return peer


def context(name: UUID, trusted: str) -> ssl.SSLContext:
    """Return the TLS of somebody who has made a certificate for themselves."""
    key, certificate = passing._identity(name)
    made = passing._context(ssl.PROTOCOL_TLS_CLIENT, key, certificate)
    made.load_verify_locations(cadata=trusted)
    return made


async def test_it_listens_on_this_machine_only(one: Served):
    assert (await listener(one)).address.startswith("127.0.0.1:")


async def test_strangers_do_not_get_in(one: Served):
    peer = await listener(one)
    url = f"wss://{peer.address}/streams/{uuid4()}"
    nameless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nameless.check_hostname = False
    nameless.load_verify_locations(cadata=peer.certificate)
    nameless.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for tls in (nameless, context(peer.id, peer.certificate), context(uuid4(), peer.certificate)):
        with pytest.raises((OSError, EOFError, InvalidHandshake)):
            await connect(url, ssl=tls, open_timeout=2)


async def test_a_process_that_has_died_does_not_get_in_any_more(one: Served):
    peer = await listener(one)
    passage = one.control_plane.app.state.traffic.passage
    name = uuid4()
    key, certificate = passing._identity(name)
    async with one.control_plane.database.unit() as unit:
        await replicas.register(unit, name)
        await replicas.reachable(unit, name, "127.0.0.1:1", certificate)
    await passage._look()
    tls = passing._context(ssl.PROTOCOL_TLS_CLIENT, key, certificate)
    tls.load_verify_locations(cadata=peer.certificate)
    url = f"wss://{peer.address}/streams/{uuid4()}"
    with pytest.raises(InvalidStatus) as caught:
        await connect(url, ssl=tls)
    assert caught.value.response.status_code == 404  # known, but no such stream waits
    async with one.control_plane.database.unit() as unit:
        await replicas.unregister(unit, name)
    await passage._look()
    with pytest.raises(InvalidStatus) as caught:
        await connect(url, ssl=tls)
    assert caught.value.response.status_code == 403


async def test_a_process_that_cannot_be_reached_ends_the_stream(
    one: Served, test_database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(passing, "_DIAL_SECONDS", 0.3)
    monkeypatch.setattr(looking, "AGENT_WITHIN", timedelta(seconds=1))
    agent = await ScriptedAgent.enrol(one.control_plane)
    ends: list[int | None] = []

    async def dial(order: OpenStream) -> None:
        async with dial_back(order) as leg:
            await leg.wait_closed()
            ends.append(leg.close_code)

    agent.on_stream = dial
    async with agent.linked(one.ws), served(test_database, tmp_path / "home") as other:
        agent.describe()
        session = await running_session(one, agent)
        async with one.control_plane.database.unit() as unit:
            await unit.connection.execute(
                update(rows)
                .where(rows.c.id == other.control_plane.parts.replica)
                .values(address="127.0.0.1:1")
            )
        await one.control_plane.app.state.traffic.passage._look()
        url = (await ticket(one, session)).replace(one.ws, other.ws)
        async with view(url) as viewer:
            await viewer.wait_closed()
            assert viewer.close_code == 4004
        assert ends == [1001]
