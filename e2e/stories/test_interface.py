"""What other programs count on, used as they would: plain HTTP, plain WebSockets, RFB 3.8."""

import os
import subprocess
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from e2e.support.console import difference, eventually
from e2e.support.instance import PROGRAM, Instance
from e2e.support.outside import Desktop, processes_of
from e2e.support.viewers import until_phase
from porthole_client import Porthole
from tests.support.rfb_client import CURSOR, DEFAULT, RfbClient, WebSocketStream

pytestmark = pytest.mark.timeout(240)


async def test_the_interface_that_holds(instance: Instance, tmp_path: Path) -> None:
    said = instance.porthole("token", "create", "--name", "X").splitlines()
    headers = {"Authorization": f"Bearer {said[-1]}"}
    parts = instance.parts()
    assert set(parts) == {"up", "postgres", "control-plane", "agent"}
    for pid in parts.values():
        assert pid is not None
        os.kill(pid, 0)
    api = f"{instance.url}/api/v1"
    async with httpx.AsyncClient(base_url=api, headers=headers) as client:
        assert (await client.get(f"{instance.url}/readyz")).status_code == 200
        made = await client.post("/sessions", json={"template": "desktop"})
        assert made.status_code == 202
        session = made.json()["id"]
        path = f"/sessions/{session}"
        await until_phase(client, session, "Running", within=60)

        ticket = await client.post(f"{path}/tickets", json={"mode": "control"})
        assert ticket.status_code == 201
        assert {"ticket", "url", "expires_at"} <= set(ticket.json())
        url = ticket.json()["url"]
        async with connect(url, subprotocols=["binary"], compression=None, max_size=None) as socket:
            through = WebSocketStream(socket)
            # It insists on RFB 3.8 and on the security type None.
            seen = await RfbClient.greet(through, through, (*DEFAULT, CURSOR))
            seen.pointer(40, 40)
            desktop = Desktop.of(session)

            async def is_the_screen() -> bool:
                # Not at once: a panel is drawn a moment after the rest, and its clock goes on.
                await seen.settle()
                await seen.refresh()
                return not difference(seen.image(), desktop.screen(tmp_path / "screen.png"))

            await eventually(is_the_screen, 20, lambda: "the picture of the X display")

        assert processes_of(session)
        assert processes_of(session, "gate")
        ended = await client.delete(path)
        assert ended.status_code == 202
        await until_phase(client, session, "Terminated", within=20)
    assert processes_of(session) == {}
    assert processes_of(session, "gate") == {}


def test_the_python_client_needs_an_address_and_a_token(instance: Instance) -> None:
    token = instance.token("python")
    with Porthole(instance.url, token) as porthole:
        with porthole.sessions.running("desktop") as session:
            assert session.phase == "Running"
            with porthole.sessions.connect(session.id) as stream:
                assert stream.recv(timeout=10) == b"RFB 003.008\n"
        porthole.sessions.wait_gone(session.id)
        assert processes_of(str(session.id)) == {}


def test_the_home_may_be_named_by_the_environment(instance: Instance) -> None:
    done = subprocess.run(
        [PROGRAM, "status"],
        env={**os.environ, "PORTHOLE_HOME": str(instance.home)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert instance.url in done.stdout
