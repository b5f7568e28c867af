"""A real desktop over RDP through a real gate: FreeRDP sees it, uses it, and is kept from it."""

import asyncio
import hashlib
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from porthole_contract.stream import control
from porthole_control.rdp_servers.probe import Probe
from porthole_desktop.gate.rdp import ber, x224
from porthole_desktop.gate.rdp.cleanpath import failure
from tests.support.desktop_pair import ControlClient, DesktopPair, NotAdmitted, a_stream
from tests.support.rdp_client import RdpClient, paste
from tests.support.rdp_way import cleanpath, native_port
from tests.support.waiting import until, wait_until


@pytest.fixture(scope="module")
def pair() -> Iterator[DesktopPair]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        made = DesktopPair(Path(folder))
        made.start_desktop(protocols=["rdp"])
        made.start_gate(screens=["rdp"])
        try:
            made.wait_healthy()
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def person() -> Iterator[RdpClient]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder, RdpClient(Path(folder)) as made:
        yield made


@pytest.fixture(autouse=True)
async def _closed(pair: DesktopPair, person: RdpClient) -> AsyncIterator[None]:
    yield
    await asyncio.to_thread(person.disconnect)
    await pair.close_streams()


async def comes(port: int, person: RdpClient, *options: str) -> None:
    """Connect, and wait for the window in the middle, with a click into it."""
    person.connect(f"127.0.0.1:{port}", "800x600", *options)
    await asyncio.to_thread(person.wait_picture, colours=500)
    await asyncio.to_thread(person.click, 400, 260)


async def closed_of(watcher: ControlClient, stream: UUID) -> control.Closed:
    """Wait until this stream is closed."""
    while (closed := await watcher.closed()).viewer.stream != stream:
        pass
    return closed


def x_of(pair: DesktopPair) -> dict[str, str]:
    """Return how the desktop's own programs find its display."""
    (authority,) = pair.folder.glob("porthole-*/Xauthority")
    (made,) = pair.folder.glob("porthole-*/rdp/x/xrdp_display_*")
    number = made.name.rpartition("_")[2]
    return {"PATH": os.environ["PATH"], "DISPLAY": f":{number}", "XAUTHORITY": str(authority)}


CONTROL = 4
_MODIFIERS = """
from ctypes import *
x11 = CDLL("libX11.so.6")
x11.XOpenDisplay.restype, x11.XDefaultRootWindow.restype = c_void_p, c_ulong
display, state = c_void_p(x11.XOpenDisplay(None)), c_uint()
root, others = c_ulong(x11.XDefaultRootWindow(display)), [byref(c_ulong()) for _ in range(6)]
x11.XQueryPointer(display, root, *others, byref(state))
print(state.value)
"""


def modifiers_of(pair: DesktopPair) -> int:
    """Return which modifiers and buttons the X server believes are held, as X11 writes it."""
    command = [sys.executable, "-c", _MODIFIERS]
    said = subprocess.run(command, env=x_of(pair), check=True, capture_output=True, text=True)
    return int(said.stdout)


def size_of(pair: DesktopPair) -> tuple[int, ...]:
    """Return how large the X server's screen is."""
    command = ["xdotool", "getdisplaygeometry"]
    said = subprocess.run(command, env=x_of(pair), check=True, capture_output=True, text=True)
    return tuple(map(int, said.stdout.split()))


async def test_who_only_looks_leaves_the_screen_its_size_whoever_was_there_before(
    pair: DesktopPair, person: RdpClient
) -> None:
    for mode, asked, there in (
        ("view", "1000x640", (800, 600)),  # nobody has been there before
        ("control", "901x643", (901, 643)),
        ("view", "1000x640", (901, 643)),
    ):
        async with native_port(pair, mode) as port:
            person.connect(f"127.0.0.1:{port}", asked)
            await asyncio.to_thread(person.wait_picture, colours=500)
            await asyncio.to_thread(wait_until, lambda there=there: size_of(pair) == there)
            await asyncio.to_thread(person.disconnect)


async def test_a_native_client_sees_and_uses_the_desktop(
    pair: DesktopPair, person: RdpClient
) -> None:
    watcher = await pair.control("observe")
    async with native_port(pair) as port:
        await comes(port, person)
        person.type("echo seen > ~/typed\n")
        await until((pair.home / "typed").exists)
        state = await watcher.state(lambda state: bool(state.viewers))
    assert [viewer.channel for viewer in state.viewers] == ["rdp"]
    assert state.idle_seconds < 20


async def test_who_only_looks_types_into_nothing_until_they_may(
    pair: DesktopPair, person: RdpClient
) -> None:
    name, commander = a_stream(), await pair.control()
    async with native_port(pair, "view", name) as port:
        await comes(port, person)
        before = (await commander.state()).idle_seconds
        person.type("echo no > ~/looked\n")
        await asyncio.sleep(1.5)
        assert not (pair.home / "looked").exists()
        assert (await commander.state()).idle_seconds > before
        done = await commander.order(control.SetMode, stream=name, mode="control")
        assert done.error is None
        await asyncio.to_thread(person.click, 400, 260)
        person.type("echo yes > ~/used\n")
        await until((pair.home / "used").exists)
        await commander.order(control.SetMode, stream=name, mode="view")
        await asyncio.sleep(2)
        person.type("echo no > ~/looked\n")
        await asyncio.sleep(1.5)
        assert not (pair.home / "looked").exists()


async def test_what_a_viewer_held_is_let_go_of_before_its_next_stream_types(
    pair: DesktopPair, person: RdpClient
) -> None:
    watcher, name, another = await pair.control("observe"), a_stream(), a_stream()
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        async with (
            native_port(pair, "control", name) as old,
            native_port(pair, "control", another, replaces=name) as new,
        ):
            with RdpClient(Path(folder)) as held:
                await comes(old, held)
                held.xdotool("keydown", "Control_L")
                await asyncio.to_thread(wait_until, lambda: modifiers_of(pair) == CONTROL)
                with held.standing_still():
                    await comes(new, person)
                    person.type("echo plain > ~/plain\n")
                    await until((pair.home / "plain").exists)
                    closed = await closed_of(watcher, name)
    assert closed.reason == "replaced"


async def test_what_a_viewer_held_as_its_line_broke_is_not_held_on(
    pair: DesktopPair, person: RdpClient
) -> None:
    async with native_port(pair) as port:
        await comes(port, person)
        person.xdotool("keydown", "Control_L")
        await asyncio.to_thread(wait_until, lambda: modifiers_of(pair) == CONTROL)
        person.cut()
        await asyncio.to_thread(wait_until, lambda: modifiers_of(pair) == 0)


async def test_text_is_copied_both_ways_by_who_may_use_the_desktop(
    pair: DesktopPair, person: RdpClient
) -> None:
    name, commander = a_stream(), await pair.control()
    async with native_port(pair, "control", name) as port:
        await comes(port, person)
        person.copy("hüben € über 😀")  # two halves: neither passes xrdp, and nobody waits for it
        await asyncio.to_thread(
            wait_until, lambda: paste(x_of(pair)) == "hüben € über \ufffd\ufffd"
        )
        person.type("printf 'd\\303\\274ben' | xclip -i -selection clipboard\n")
        await asyncio.to_thread(wait_until, lambda: person.pasted() == "düben")
        await commander.order(control.SetMode, stream=name, mode="view")
        person.copy("of one who only looks")
        await asyncio.sleep(2)
        assert await asyncio.to_thread(paste, x_of(pair)) != "of one who only looks"


@pytest.mark.parametrize("security", ["nla", "rdp"])
async def test_freerdp_without_tls_is_not_let_in(
    pair: DesktopPair, person: RdpClient, security: str
) -> None:
    async with native_port(pair) as port:
        person.connect(f"127.0.0.1:{port}", "800x600", f"/sec:{security}")
        assert await asyncio.to_thread(person.wait_ended) != 0


@pytest.mark.parametrize("bits", [0, 2, 8, 10])
async def test_who_does_not_offer_tls_is_refused_in_words(pair: DesktopPair, bits: int) -> None:
    name, watcher = a_stream(), await pair.control("observe")
    request = pair.identity.request("rdp", "control", name)
    reader, writer = await pair.open(request.evolve(protocol="rdp"))
    writer.write(x224.request()[:-4] + struct.pack("<I", bits))
    async with asyncio.timeout(10):
        assert await reader.read() == x224.refusal()
    closed = await closed_of(watcher, name)
    assert closed.reason == "viewer_protocol"
    assert "does not offer TLS" in closed.message


async def test_a_password_that_was_given_out_is_asked_for(
    pair: DesktopPair, person: RdpClient
) -> None:
    watcher = await pair.control("observe")
    for right, password in ((False, "another"), (True, "pass wörd\"'<>&%s\\")):
        claim = hashlib.sha256("pass wörd\"'<>&%s\\".encode()).hexdigest()
        name = a_stream()
        async with native_port(pair, "control", name, password=claim) as port:
            person.connect(f"127.0.0.1:{port}", "800x600", f"/p:{password}")
            if right:
                await asyncio.to_thread(person.wait_picture, colours=500)
            else:
                assert await asyncio.to_thread(person.wait_ended) != 0
                assert "password" in (await closed_of(watcher, name)).message


async def test_who_is_sent_away_hears_why(pair: DesktopPair, person: RdpClient) -> None:
    name, commander = a_stream(), await pair.control()
    async with native_port(pair, "control", name) as port:
        await comes(port, person)
        await commander.order(control.Kick, stream=name)
        # The exit code of FreeRDP is that of Set Error Info.
        assert await asyncio.to_thread(person.wait_ended) == 1


async def test_a_browser_is_led_to_this_desktop_wherever_it_wants_to_go(pair: DesktopPair) -> None:
    reader, writer = await pair.open(pair.identity.request("rdp"))
    writer.write(cleanpath())
    async with asyncio.timeout(10):
        answer = await reader.read(65536)
    assert answer[:1] == ber.SEQUENCE
    assert x224.confirm() in answer
    assert b"192.0.2.1" not in answer


async def test_a_hundred_at_once_each_second_disturb_nobody_who_is_there(
    pair: DesktopPair, person: RdpClient
) -> None:
    async with native_port(pair) as port:
        await comes(port, person)
        before, most, calm, seen = memory(pair), 0, asyncio.Event(), Counter[str]()

        async def flood() -> None:
            nonlocal most
            while not calm.is_set():
                turn = time.monotonic() + 1
                seen.update(await asyncio.gather(*(knock(pair) for _ in range(100))))
                most = max(most, memory(pair))
                await asyncio.sleep(turn - time.monotonic())

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(1.5)
        begun = time.monotonic()
        await asyncio.to_thread(person.type, "touch ~/meanwhile\n")
        await until((pair.home / "meanwhile").exists)
        took = time.monotonic() - begun
        calm.set()
        await flooding
        print(f"{dict(seen)}; {(most - before) / 2**20:.1f} MiB more; typed in {took:.1f} s")
        assert most - before < 64 * 2**20
        assert set(seen) <= {"let in", "turned away", "told to come again"}
        assert seen["let in"]
        watcher = await pair.control("observe")
        await watcher.state(lambda state: len(state.viewers) == 1, seconds=20)


async def knock(pair: DesktopPair) -> str:
    """Come as far as TLS with the desktop; return what became of it."""
    try:
        async with asyncio.timeout(30):
            reader, writer = await pair.open(pair.identity.request("rdp"))
            writer.write(cleanpath())
            answer = await reader.read(65536)
            writer.transport.abort()
    except (EOFError, NotAdmitted, OSError):
        return "turned away"
    if answer == failure(504):
        return "told to come again"
    return "let in" if x224.confirm() in answer else f"answered {answer!r}"


def memory(pair: DesktopPair) -> int:
    """Return the resident bytes of the gate."""
    assert pair.gate is not None
    pages = Path(f"/proc/{pair.gate.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


async def test_a_gate_of_this_desktop_has_no_other_screen(pair: DesktopPair) -> None:
    with pytest.raises(NotAdmitted) as refused:
        await pair.open(pair.identity.request("vnc"))
    assert refused.value.code == "channel_not_served"


async def test_the_viewer_of_a_connection_test_sees_the_screen(pair: DesktopPair) -> None:
    request = pair.identity.request("rdp", "view", a_stream())
    reader, writer = await pair.open(request.evolve(protocol="rdcleanpath"))
    probe = Probe(800, 600)
    writer.write(probe.hello())
    async with asyncio.timeout(20):
        while not probe.drawn:
            data = await reader.read(65536)
            assert data, pair.log("gate")
            writer.write(probe.feed(data))
    assert probe.size is not None
    assert probe.tiles > 1
