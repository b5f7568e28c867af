"""What sessions of a cluster use: a real gate says it, and the agent hears it."""

import asyncio
import contextlib
import shutil
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from porthole_agent.runtimes.kubernetes.gate import PORT
from porthole_agent.runtimes.port import UseHeard
from porthole_desktop.supervisor import protocol
from tests.support.desktop_pair import DesktopPair
from tests.support.kubernetes_runtime import a_place
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(120)

ADDRESS = "127.77.0.31"


@pytest.fixture
async def place(cluster):
    async with a_place(cluster) as opened:
        yield opened


@pytest.fixture
async def pair():
    """A gate and its folder; the other end of its supervisor's socket is the test's."""
    folder = tempfile.mkdtemp(prefix="ph-")
    made = DesktopPair(Path(folder))
    try:
        yield made
    finally:
        await asyncio.to_thread(made.stop)
        shutil.rmtree(folder)


@asynccontextmanager
async def a_desktop(pair, cpu, memory):
    """A supervisor that says what it uses, a core-second more each time."""

    writers = []

    async def serve(_reader, writer):
        writers.append(writer)
        uses = {"cpu": cpu, "memory": memory}
        writer.write(protocol.hello("supervisor"))
        writer.write(protocol.say("state", drawn=True, stopping=False, usage=uses))
        while not writer.is_closing():
            await asyncio.sleep(0.5)
            uses["cpu"] += 1_000_000
            writer.write(protocol.say("usage", **uses))

    server = await asyncio.start_unix_server(serve, pair.sockets / "supervisor.sock")
    try:
        yield
    finally:
        server.close()
        await _let_go(*writers)


async def running(place, pair, **spec):
    """Make a session whose gate is that of the pair."""
    session = await place.create(**spec)
    pair.start_gate(session=str(session), listen=f"tcp:{ADDRESS}:{PORT}")
    gate = {"address": "192.0.2.1:7443", "fingerprint": pair.identity.fingerprint}
    await place.pod(ADDRESS, owner=(await place.get())["metadata"]["uid"])
    await place.status(phase="Running", gate=gate)
    return session


async def uses(place):
    return (await place.runtime.overview()).uses


async def test_what_a_gate_says_is_told_while_its_session_runs(place, pair):
    place.runtime.hear_gates(pair.identity.key)
    async with a_desktop(pair, cpu=100_000_000, memory=2**33):
        session = await running(place, pair, protocol="rdp")

        async def heard():
            return [one for one in place.seen if isinstance(one, UseHeard)]

        await eventually(heard, [UseHeard(session)], within=30)
        (first,) = await uses(place)
        assert (first.session, first.disk) == (session, 0)
        assert first.cpu_seconds >= 100
        assert first.memory >= 2**33
        assert 0 <= first.age < 15
        begun = time.monotonic()

        async def more():
            (now,) = await uses(place)
            return now.cpu_seconds > first.cpu_seconds and now.age < time.monotonic() - begun

        await eventually(more, True, within=30)
        assert await heard() == [UseHeard(session)], "once, however often it is said"
        await place.status(phase="Hibernating")
        await eventually(lambda: uses(place), (), within=30)


async def test_a_gate_that_is_gone_says_nothing_and_is_heard_again(place, pair):
    place.runtime.hear_gates(pair.identity.key)
    async with a_desktop(pair, cpu=0, memory=2**20):
        session = await running(place, pair, protocol="rdp")

        async def known():
            return [one.session for one in await uses(place)]

        await eventually(known, [session], within=30)
        await asyncio.to_thread(pair.stop_gate)
        await eventually(known, [], within=30)
        pair.start_gate(session=str(session), listen=f"tcp:{ADDRESS}:{PORT}")
        await eventually(known, [session], within=30)
        await place.kubectl("delete", "session", "one")
        await eventually(known, [], within=30)


async def test_only_the_gates_of_rdp_sessions_are_heard(place, pair):
    place.runtime.hear_gates(pair.identity.key)
    async with a_desktop(pair, cpu=0, memory=2**20):
        await running(place, pair, protocol="vnc")
        await _let_go(await _caller(pair))
        await asyncio.sleep(2)
        assert place.runtime._uses._gates == {}
        assert await uses(place) == ()


async def _let_go(*writers):
    for writer in writers:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    await asyncio.sleep(0.05)  # TLS closes what is below it a turn or two later


async def _caller(pair):
    """Wait until the gate listens; return a connection to it."""
    while True:
        try:
            _, writer = await asyncio.open_connection(
                ADDRESS, PORT, ssl=pair.identity.tls(), server_hostname="gate"
            )
        except OSError:
            await asyncio.sleep(0.1)
        else:
            return writer
