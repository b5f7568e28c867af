"""A desktop of the protocol rdp, by real programs: Xorg, xrdp, and FreeRDP in front of it."""

import hashlib
import os
import signal
import socket
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageGrab, ImageStat

from tests.integration.test_supervisor_desktop import Peer, children, pid_of, wait
from tests.support.desktop_pair import DesktopPair
from tests.support.rdp_client import RdpClient, paste

CONNECTION_REQUEST = bytes.fromhex("03000013 0ee00000000000 0100080001000000")
"""TPKT and X.224, which ask for TLS ([MS-RDPBCGR] 2.2.1.1)."""


@pytest.fixture
def pair() -> Iterator[DesktopPair]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        made = DesktopPair(Path(folder))
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def client() -> Iterator[RdpClient]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder, RdpClient(Path(folder)) as made:
        yield made


def begin(pair: DesktopPair) -> str:
    """Start the desktop, wait until it is drawn; return its certificate's fingerprint."""
    pair.start_desktop(protocols=["rdp"])
    peer = Peer(pair)
    state = peer.hear("state")
    if not state["drawn"]:
        peer.hear("drawn")
    peer.close()
    told: str = state["rdp"]["fingerprint"]
    return told


def x_of(pair: DesktopPair) -> dict[str, str]:
    """Return how the desktop's own programs find its display."""
    (authority,) = pair.folder.glob("porthole-*/Xauthority")
    (made,) = pair.folder.glob("porthole-*/rdp/x/xrdp_display_*")
    number = made.name.rpartition("_")[2]
    return {"PATH": os.environ["PATH"], "DISPLAY": f":{number}", "XAUTHORITY": str(authority)}


def screenshot(pair: DesktopPair, monkeypatch: pytest.MonkeyPatch) -> Image.Image:
    """Return what the X server itself has on its screen."""
    where = x_of(pair)
    monkeypatch.setenv("XAUTHORITY", where["XAUTHORITY"])
    return ImageGrab.grab(xdisplay=where["DISPLAY"]).convert("RGB")


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean squared error of two pictures of a size."""
    parts = ImageStat.Stat(ImageChops.difference(one, other)).sum2
    return sum(parts) / (3 * one.width * one.height)


def shown(path: Path) -> bytes:
    """Return the DER of the certificate that a socket shows, after asking for TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(CONNECTION_REQUEST)
        answer = connection.recv(19, socket.MSG_WAITALL)
        assert (answer[11], answer[15:]) == (2, b"\1\0\0\0")
        with context.wrap_socket(connection) as secured:
            return secured.getpeercert(binary_form=True) or b""


def test_it_is_seen_typed_into_and_found_again(
    pair: DesktopPair, client: RdpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(pair)
    client.connect(str(pair.sockets / "rdp.sock"), "800x600")
    client.wait_picture()
    client.click(400, 260)
    client.type("echo 'Zz#1 {y}' > ~/typed; printf ready > ~/done\n")
    wait((pair.home / "done").exists)
    assert (pair.home / "typed").read_text() == "Zz#1 {y}\n"
    # 6.5 is a ratio of 40 dB: it is what the X server has, at the same place.
    wait(lambda: difference(client.picture(), screenshot(pair, monkeypatch)) < 6.5)
    terminal = children(pid_of(pair))["xterm"]
    client.disconnect()
    client.connect(str(pair.sockets / "rdp.sock"), "1021x701")
    client.wait_picture()
    wait(lambda: screenshot(pair, monkeypatch).size == (1021, 701))
    wait(lambda: difference(client.picture(), screenshot(pair, monkeypatch)) < 6.5)
    assert children(pid_of(pair))["xterm"] == terminal


def test_text_is_copied_both_ways(pair: DesktopPair, client: RdpClient) -> None:
    begin(pair)
    client.connect(str(pair.sockets / "rdp.sock"), "800x600")
    client.wait_picture()
    client.click(400, 260)
    client.copy("hüben € über")
    wait(lambda: paste(x_of(pair)) == "hüben € über")
    client.type("printf 'd\\303\\274ben' | xclip -i -selection clipboard\n")
    wait(lambda: client.pasted() == "düben")


def test_its_certificate_is_another_one_at_each_start(pair: DesktopPair) -> None:
    told = [begin(pair)]
    assert hashlib.sha256(shown(pair.sockets / "rdp.sock")).hexdigest() == told[0]
    assert (pair.sockets / "rdp.sock").stat().st_mode & 0o777 == 0o660
    (key,) = pair.folder.glob("porthole-*/rdp/key.pem")
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.parent.stat().st_mode & 0o777 == 0o700
    pair.stop()
    assert list(pair.sockets.iterdir()) == []
    assert not list(pair.folder.glob("porthole-*"))
    told.append(begin(pair))
    assert hashlib.sha256(shown(pair.sockets / "rdp.sock")).hexdigest() == told[1]
    assert told[0] != told[1]


def test_nothing_of_it_listens_to_a_network(pair: DesktopPair) -> None:
    begin(pair)
    mine = {pid_of(pair), *children(pid_of(pair)).values()}
    sockets = {
        link
        for pid in mine
        for fd in Path(f"/proc/{pid}/fd").iterdir()
        if (link := _target(fd)).startswith("socket:")
    }
    for table in ("tcp", "tcp6", "udp", "udp6"):
        lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        assert not sockets & {f"socket:[{line.split()[9]}]" for line in lines}


def test_what_is_before_it_comes_back_and_the_x_server_does_not(
    pair: DesktopPair, client: RdpClient
) -> None:
    begin(pair)
    before = children(pid_of(pair))["xrdp"]
    os.kill(before, signal.SIGKILL)
    wait(lambda: children(pid_of(pair)).get("xrdp", before) != before)
    wait(lambda: _answers(pair.sockets / "rdp.sock"))
    client.connect(str(pair.sockets / "rdp.sock"), "800x600")
    client.wait_picture()
    os.kill(children(pid_of(pair))["Xorg"], signal.SIGKILL)
    assert pair.supervisor is not None
    assert pair.supervisor.wait(15) == 75


def _target(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:
        return ""


def _answers(path: Path) -> bool:
    try:
        return bool(shown(path))
    except OSError:
        return False
