"""A session's own port on this machine: FreeRDP comes in with the password, and nobody without."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import struct
import tempfile
from pathlib import Path
from uuid import UUID

import pytest

from porthole_agent.runtimes.local.door import A_SECOND, AT_ONCE, Door
from porthole_contract.conditions import ConditionType
from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import Exposure
from tests.support.leftovers import Leftovers
from tests.support.local_runtime import CANNOT, Place, a_runtime, the_desktop
from tests.support.rdp_client import RdpClient
from tests.support.rdp_way import carried

pytestmark = pytest.mark.skipif(bool(CANNOT), reason=f"no desktops here: {CANNOT}")

RDP = the_desktop("rdp")
# An address of its own: the ports are few, and others use them on this machine.
ADDRESS = f"127.{os.getpid() % 250 + 2}.{os.getpid() // 250 % 256}.8"
PORT = 33977


@pytest.fixture
def folder(tmp_path):
    before = Leftovers.of(tmp_path)
    yield tmp_path / "agent"
    left = Leftovers.of(tmp_path).new_since(before)
    assert not left, json.dumps(left, indent=1)


@pytest.fixture
def person():
    with tempfile.TemporaryDirectory(prefix="ph-") as home, RdpClient(Path(home)) as client:
        yield client


def exposed(password: str = "open sesame") -> Exposure:
    return Exposure(port=PORT, password=hashlib.sha256(password.encode()).hexdigest())


def listens() -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex((ADDRESS, PORT)) == 0


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def condition(place: Place, session, status: str, *, seconds: float = 10):
    """Wait until its condition about the port is this one."""
    async with asyncio.timeout(seconds):
        while True:
            found = await place.now(session)
            told = () if found is None else found.status.conditions
            for one in told:
                if one.type is ConditionType.EXPOSED and one.status == status:
                    return one
            await asyncio.sleep(0.1)


async def streams_told(place: Place, session, count: int, *, ended: int = 0):
    """Wait until so many streams are told of, so many of them ended."""
    async with asyncio.timeout(10):
        while True:
            found = await place.now(session)
            told = () if found is None else found.streams
            if len(told) == count and sum(one.ended_at is not None for one in told) == ended:
                return told
            await asyncio.sleep(0.1)


async def comes_in(person: RdpClient, password: str = "open sesame") -> None:
    person.connect(f"{ADDRESS}:{PORT}", "1000x700", password=password)
    await asyncio.to_thread(person.wait_picture, colours=500)


async def is_sent_away(person: RdpClient, password: str) -> None:
    person.connect(f"{ADDRESS}:{PORT}", "1000x700", password=password)
    assert await asyncio.to_thread(person.wait_ended) != 0
    person.disconnect()


async def test_who_has_the_password_is_let_in_and_told_of(folder, person):
    async with a_runtime(folder, rdp_listen=ADDRESS) as place:
        assert (await place.runtime.overview()).rdp_listen == ADDRESS
        session = await place.create(template=RDP, exposed=exposed())
        assert not listens()
        await place.until(session, Phase.RUNNING)
        assert (await condition(place, session, "True")).reason == "Listening"

        await is_sent_away(person, "open says me")
        await comes_in(person)
        (told,) = await streams_told(place, session, 1)
        assert told.ended_at is None
        seen = await place.now(session)
        assert seen is not None
        assert seen.status.viewers == 1
        person.disconnect()
        (told,) = await streams_told(place, session, 1, ended=1)
        assert (told.reason, told.to_viewer > 10_000) == ("viewer_left", True)

        # Another password: who came in by the old one is cut off, and it is good no more.
        await comes_in(person)
        await place.apply(session, 2, template=RDP, exposed=exposed("another"))
        assert await asyncio.to_thread(person.wait_ended) != 0
        person.disconnect()
        *_, cut = await streams_told(place, session, 2, ended=2)
        assert cut.reason == "revoked"
        await is_sent_away(person, "open sesame")
        await comes_in(person, "another")

        # Its agent was revoked: nobody comes in until it is taken back.
        place.runtime.shut_ports(True)
        assert await asyncio.to_thread(person.wait_ended) != 0
        person.disconnect()
        await condition(place, session, "False")
        assert not listens()
        place.runtime.shut_ports(False)
        await condition(place, session, "True")
        await comes_in(person, "another")

        # None: nobody comes in, and the desktop goes on.
        await place.apply(session, 3, template=RDP)
        assert await asyncio.to_thread(person.wait_ended) != 0
        assert not listens()
        assert (await place.until(session, Phase.RUNNING)).status.restarts == 0

        person.disconnect()
        await place.apply(session, 4, template=RDP, exposed=exposed())
        await condition(place, session, "True")
        await comes_in(person)
        ending = asyncio.create_task(place.runtime.delete(session, 5))
        # In words of RDP: the gate's, or those of xrdp, whose user was logged off just before.
        assert await asyncio.to_thread(person.wait_ended) in {1, 2, 12}
        await ending
        assert not listens()
        (*_, last) = place.seen[-1].streams
        assert last.reason == "session_ended"


async def test_who_leaves_with_a_reset_has_left(folder, person):
    """As the kernel of a program that was killed says it, if there was something unread."""
    gone = []

    async def opened():
        reader, writer = await asyncio.open_connection(ADDRESS, PORT)
        gone.append(writer)
        return reader, writer

    async with a_runtime(folder, rdp_listen=ADDRESS) as place, carried(opened) as port:
        session = await place.create(template=RDP, exposed=exposed())
        await place.until(session, Phase.RUNNING)
        await condition(place, session, "True")
        person.connect(f"127.0.0.1:{port}", "1000x700", password="open sesame")
        await asyncio.to_thread(person.wait_picture, colours=500)
        for writer in gone:
            at_once = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            writer.transport.abort()
        (told,) = await streams_told(place, session, 1, ended=1)
        assert told.reason == "viewer_left"
        person.disconnect()


async def test_a_port_that_is_taken_is_told_and_tried_again(folder):
    with socket.create_server((ADDRESS, PORT)) as taken:
        async with a_runtime(folder, rdp_listen=ADDRESS) as place:
            session = await place.create(template=RDP, exposed=exposed())
            await place.until(session, Phase.RUNNING)
            told = await condition(place, session, "False")
            assert told.reason == "PortUnavailable"
            assert f"{ADDRESS}:{PORT} cannot be listened on: something else" in told.message
            taken.close()
            await condition(place, session, "True", seconds=5)
            # It sleeps: its port is closed; it wakes: it is open again.
            await place.apply(session, 2, template=RDP, exposed=exposed(), desired="Hibernated")
            await place.until(session, Phase.HIBERNATED)
            assert not listens()
            await place.apply(session, 3, template=RDP, exposed=exposed())
            await place.until(session, Phase.RUNNING)
            await condition(place, session, "True")


async def test_the_next_agent_listens_again(folder, person):
    place = Place(folder, rdp_listen=ADDRESS)
    await place.open()
    session = await place.create(template=RDP, exposed=exposed())
    await place.until(session, Phase.RUNNING)
    await condition(place, session, "True")
    await comes_in(person)
    await place.leave()
    assert await asyncio.to_thread(person.wait_ended) != 0
    assert not listens()
    person.disconnect()
    async with a_runtime(folder, rdp_listen=ADDRESS) as place:
        await condition(place, session, "True")
        await comes_in(person)


async def test_where_nothing_is_listened_on_it_says_so(folder):
    async with a_runtime(folder, rdp_listen=None) as place:
        assert (await place.runtime.overview()).rdp_listen is None
        session = await place.create(template=RDP, exposed=exposed())
        await place.until(session, Phase.RUNNING)
        assert "listens on no port" in (await condition(place, session, "False")).message
        assert not listens()


async def test_a_hundred_a_second_disturb_nobody_who_is_there(folder, person):
    async with a_runtime(folder, rdp_listen=ADDRESS) as place:
        session = await place.create(template=RDP, exposed=exposed())
        await place.until(session, Phase.RUNNING)
        await condition(place, session, "True")
        await comes_in(person)
        descriptors = _descriptors()
        held: list[socket.socket] = []
        for at in range(300):
            knocking = socket.create_connection((ADDRESS, PORT), timeout=5)
            with contextlib.suppress(OSError):
                # Nothing, or the beginning of what may yet become RDP.
                knocking.sendall(b"\x03\x00\x00\x13\x0e\xe0"[: at % 7])
            held.append(knocking)
            await asyncio.sleep(0.01)
        # Of all that are open at this end, few are at the other.
        assert _descriptors() - descriptors - len(held) <= 3 * AT_ONCE + A_SECOND
        for knocking in held:
            knocking.close()
        assert person.picture().getcolors(2**24)
        found = await streams_told(place, session, 1)
        assert found[0].ended_at is None
        running = place.all_processes(session, "gate")
        assert running
        # Afterwards, whoever has the password comes in as before.
        person.disconnect()
        await asyncio.sleep(1.5)
        await comes_in(person)
        # Its gate is killed behind them: they hear of it, and the next one lets them in.
        for pid, _ in place.all_processes(session, "gate"):
            os.kill(pid, signal.SIGKILL)
        assert await asyncio.to_thread(person.wait_ended) != 0
        person.disconnect()
        async with asyncio.timeout(20):
            while True:
                try:
                    await comes_in(person)
                except AssertionError:
                    person.disconnect()
                    await asyncio.sleep(0.3)
                else:
                    break


async def test_an_address_that_the_machine_has_not_is_told() -> None:
    async def nobody(_stream: UUID, _password: str):
        raise AssertionError

    door = Door("192.0.2.1", nobody)
    await door.hold(Exposure(port=PORT, password="ab" * 32), is_open=True)
    assert not door.listens
    assert door.trouble is not None
    assert "this machine has no such address" in door.trouble
    await door.hold(None, is_open=True)
    assert door.trouble is None
    await door.close()


async def test_who_uses_it_through_its_port_keeps_it_awake(folder, person):
    async with a_runtime(folder, rdp_listen=ADDRESS) as place:
        idle = {"after": "12s", "action": "Hibernate"}
        session = await place.create(template=RDP, exposed=exposed(), idle=idle)
        await place.until(session, Phase.RUNNING)
        await condition(place, session, "True")
        await comes_in(person)
        for _ in range(18):
            await asyncio.to_thread(person.click, 500, 330)
            await asyncio.sleep(0.8)
        found = await place.now(session)
        assert found is not None
        assert found.status.phase is Phase.RUNNING
        # Who only looks does not; they hear that it sleeps, and its port is closed.
        await place.until(session, Phase.HIBERNATED, seconds=30)
        assert await asyncio.to_thread(person.wait_ended) != 0
        assert not listens()
        found = await place.now(session)
        assert found is not None
        assert [one.reason for one in found.streams] == ["session_ended"]
