"""RDP and VNC programs of this machine see and use a session, by a door that only they get in at.

FreeRDP and TigerVNC's viewer, each on a screen of its own: a certificate that is not the door's, a
password that is not the one, one that was used; typing that arrives, watching that types nothing;
and Ctrl-C, which ends all of it but the session.
"""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.support.instance import Instance, until
from e2e.support.native import a_door, a_session
from e2e.support.outside import Desktop
from tests.support.rdp_client import RdpClient
from tests.support.vnc_client import VncClient

CONNECTED = "A program has connected."


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ph-") as made:
        yield Path(made)


def types(client: RdpClient, desktop: Desktop, name: str) -> None:
    """Type something that makes a file, and see it made."""
    client.click(600, 400)
    client.type(f"echo from here > {name}\n")
    until(lambda: desktop.read(name) == "from here\n", 15, lambda: f"{name}: {desktop.read(name)}")


@pytest.mark.timeout(240)
def test_an_rdp_program(instance: Instance, folder: Path) -> None:
    file = folder / "office.rdp"
    with a_session(instance, "rdp") as (name, desktop), RdpClient(folder) as client:
        with a_door(instance, name, "--rdp", "--file", str(file)) as door:
            (first,) = door.passwords
            assert f"full address:s:{door.address}" in file.read_text()
            assert first not in file.read_text()
            right = f"deny,fingerprint:sha256:{door.certificate}"

            client.connect(
                door.address,
                "1000x700",
                password=first,
                certificate=f"deny,fingerprint:sha256:{'00:' * 31}00",
            )
            assert client.wait_ended() != 0
            client.connect(door.address, "1000x700", password="x" * 8, certificate=right)
            door.until_said("An RDP program gave a wrong password.")
            client.disconnect()
            assert CONNECTED not in door.program.said
            assert door.passwords == [first]

            client.connect(door.address, "1000x700", password=first, certificate=right)
            client.wait_picture()
            types(client, desktop, "by-rdp")
            client.copy("Grüße, 世界")
            client.disconnect()
            door.until_said("A program is connected no more.")

            # It was good once.
            client.connect(door.address, "1000x700", password=first, certificate=right)
            door.until_said("An RDP program gave a wrong password.", times=2)
            client.disconnect()
            # The same windows, at another size.
            client.connect(door.address, "901x603", password=door.passwords[-1], certificate=right)
            client.wait_picture()
            types(client, desktop, "again")
        assert client.wait_ended() is not None  # Ctrl-C has ended it
        assert not file.exists()
        client.disconnect()

        with a_door(instance, name, "--view") as door:
            client.connect(door.address, "1000x700", password=door.passwords[-1])
            client.wait_picture()
            client.click(600, 400)
            client.type("echo from here > by-watching\n")
        with a_door(instance, name) as door:
            client.disconnect()
            client.connect(door.address, "1000x700", password=door.passwords[-1])
            client.wait_picture()
            types(client, desktop, "at-last")
            assert desktop.read("by-watching") is None


@pytest.mark.timeout(240)
def test_a_vnc_program(instance: Instance, folder: Path) -> None:
    path = folder / "door"
    with a_session(instance, "desktop") as (name, desktop), VncClient(folder) as client:
        refused = instance.porthole("session", "connect", name, "--rdp", code=2)
        assert "The session speaks VNC: use --vnc" in refused
        with a_door(instance, name, "--vnc") as door:
            host, _, port = door.address.partition(":")
            client.begin(f"{host}::{port}", "x" * 8)
            door.until_said("A VNC program gave a wrong password.")
            client.disconnect()
            assert CONNECTED not in door.program.said
            client.begin(f"{host}::{port}", door.passwords[-1])
            client.wait_picture()
            types(client, desktop, "by-vnc")
        client.disconnect()
        with socket.socket() as gone:
            assert gone.connect_ex((host, int(port))) != 0

        with a_door(instance, name, "--view", "--socket", str(path)) as door:
            assert path.stat().st_mode & 0o777 == 0o600
            client.begin(str(path), door.passwords[-1])
            client.wait_picture()
            client.click(600, 400)
            client.type("echo from here > by-watching\n")
        assert not path.exists()
        assert desktop.read("by-watching") is None
