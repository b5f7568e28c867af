"""A gate between people and a desktop that is not what it should be."""

import asyncio
import contextlib
import os
import shutil
import struct
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from porthole_contract.stream import preface
from porthole_desktop.supervisor import protocol
from tests.support.desktop_pair import DesktopPair, NotAdmitted, a_stream, read_answer
from tests.support.rfb_client import RfbClient

Desktop = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PIXELS = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
FRAME = struct.pack(">BxHHHHHi", 0, 1, 0, 0, 64, 48, 0) + bytes(64 * 48 * 4)


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


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greet as an honest server does, up to ServerInit."""
    writer.write(b"RFB 003.008\n")
    await reader.readexactly(12)
    writer.write(b"\x01\x01")
    await reader.readexactly(1)
    writer.write(bytes(4))
    assert await reader.readexactly(1) == b"\x01"
    writer.write(struct.pack(">HH", 64, 48) + PIXELS + struct.pack(">I", 4) + b"fake")


@contextlib.asynccontextmanager
async def serving(path: Path, desktop: Desktop) -> AsyncIterator[None]:
    done: list[asyncio.StreamWriter] = []

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await desktop(reader, writer)

    server = await asyncio.start_unix_server(meet, path)
    try:
        yield
    finally:
        await asyncio.sleep(0.05)  # somebody may be in the middle of being accepted
        server.close()
        for writer in done:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await asyncio.sleep(0.05)


async def how_it_ended(pair: DesktopPair) -> tuple[str, str]:
    """Open a stream and look until it is closed; return the reason and the sentence."""
    observer, name = await pair.control("observe"), a_stream()
    with contextlib.suppress(EOFError, OSError):
        client = await pair.view(stream=name)
        client.request()
        while True:
            await client.message()
    closed = await observer.closed()
    assert closed.viewer.stream == name
    return closed.reason, closed.message


def says(*parts: bytes) -> Desktop:
    """A desktop that greets well and then says `parts`."""

    async def desktop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        for part in parts:
            writer.write(part)
        await reader.read()

    return desktop


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (b"\x63", "type 99"),
        (FRAME + b"\xff", "type 255"),
        (struct.pack(">BxHHHHHi", 0, 1, 60, 0, 64, 48, 0), "outside the screen"),
        (struct.pack(">BxHHHHHi", 0, 1, 0, 0, 64, 48, 5), "not asked for"),
        (struct.pack(">B3xI", 3, 2**31 - 1), "clipboard"),
    ],
)
async def test_a_desktop_that_breaks_rfb_loses_its_viewer(
    pair: DesktopPair, said: bytes, sentence: str
) -> None:
    async with serving(pair.sockets / "rfb.sock", says(said)):
        pair.start_gate()
        reason, message = await how_it_ended(pair)
    assert reason == "desktop_protocol"
    assert sentence in message


async def test_a_desktop_that_greets_wrongly_is_refused(pair: DesktopPair) -> None:
    async def desktop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        await reader.read()

    async with serving(pair.sockets / "rfb.sock", desktop):
        pair.start_gate()
        assert (await how_it_ended(pair))[0] == "desktop_protocol"


async def test_a_desktop_that_is_silent_is_given_up(pair: DesktopPair) -> None:
    async def desktop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()

    async with serving(pair.sockets / "rfb.sock", desktop):
        pair.start_gate(limits={"greeting_seconds": 0.5})
        assert (await how_it_ended(pair))[0] == "desktop_unreachable"
        assert (await asyncio.to_thread(pair.health))[0] == 503


async def test_a_desktop_that_leaves_is_told_apart(pair: DesktopPair) -> None:
    async def desktop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        await reader.readexactly(20)
        writer.close()

    async with serving(pair.sockets / "rfb.sock", desktop):
        pair.start_gate()
        assert (await how_it_ended(pair))[0] == "desktop_left"


async def test_that_it_left_on_purpose_may_be_said_a_moment_later(pair: DesktopPair) -> None:
    left = asyncio.Event()

    async def desktop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        await reader.readexactly(20)
        writer.close()
        left.set()

    async def supervisor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(protocol.hello("supervisor") + protocol.say("state", drawn=True))
        await left.wait()
        await asyncio.sleep(0.05)
        writer.write(protocol.say("stopping", reason="asked"))
        await reader.read()

    async with (
        serving(pair.sockets / "rfb.sock", desktop),
        serving(pair.sockets / "supervisor.sock", supervisor),
    ):
        pair.start_gate()
        await (await pair.control("observe")).state(lambda state: state.drawn)
        assert (await how_it_ended(pair))[0] == "session_ended"
        await asyncio.to_thread(pair.stop_gate)  # it would try again, in the middle of the end


async def test_links_files_and_missing_sockets_are_not_opened(pair: DesktopPair) -> None:
    rfb, other = pair.sockets / "rfb.sock", pair.folder / "other.sock"
    pair.start_gate()
    async with serving(other, says(FRAME)):
        for make in (
            lambda: rfb.symlink_to(other),
            lambda: rfb.write_text("not a socket"),
            lambda: os.mkfifo(rfb),
            rfb.mkdir,
        ):
            assert (await how_it_ended(pair))[0] == "desktop_unreachable"
            make()
            assert (await how_it_ended(pair))[0] == "desktop_unreachable"
            if rfb.is_dir():
                rfb.rmdir()
            else:
                rfb.unlink()


@pytest.mark.skipif(os.getuid() != 0, reason="a socket is given to somebody else")
async def test_somebody_elses_socket_is_not_opened(pair: DesktopPair) -> None:
    pair.start_gate()
    async with serving(pair.sockets / "rfb.sock", says(FRAME)):
        os.chown(pair.sockets / "rfb.sock", 12345, 12345)
        reason, message = await how_it_ended(pair)
        assert (reason, "12345" in message) == ("desktop_unreachable", True)
    # Its file is the right one's, but who listens is not: the peer is looked at too.
    async with serving(pair.sockets / "rfb.sock", says(FRAME)):
        os.chown(pair.sockets / "rfb.sock", 12345, 12345)
        await asyncio.to_thread(pair.stop_gate)
        pair.start_gate(desktop_uid=12345)
        reason, message = await how_it_ended(pair)
        assert (reason, "listens" in message) == ("desktop_unreachable", True)


async def test_a_flood_reaches_nobody_but_its_own_viewer(pair: DesktopPair) -> None:
    async def desktop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        while True:
            writer.write(FRAME * 50)
            await writer.drain()

    async with serving(pair.sockets / "rfb.sock", desktop):
        pair.start_gate()
        stalled = await pair.view()
        stalled.reader._transport.pause_reading()  # type: ignore[attr-defined]
        reading = await pair.view()
        for _ in range(200):
            await reading.message()
        observer = await pair.control("observe")
        await asyncio.sleep(1)
        state = await observer.state(lambda s: len(s.viewers) == 2)
        sent = sorted(viewer.sent for viewer in state.viewers)
        assert sent[0] < 3 * 2**20  # what buffers hold: the gate's, the kernel's, this test's
        assert pair.gate is not None
        assert _memory(pair.gate.pid) < 200 * 2**20


def _memory(pid: int) -> int:
    """Return the resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def test_a_viewer_that_takes_nothing_is_closed_in_the_end(pair: DesktopPair) -> None:
    async def desktop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        while True:
            writer.write(FRAME * 50)
            await writer.drain()

    async with serving(pair.sockets / "rfb.sock", desktop):
        pair.start_gate(limits={"stalled_seconds": 0.5})
        observer = await pair.control("observe")
        stalled = await pair.view()
        stalled.reader._transport.pause_reading()  # type: ignore[attr-defined]
        assert (await observer.closed()).reason == "viewer_stalled"


async def test_a_supervisor_that_talks_rubbish_is_nobody(pair: DesktopPair) -> None:
    async def supervisor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff" * 100)
        await reader.read()

    async with (
        serving(pair.sockets / "rfb.sock", says(FRAME)),
        serving(pair.sockets / "supervisor.sock", supervisor),
    ):
        pair.start_gate()
        client = await pair.view()
        await client.message()
        state = await (await pair.control("observe")).state()
        assert not state.drawn
        assert await asyncio.to_thread(pair.health) == (503, b"")
        await asyncio.to_thread(pair.stop_gate)  # it would try again, in the middle of the end


async def test_a_desktop_that_lies_about_what_it_uses_breaks_and_grows_nothing(
    pair: DesktopPair,
) -> None:
    lies = (-1, 2**53, 10**300, 1.5, True, "1", None, [1], {"cpu": 1})

    async def supervisor(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uses = {"cpu": 7_000_000, "memory": 2**40}
        writer.write(protocol.hello("supervisor"))
        writer.write(protocol.say("state", drawn=True, stopping=False, usage=uses))
        for lie in lies:
            writer.write(protocol.say("usage", cpu=lie, memory=1))
            writer.write(protocol.say("usage", cpu=1, memory=lie))
            writer.write(protocol.say("state", drawn=True, stopping=False, usage=lie))
        while True:
            writer.write(protocol.say("usage", cpu=9_000_000, memory=2**40) * 100)
            await writer.drain()

    async with serving(pair.sockets / "supervisor.sock", supervisor):
        pair.start_gate()
        observer = await pair.control("observe")
        said = [(await observer.state(lambda one: one.usage is not None)).usage for _ in range(3)]
        assert all(one is not None and 2**40 <= one.memory < 2**41 for one in said)
        assert all(one is not None and one.cpu_seconds >= 7 for one in said)
        assert pair.gate is not None
        assert _memory(pair.gate.pid) < 200 * 2**20
        await asyncio.to_thread(pair.stop_gate)  # it would try again, in the middle of the end


async def test_strangers_are_few_and_have_little_time(pair: DesktopPair) -> None:
    pair.start_gate(limits={"strangers": 3, "preface_seconds": 0.6})
    reader, _ = await pair.connect()
    begun = asyncio.get_running_loop().time()
    assert await reader.read() == b"", "and not a word"
    assert 0.4 < asyncio.get_running_loop().time() - begun < 10
    path = str(pair.identity.folder / "gate.sock")
    silent = [await asyncio.open_unix_connection(path) for _ in range(3)]
    await asyncio.sleep(0.1)
    with pytest.raises(OSError):  # noqa: PT011 - reset or closed, by when it was noticed
        await pair.open(pair.identity.request("control", "observe"))
    await asyncio.sleep(0.8)
    await pair.open(pair.identity.request("control", "observe"))
    for _, writer in silent:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_a_gate_can_listen_on_tcp(pair: DesktopPair) -> None:
    async with serving(pair.sockets / "rfb.sock", says(FRAME)):
        pair.start_gate(listen="tcp:127.0.0.1:0", health="tcp:127.0.0.1:0")
        port = await asyncio.to_thread(pair.wait_log, "gate", r"listens on tcp:127.0.0.1:(\d+)")
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(port), ssl=pair.identity.tls(), server_hostname="gate"
        )
        writer.write(preface.encode(pair.identity.request()))
        assert await read_answer(reader) == preface.Admitted()
        client = await RfbClient.greet(reader, writer)
        assert client.name == "fake"
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_viewers_are_counted(pair: DesktopPair) -> None:
    async with serving(pair.sockets / "rfb.sock", says(FRAME)):
        pair.start_gate(limits={"viewers": 2})
        first, _ = await pair.view(), await pair.view("view")
        with pytest.raises(NotAdmitted) as caught:
            await pair.view()
        assert caught.value.code == "too_many_viewers"
        first.close()
        await asyncio.sleep(0.3)
        await pair.view()


async def test_a_viewer_that_types_too_fast_is_slowed_down_and_not_closed(
    pair: DesktopPair,
) -> None:
    keys = 0

    async def desktop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal keys
        await greet(reader, writer)
        await reader.readexactly(20 + 4 + 4 * 5)
        while True:
            await reader.readexactly(8)
            keys += 1

    async with serving(pair.sockets / "rfb.sock", desktop):
        pair.start_gate(limits={"input_events_per_second": 50})
        client = await pair.view()
        for _ in range(20_000):
            client.key(97, down=True)
        burst = -1
        async with asyncio.timeout(20):
            while burst != keys:
                burst = keys
                await asyncio.sleep(1)
        assert 0 < burst <= 2 * 8192  # what one or two readings bring
        assert (await (await pair.control("observe")).state()).viewers


async def test_a_gate_that_is_stopped_says_so(pair: DesktopPair) -> None:
    async with serving(pair.sockets / "rfb.sock", says(FRAME)):
        pair.start_gate()
        observer = await pair.control("observe")
        await pair.view()
        assert pair.gate is not None
        pair.gate.terminate()
        assert (await observer.closed()).reason == "gate_stopped"
        assert await asyncio.to_thread(pair.gate.wait, 5) == 0


def test_a_wrong_configuration_has_its_own_exit_code() -> None:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        pair = DesktopPair(Path(folder))
        pair.start_gate(fingerprint="none")
        assert pair.gate is not None
        assert pair.gate.wait(10) == 78
        assert "fingerprint" in pair.log("gate")
