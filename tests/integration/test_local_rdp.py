"""A desktop over RDP in its real containers: it runs, and nothing of it has a right or a secret.

Whatever of it dies while somebody looks, they are told, and what is mended they see again.
"""

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from pathlib import Path

import pytest

from porthole_contract.lifecycle import Phase
from tests.support.desktop_pair import ControlClient
from tests.support.leftovers import Leftovers
from tests.support.local_runtime import CANNOT, a_runtime, the_desktop
from tests.support.rdp_client import RdpClient
from tests.support.rdp_way import carried
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(bool(CANNOT), reason=f"no desktops here: {CANNOT}")

OF_RDP = {"Xorg", "xrdp", "xrdp-chansrv"}


@pytest.fixture
def folder(tmp_path):
    before = Leftovers.of(tmp_path)
    yield tmp_path / "agent"
    left = Leftovers.of(tmp_path).new_since(before)
    assert not left, json.dumps(left, indent=1)


def status_of(pid: int) -> dict[str, str]:
    """Return the fields of a process's status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def test_it_runs_as_its_own_user_without_a_right(folder):
    async with a_runtime(folder) as place:
        session = await place.create(template=the_desktop("rdp"))
        await place.until(session, Phase.RUNNING)
        running = place.processes(session)
        assert running.keys() >= OF_RDP
        for name in OF_RDP:
            status = status_of(running[name])
            assert int(status["Uid"].split()[0]) >= 2_000_000
            assert not any(int(status[f"Cap{kind}"], 16) for kind in ("Prm", "Eff", "Bnd", "Amb"))
            assert status["NoNewPrivs"] == "1"
        # The keys that Debian made up for this machine are nobody's in there.
        lies = "cat /etc/xrdp/rsakeys.ini /etc/xrdp/key.pem /etc/ssl/private/* /etc/shadow"
        assert place.inside(session, f"{lies} 2>/dev/null").stdout == ""
        (socket,) = folder.rglob("rdp.sock")
        with tempfile.TemporaryDirectory(prefix="ph-") as home, RdpClient(Path(home)) as client:
            near = Path(home) / "rdp.sock"  # the whole path is longer than a socket's may be
            near.symlink_to(socket)
            client.connect(str(near), "1000x700")
            client.wait_picture()


async def test_what_dies_behind_a_viewer_is_told_and_comes_back(folder):
    with tempfile.TemporaryDirectory(prefix="ph-") as home, RdpClient(Path(home)) as client:
        async with a_runtime(folder) as place:
            session = await place.create(template=the_desktop("rdp"), home="work")
            await place.until(session, Phase.RUNNING)
            async with carried(lambda: place.stream(session, "rdp", wire="rdp")) as port:
                looks = Looks(place, session, client, port)
                await looks.begin()
                windows = place.processes(session)["xterm"]
                # The clipboard's program: no picture ends, and it is there for who comes next.
                looks.kill("xrdp-chansrv")
                await asyncio.sleep(1)
                assert client.picture().getcolors(2**24)
                client.disconnect()
                await looks.begin()
                client.copy("after chansrv")
                client.type("xclip -o -selection clipboard > ~/pasted\n")
                await looks.until_holds("pasted", "after chansrv")

                # What speaks RDP: the windows stay.
                assert await looks.told_of("xrdp") == "desktop_left"
                await looks.begin()
                assert place.processes(session)["xterm"] == windows
                # The gate: nobody is left to say anything, and another one lets them in.
                looks.kill("gate")
                await asyncio.to_thread(client.wait_ended)
                await looks.begin()
                assert place.processes(session)["xterm"] == windows
                assert ("gate_mended", 1, 0) in place.journal(session)

                # What draws, and what keeps it: the desktop is lost, and begun again on its home.
                for restarts, who in ((1, "Xorg"), (2, "supervisor")):
                    assert await looks.told_of(who) in {"desktop_left", None}
                    await place.until(session, Phase.RUNNING, restarts=restarts)
                    await looks.begin()
                    assert place.inside(session, "cat ~/pasted").stdout == "after chansrv"
                found = await place.now(session)
                assert found is not None
                assert found.status.restarts == 2


class Looks:
    """Somebody with FreeRDP who looks at a session, and one who kills behind them."""

    def __init__(self, place, session, client, port):
        self._place = place
        self._session = session
        self._client = client
        self._port = port

    async def begin(self):
        """Look, as a person would, until there is a picture."""
        async with asyncio.timeout(60):
            while True:
                self._client.disconnect()
                self._client.connect(f"127.0.0.1:{self._port}", "1000x700")
                try:
                    await asyncio.to_thread(self._client.wait_picture, colours=500)
                except AssertionError:
                    await asyncio.sleep(0.2)
                else:
                    break
        await asyncio.to_thread(self._client.click, 500, 330)

    def kill(self, who):
        """Kill all processes of that name; the supervisor, the desktop's first; the gate's."""
        running = self._place.all_processes(self._session)
        victims = [pid for pid, name in running if name == who]
        if who == "supervisor":
            victims = [min(pid for pid, _ in running)]
        if who == "gate":
            victims = [pid for pid, _ in self._place.all_processes(self._session, "gate")]
        assert victims, running
        for pid in victims:
            os.kill(pid, signal.SIGKILL)

    async def told_of(self, who):
        """Kill it; return why the gate says that the viewer's stream is closed.

        None: the gate has ended with its desktop before it was heard.
        """
        watching = ControlClient(*await self._place.stream(self._session, "control", "observe"))
        reason = None
        try:
            self.kill(who)
            with contextlib.suppress(EOFError, OSError):
                reason = (await watching.closed()).reason
        finally:
            watching.writer.transport.abort()
        await asyncio.to_thread(self._client.wait_ended)
        return reason

    async def until_holds(self, name, text):
        """Wait until a file in the home holds this."""

        def holds():
            return self._place.inside(self._session, f"cat ~/{name}").stdout == text

        await asyncio.to_thread(wait_until, holds)
