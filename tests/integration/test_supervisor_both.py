"""One desktop seen over VNC and RDP at once, by real programs: what one types all see."""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageGrab

from tests.integration.test_supervisor_desktop import Peer, children, pid_of, wait
from tests.integration.test_supervisor_rdp import difference
from tests.support.desktop_pair import DesktopPair
from tests.support.rdp_client import RdpClient
from tests.support.rfb_client import RfbClient

ALIKE = 6.5
"""Mean squared error: 40 dB."""


@pytest.fixture
def pair() -> Iterator[DesktopPair]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        made = DesktopPair(Path(folder))
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def people() -> Iterator[list[RdpClient]]:
    with contextlib.ExitStack() as stack:
        folders = [stack.enter_context(tempfile.TemporaryDirectory(prefix="ph-")) for _ in "ab"]
        yield [stack.enter_context(RdpClient(Path(folder))) for folder in folders]


def screenshot(pair: DesktopPair, monkeypatch: pytest.MonkeyPatch) -> Image.Image:
    """Return what the X server itself has on its screen."""
    (authority,) = pair.folder.glob("porthole-*/Xauthority")
    command = Path(f"/proc/{children(pid_of(pair))['Xvnc']}/cmdline").read_bytes()
    monkeypatch.setenv("XAUTHORITY", str(authority))
    return ImageGrab.grab(xdisplay=command.split(b"\0")[1].decode()).convert("RGB")


async def vnc_picture(pair: DesktopPair) -> Image.Image:
    """Return what a viewer over VNC sees who connects now."""
    streams = await asyncio.open_unix_connection(pair.sockets / "rfb.sock")
    viewer = await RfbClient.greet(*streams)
    try:
        await viewer.refresh()
        return viewer.image().convert("RGB")
    finally:
        viewer.close()


def test_four_viewers_see_and_use_one_desktop(
    pair: DesktopPair, people: list[RdpClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.start_desktop(protocols=["vnc", "rdp"])
    peer = Peer(pair)
    peer.hear("drawn")
    peer.close()
    assert len(asyncio.run(vnc_picture(pair)).getcolors(2**24) or ()) > 50
    first, second = people
    for client in people:
        client.connect(str(pair.sockets / "rdp.sock"), "800x600")
        client.wait_picture()
    for at, client in enumerate(people):
        client.click(400, 260)
        client.type(f"printf {at} > ~/typed{at}\n")
        wait((pair.home / f"typed{at}").exists)

    def alike() -> bool:
        now = screenshot(pair, monkeypatch)
        seen = (first.picture(), second.picture(), asyncio.run(vnc_picture(pair)))
        return all(difference(one, now) < ALIKE for one in seen)

    wait(alike)
    # A new size is everybody's.
    terminal = children(pid_of(pair))["xterm"]
    second.disconnect()
    second.connect(str(pair.sockets / "rdp.sock"), "1020x700")
    wait(lambda: screenshot(pair, monkeypatch).size == (1020, 700))
    second.wait_picture()
    wait(lambda: difference(second.picture(), screenshot(pair, monkeypatch)) < ALIKE)
    first.size = (1020, 700)
    wait(lambda: difference(first.picture(), screenshot(pair, monkeypatch)) < ALIKE)
    assert children(pid_of(pair))["xterm"] == terminal
