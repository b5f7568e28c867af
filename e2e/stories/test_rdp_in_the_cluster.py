"""A desktop over RDP in a cluster: a pod that has no right, and its pixels in a browser."""

import asyncio
from pathlib import Path

import pytest

from e2e.support.alike import becomes
from e2e.support.console import eventually, until_holds
from e2e.support.installed import Installed
from e2e.support.window import a_window, look_at, screen_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]


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

        opened = await look_at(me, installed, made.id, within=20)
        print(f"the picture {opened:.1f} s after its page was asked for")
        desktop = installed.desktop("over-rdp")
        screen = screen_of(desktop, tmp_path)
        await becomes(me, screen)
        await me.shoot("1-open")
        # Nothing that takes Shift: scancodes are sent, and Playwright presses no Shift by itself.
        for name in ("early", "typed"):
            await me.type(f"touch {name}")
        await until_holds(desktop, "typed", "")
        await becomes(me, screen)
        await me.shoot("2-typed")
        assert (await porthole.sessions.get(made.id)).viewers == 1

        await me.press("end-session", "confirm-end-session")

        async def is_over() -> bool:
            return await me.phase() == "Terminated"

        await eventually(is_over, 30, "the end of the session")
        await me.shoot("3-ended")

        async def is_clean() -> bool:
            return await asyncio.to_thread(installed.things) == before

        await eventually(is_clean, 20, "nothing is left of it")
