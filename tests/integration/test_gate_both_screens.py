"""One desktop through one gate, over VNC and over RDP at once: what one types, the other sees."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from porthole_contract.stream import control
from tests.support.desktop_pair import DesktopPair, a_stream
from tests.support.rdp_client import RdpClient
from tests.support.rdp_way import native_port
from tests.support.rfb_client import RfbClient


@pytest.fixture
async def pair() -> AsyncIterator[DesktopPair]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        made = DesktopPair(Path(folder))
        made.start_desktop(protocols=["vnc", "rdp"])
        made.start_gate(screens=["vnc", "rdp"])
        try:
            await asyncio.to_thread(made.wait_healthy)
            yield made
        finally:
            await made.close_streams()
            await asyncio.to_thread(made.stop)


async def typed(path: Path) -> str:
    """Wait for what somebody has typed into a file."""
    until = time.monotonic() + 15
    while not path.exists() or not path.read_text():
        assert time.monotonic() < until
        await asyncio.sleep(0.1)
    return path.read_text()


async def test_two_see_and_use_the_same_windows_by_two_protocols(pair: DesktopPair) -> None:
    name, commander = a_stream(), await pair.control()
    with tempfile.TemporaryDirectory(prefix="ph-") as folder, RdpClient(Path(folder)) as person:
        async with native_port(pair, "control", name) as port:
            person.connect(f"127.0.0.1:{port}", "800x600")
            await asyncio.to_thread(person.wait_picture, colours=500)
            other = await pair.view()
            await other.refresh()
            before = other.image()
            await asyncio.to_thread(person.click, 400, 260)
            person.type("echo by rdp > ~/one\n")
            assert await typed(pair.home / "one") == "by rdp\n"
            await other.settle(0.5)
            assert other.image() != before
            state = await commander.state(lambda state: len(state.viewers) == 2)
            assert {viewer.channel for viewer in state.viewers} == {"vnc", "rdp"}
            seen = await asyncio.to_thread(person.picture)
            other.type("echo by vnc > ~/two\n")
            assert await typed(pair.home / "two") == "by vnc\n"
            await asyncio.sleep(1)
            assert await asyncio.to_thread(person.picture) != seen
            await commander.order(control.SetMode, stream=name, mode="view")
            person.type("echo no > ~/three\n")
            other.type("echo yes > ~/four\n")
            assert await typed(pair.home / "four") == "yes\n"
            assert not (pair.home / "three").exists()
            person.disconnect()
        await leaves_it_its_size(pair, person, other)


async def leaves_it_its_size(pair: DesktopPair, person: RdpClient, other: RfbClient) -> None:
    """Check that who only looks over RDP follows what was done to the screen over VNC."""
    other.resize(940, 660)
    await other.until(lambda seen: (seen.width, seen.height) == (940, 660))
    async with native_port(pair, "view") as port:
        person.connect(f"127.0.0.1:{port}", "800x600")
        await asyncio.to_thread(person.wait_picture, colours=500)
        await other.settle(0.5)
        assert (other.width, other.height) == (940, 660)
        person.disconnect()
