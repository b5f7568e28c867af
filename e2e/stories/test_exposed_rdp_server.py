"""An RDP server on its own port: FreeRDP comes in with the password that was shown once.

Nobody else does, the desktop's picture is seen, and with the server's stop the port is closed.
"""

import json
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.support.instance import Instance, until
from e2e.support.outside import Desktop
from tests.support.rdp_client import RdpClient

# An address of its own: the port of a machine's first server may be another's here.
ADDRESS = f"127.{os.getpid() % 250 + 2}.{os.getpid() // 250 % 256}.7"


class Office:
    """The server of the story, by the command line."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    def does(self, *words: str) -> Any:
        """Type a command about RDP servers; return what it printed."""
        return json.loads(self.instance.porthole("rdp-server", *words, "--output", "json"))

    def shown(self, field: str) -> Any:
        """Return a field of it, as it is now."""
        (server,) = self.does("list")["items"]
        return server[field]

    def streams(self, session: str) -> list[tuple[str, str]]:
        """Return states and channels of a session's streams, as soon as there are some."""
        path = f"{self.instance.url}/api/v1/sessions/{session}/streams"
        bearer = {"Authorization": f"Bearer {self.instance.admin_token()}"}

        def look() -> list[tuple[str, str]]:
            found = httpx.get(path, headers=bearer).raise_for_status().json()["items"]
            return [(one["state"], one["channel"]) for one in found]

        told: list[tuple[str, str]] = until(look, 10, lambda: "no stream is told of")
        return told

    def listens(self, address: str) -> bool:
        """Return whether somebody listens there."""
        host, _, port = address.partition(":")
        with socket.socket() as knocking:
            return knocking.connect_ex((host, int(port))) == 0

    def until_listens(self, address: str, *, no: bool = False) -> None:
        """Wait until somebody listens there, or nobody."""
        until(lambda: self.listens(address) is not no, 30, self.instance.logs)


@pytest.fixture
def office(home: Path) -> Iterator[Office]:
    """`porthole up`, whose agent was told an address of this machine."""
    running = Instance(home)
    running.start(environment={"PORTHOLE_AGENT_RDP_LISTEN": ADDRESS})
    yield Office(running)
    assert running.up is not None
    assert running.stop() == 0, running.up.said


@pytest.fixture
def client() -> Iterator[RdpClient]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder, RdpClient(Path(folder)) as made:
        yield made


def sees(client: RdpClient, address: str, password: str, certificate: str) -> None:
    client.connect(address, "1000x700", password=password, certificate=certificate)
    client.wait_picture(colours=500)


def is_out(client: RdpClient) -> None:
    assert client.wait_ended() != 0
    client.disconnect()


def is_refused(client: RdpClient, address: str, password: str, certificate: str) -> None:
    client.connect(address, "1000x700", password=password, certificate=certificate)
    is_out(client)


@pytest.mark.timeout(240)
def test_an_rdp_program_comes_in_on_the_port_of_a_server(office: Office, client: RdpClient) -> None:
    made = office.does("create", "Office", "--resolution", "1000x700", "--expose")
    password = made["password"]
    assert re.fullmatch("[a-z2-9]{20}", password)
    assert office.shown("address") is None
    session = office.does("start", "Office")["session_id"]
    address = office.shown("address")
    assert address == f"{ADDRESS}:{made['port']}"
    shown = office.shown("certificate")
    right = f"deny,fingerprint:sha256:{':'.join(shown[at : at + 2] for at in range(0, 64, 2))}"

    is_refused(client, address, "a" * 20, right)
    sees(client, address, password, right)
    client.click(600, 400)
    client.type("echo from here > by-its-port\n")
    desktop = Desktop.of(session)
    until(lambda: desktop.read("by-its-port"), 15, lambda: "nothing was typed")
    assert office.streams(session) == [("open", "rdp")]

    # The agent is killed: the next one listens, too, for the same password.
    office.instance.kill("agent")
    is_out(client)
    office.until_listens(address)
    sees(client, address, password, right)

    # Another password: who came in by the old one is out, and it is good no more.
    second = office.does("expose", "Office")["password"]
    is_out(client)
    office.until_listens(address)
    is_refused(client, address, password, right)
    sees(client, address, second, right)

    assert office.does("stop", "Office")["status"] == "stopped"
    is_out(client)
    assert not office.listens(address)
    assert office.shown("address") is None
    for path in (office.instance.home / "log").glob("*.log"):
        text = path.read_text(errors="replace")
        assert password not in text
        assert second not in text


@pytest.mark.timeout(180)
def test_a_port_that_something_else_has_is_told_and_had_later(office: Office) -> None:
    made = office.does("create", "Office", "--expose")
    address = f"{ADDRESS}:{made['port']}"
    with socket.create_server((ADDRESS, made["port"])):
        office.does("start", "Office")
        told = until(lambda: office.shown("message"), 10, lambda: str(office.does("list")))
        assert f"{address} cannot be listened on: something else" in told
        assert office.shown("address") is None
    until(lambda: office.shown("address") == address, 10, lambda: str(office.does("list")))
    office.instance.porthole("rdp-server", "hide", "Office")
    office.until_listens(address, no=True)
    assert office.shown("status") == "running"
    office.instance.porthole("rdp-server", "delete", "Office", "--force")
