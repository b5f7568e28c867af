"""A gate between clients and desktops of RDP that are not what they should be."""

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from porthole_contract.stream import control
from porthole_desktop.gate.rdp import cleanpath, x224
from tests.support.desktop_pair import ControlClient, DesktopPair, a_stream
from tests.support.gate_setup import GateIdentity
from tests.support.rdp_recorded import recorded
from tests.support.rdp_stub import over_tls, rdp_stub, silent, tpkt
from tests.support.rdp_way import cleanpath as asking

INITIAL, RESPONSE = (pdu for _, pdu in recorded()[2:4])
QUICK = {"greeting_seconds": 1}


@pytest.fixture
async def pair() -> AsyncIterator[DesktopPair]:
    folder = tempfile.mkdtemp(prefix="ph-")
    made = DesktopPair(Path(folder))
    try:
        yield made
    finally:
        await made.close_streams()
        await asyncio.to_thread(made.stop)
        shutil.rmtree(folder)


async def closed_of(watcher: ControlClient, stream: UUID) -> control.Closed:
    """Wait until this stream is closed."""
    while (closed := await watcher.closed()).viewer.stream != stream:
        pass
    return closed


async def asked(
    pair: DesktopPair, said: bytes, protocol: str = "rdcleanpath"
) -> tuple[bytes, control.Closed]:
    """Say something to the gate; return all that it answers, and why it has closed."""
    await asyncio.to_thread(pair.wait_healthy)
    name, watcher = a_stream(), await pair.control("observe")
    wanted = pair.identity.request("rdp", "control", name).evolve(protocol=protocol)
    reader, writer = await pair.open(wanted)
    writer.write(said)
    async with asyncio.timeout(20):
        answer = await reader.read()
        return answer, await closed_of(watcher, name)


async def test_a_desktop_that_never_answers_is_given_up(pair: DesktopPair) -> None:
    pair.start_gate(screens=["rdp"], limits=QUICK)
    async with rdp_stub(pair.sockets, "ab" * 32, silent):
        answer, closed = await asked(pair, asking())
    assert answer == cleanpath.failure(504)
    assert closed.reason == "desktop_unreachable"
    assert closed.message == "The desktop did not greet in time."


async def test_a_desktop_that_stops_answering_is_given_up(pair: DesktopPair) -> None:
    pair.start_gate(screens=["rdp"], limits=QUICK)
    theirs = GateIdentity.make(pair.folder / "theirs")
    async with rdp_stub(pair.sockets, theirs.fingerprint, over_tls(theirs.folder, silent)):
        answer, closed = await asked(pair, asking() + INITIAL)
    assert x224.confirm() in answer
    assert closed.reason == "desktop_unreachable"


async def test_a_desktop_that_answers_a_byte_at_a_time_is_given_up(pair: DesktopPair) -> None:
    async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await tpkt(reader)
        for byte in RESPONSE:
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.2)

    pair.start_gate(screens=["rdp"], limits=QUICK)
    theirs = GateIdentity.make(pair.folder / "theirs")
    async with rdp_stub(pair.sockets, theirs.fingerprint, over_tls(theirs.folder, drips)):
        begun = time.monotonic()
        _, closed = await asked(pair, asking() + INITIAL)
    assert closed.message.endswith("did not greet in time.")
    assert time.monotonic() - begun < len(RESPONSE) * 0.2 / 2


async def test_a_desktop_with_another_certificate_is_not_the_desktop(pair: DesktopPair) -> None:
    pair.start_gate(screens=["rdp"])
    theirs = GateIdentity.make(pair.folder / "theirs")
    async with rdp_stub(pair.sockets, "ab" * 32, over_tls(theirs.folder, silent)):
        answer, closed = await asked(pair, asking())
    assert answer == cleanpath.failure(504)
    assert closed.reason == "desktop_unreachable"
    assert "certificate" in closed.message


async def test_a_desktop_that_says_rubbish_inside_tls_is_at_fault(pair: DesktopPair) -> None:
    async def rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await tpkt(reader)
        writer.write(RESPONSE[:40] + bytes(69))
        await reader.read()

    pair.start_gate(screens=["rdp"])
    theirs = GateIdentity.make(pair.folder / "theirs")
    async with rdp_stub(pair.sockets, theirs.fingerprint, over_tls(theirs.folder, rubbish)):
        _, closed = await asked(pair, asking() + INITIAL)
    assert closed.reason == "desktop_protocol"


async def test_a_desktop_that_refuses_tls_is_at_fault(pair: DesktopPair) -> None:
    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await tpkt(reader)
        writer.write(x224.refusal())
        await reader.read()

    pair.start_gate(screens=["rdp"])
    async with rdp_stub(pair.sockets, "ab" * 32, refuses):
        answer, closed = await asked(pair, asking())
    assert answer == cleanpath.failure(502)
    assert closed.reason == "desktop_protocol"


async def test_a_desktop_without_a_socket_is_unreachable(pair: DesktopPair) -> None:
    pair.start_gate(screens=["rdp"])
    async with rdp_stub(pair.sockets, "ab" * 32, silent):
        await asyncio.to_thread(pair.wait_healthy)
        (pair.sockets / "rdp.sock").unlink()
        answer, closed = await asked(pair, asking())
    assert answer in {b"", cleanpath.failure(504)}  # it may be known before anything is asked
    assert closed.reason == "desktop_unreachable"


@pytest.mark.parametrize("protocol", ["rdcleanpath", "rdp"])
async def test_a_viewer_that_says_nothing_is_let_go(pair: DesktopPair, protocol: str) -> None:
    pair.start_gate(screens=["rdp"], limits=QUICK)
    theirs = GateIdentity.make(pair.folder / "theirs")
    async with rdp_stub(pair.sockets, theirs.fingerprint, over_tls(theirs.folder, silent)):
        _, closed = await asked(pair, b"", protocol)
    assert closed.reason == "viewer_protocol"
    assert closed.message == "The viewer did not greet in time."


async def test_a_native_client_with_an_older_tls_is_refused(pair: DesktopPair) -> None:
    pair.start_gate(screens=["rdp"])
    theirs = GateIdentity.make(pair.folder / "theirs")
    async with rdp_stub(pair.sockets, theirs.fingerprint, over_tls(theirs.folder, silent)):
        await asyncio.to_thread(pair.wait_healthy)
        name, watcher = a_stream(), await pair.control("observe")
        wanted = pair.identity.request("rdp", "control", name).evolve(protocol="rdp")
        reader, writer = await pair.open(wanted)
        writer.write(x224.request())
        async with asyncio.timeout(10):
            assert await tpkt(reader) == x224.confirm()
        writer.write(_hello_of_tls_1_1())
        async with asyncio.timeout(10):
            alert = await reader.read()
        assert (alert[0], alert[-1]) == (21, 70)  # an alert: protocol_version
        assert (await closed_of(watcher, name)).reason == "viewer_protocol"


async def test_a_hundred_bad_beginnings_a_second_leave_room_for_a_good_one(
    pair: DesktopPair,
) -> None:
    pair.start_gate(screens=["rdp"])
    theirs = GateIdentity.make(pair.folder / "theirs")
    async with rdp_stub(pair.sockets, theirs.fingerprint, over_tls(theirs.folder, silent)):
        await asyncio.to_thread(pair.wait_healthy)
        begun = time.monotonic()
        for number in range(100):
            wanted = pair.identity.request("rdp").evolve(
                protocol="rdp" if number % 2 else "rdcleanpath"
            )
            reader, writer = await pair.open(wanted)
            writer.write(bytes((number, 0xFF)) * 40)
            with contextlib.suppress(OSError):
                assert len(await reader.read()) < 100
        print(f"100 beginnings in {time.monotonic() - begun:.1f} s")
        reader, writer = await pair.open(pair.identity.request("rdp"))
        writer.write(asking())
        async with asyncio.timeout(10):
            assert x224.confirm() in await reader.read(65536)


def _hello_of_tls_1_1() -> bytes:
    """Return a ClientHello that the libraries of today do not make any more."""
    hello = b"\x03\x02" + bytes(32) + b"\0" + b"\0\x02\xc0\x14" + b"\x01\0"
    handshake = b"\x01" + len(hello).to_bytes(3, "big") + hello
    return b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake
