"""A desktop over RDP in a cluster: a pod that has no right, its pixels in FreeRDP and a browser.

Who is behind the picture is killed while it is looked at.
"""

import asyncio
import os
import signal
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest

from e2e.cluster.installing import SYSTEM
from e2e.support.alike import becomes
from e2e.support.console import Console, eventually, until_holds
from e2e.support.installed import Installed
from e2e.support.instance import Program, until
from e2e.support.native import Door
from e2e.support.outside import Desktop, processes_in_pod
from e2e.support.window import a_window, comes_back, look_at, screen_of
from tests.support.rdp_client import RdpClient

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]

_BEHIND = {"xrdp": "/usr/sbin/xrdp ", "gate": "porthole_desktop.gate"}
_CLIPBOARD = "xrdp-chansrv"
_OPERATORS = ("-l", "app.kubernetes.io/name=porthole-operator")


async def test_a_desktop_over_rdp_is_seen_typed_into_and_ended(
    installed: Installed, tmp_path: Path
):
    before = installed.things()
    async with a_window(installed, "cluster-rdp") as me, installed.async_client() as porthole:
        made = await porthole.sessions.create("rdp", name="over-rdp")
        await porthole.sessions.wait_ready(made.id, timeout=60)
        (container,) = installed.pod("over-rdp")["spec"]["containers"]
        assert container["image"].rpartition(":")[0].endswith("/desktop-rdp")
        rights = container["securityContext"]
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert (rights["allowPrivilegeEscalation"], rights["runAsNonRoot"]) == (False, True)

        # Sessions are used as before while nobody looks after them.
        operators = installed.cluster.get("pods", "-n", SYSTEM, *_OPERATORS)
        _kill([one["metadata"]["uid"] for one in operators], "porthole_operator")
        desktop = installed.desktop("over-rdp")
        await asyncio.to_thread(_is_used_by_freerdp, installed, "over-rdp", desktop)
        opened = await look_at(me, installed, made.id, within=20)
        print(f"the picture {opened:.1f} s after its page was asked for")
        screen = screen_of(desktop, tmp_path)
        await becomes(me, screen)
        await me.shoot("1-open")
        # Nothing that takes Shift: scancodes are sent, and Playwright presses no Shift by itself.
        for name in ("early", "typed"):
            await me.type(f"touch {name}")
        await until_holds(desktop, "typed", "")
        await becomes(me, screen)
        await me.shoot("2-typed")
        pods = [installed.pod("over-rdp")["metadata"]["uid"]]
        for who, words in _BEHIND.items():
            await comes_back(me, who, partial(_kill, pods, words))
            await becomes(me, screen)
            await me.type(f"touch after-{who}")
            await until_holds(desktop, f"after-{who}", "")

        async def is_counted() -> bool:
            return (await porthole.sessions.get(made.id)).viewers == 1

        await eventually(is_counted, 30, "an operator that tells who looks")
        await me.press("end-session", "confirm-end-session")

        async def is_over() -> bool:
            return await me.phase() == "Terminated"

        await eventually(is_over, 60, "the end of the session")
        await me.shoot("3-ended")

        async def is_clean() -> bool:
            return await asyncio.to_thread(installed.things) == before

        await eventually(is_clean, 20, "nothing is left of it")


async def test_what_dies_in_its_pod_is_told_and_comes_back(
    installed: Installed, tmp_path: Path
) -> None:
    before, name = installed.things(), "rdp-killed"
    async with a_window(installed, "cluster-rdp-kills") as me, installed.async_client() as porthole:
        made = await porthole.sessions.create("rdp", name=name, home=name)
        await porthole.sessions.wait_ready(made.id, timeout=60)
        pod, desktop = installed.pod(name)["metadata"]["uid"], installed.desktop(name)
        await look_at(me, installed, made.id, within=20)
        await becomes(me, screen_of(desktop, tmp_path))
        for touched in ("early", "typed"):
            await me.type(f"touch {touched}")
        await until_holds(desktop, "typed", "")

        # The clipboard's program: no picture ends, and it is there for who comes next.
        first = _found([pod], _CLIPBOARD)
        await asyncio.to_thread(_kill, [pod], _CLIPBOARD)

        async def is_another() -> bool:
            return not {*_found([pod], _CLIPBOARD)} <= {*first}

        await eventually(is_another, 15, "another program for the clipboard")
        await me.type("touch meanwhile")
        await until_holds(desktop, "meanwhile", "")
        assert await me.state() == "open"
        await me.page.reload()
        await me.until_state("open", within=15)
        await becomes(me, screen_of(desktop, tmp_path))
        await _pastes(me, desktop, "after chansrv")

        # What draws: the windows are lost, and the desktop is begun again on its home.
        heard = await comes_back(me, "Xorg", partial(_kill, [pod], "/Xorg "))
        assert [one for one in heard if "begun again on its home" in one], heard
        found = await porthole.sessions.get(made.id)
        assert (found.phase, found.restarts) == ("Running", 1)
        assert installed.pod(name)["metadata"]["uid"] != pod
        desktop = installed.desktop(name)
        await becomes(me, screen_of(desktop, tmp_path))
        assert desktop.read("pasted") == "after chansrv\n"
        for touched in ("early-again", "after-xorg"):
            await me.type(f"touch {touched}")
        await until_holds(desktop, "after-xorg", "")
        await me.shoot("1-after-xorg")
        await porthole.sessions.delete(made.id)
        await porthole.sessions.wait_gone(made.id, timeout=60)
        home = next(one for one in await porthole.homes.list() if one.name == name)
        await porthole.homes.delete(home.id)

        async def is_clean() -> bool:
            return await asyncio.to_thread(installed.things) == before

        await eventually(is_clean, 20, "nothing is left of it")


async def _pastes(me: Console, desktop: Desktop, text: str) -> None:
    """Paste what is on the browser's clipboard into a file."""
    await me.page.evaluate("text => navigator.clipboard.writeText(text)", text)
    await me.page.evaluate("document.activeElement?.blur()")
    await me.type("tee pasted")
    await until_holds(desktop, "pasted", "")
    await me.page.keyboard.press("Shift+Insert")
    await asyncio.sleep(2)  # the terminal asks the desktop, and the desktop the browser
    await me.page.keyboard.press("Enter")
    await me.page.keyboard.press("Control+d")
    await until_holds(desktop, "pasted", f"{text}\n")


def _is_used_by_freerdp(installed: Installed, session: str, desktop: Desktop) -> None:
    """By a door on this machine, through the control plane."""
    with tempfile.TemporaryDirectory(prefix="ph-") as made, RdpClient(Path(made)) as client:
        token = Path(made) / "token"
        token.write_bytes(installed.secret("porthole-administrator")["token"])
        where = ("--server", installed.url, "--token-file", str(token))
        trusting = {"PORTHOLE_FINGERPRINT": installed.fingerprint}
        program = Program("session", "connect", session, "--rdp", *where, environment=trusting)
        try:
            door, begun = Door(program), time.monotonic()
            right = f"deny,fingerprint:sha256:{door.certificate}"
            client.connect(door.address, "1000x700", password=door.passwords[-1], certificate=right)
            client.wait_picture()
            print(f"FreeRDP's picture after {time.monotonic() - begun:.1f} s")
            client.click(600, 400)
            client.type("echo from here > by-freerdp\n")
            until(lambda: desktop.read("by-freerdp") == "from here\n", 15, lambda: "FreeRDP types")
            client.disconnect()
        finally:
            assert program.interrupt() == 0, program.said


def _found(pods: list[str], words: str) -> list[int]:
    """Return the processes of pods whose command lines have these words."""
    running = [one for pod in pods for one in processes_in_pod(pod).items()]
    return [pid for pid, said in running if words in said]


def _kill(pods: list[str], words: str) -> None:
    """Kill the processes of pods whose command lines have these words."""
    found = _found(pods, words)
    assert found, words
    for pid in found:
        os.kill(pid, signal.SIGKILL)
