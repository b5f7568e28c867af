"""What was installed as an earlier release is upgraded, and those who work notice a blip."""

import asyncio
from pathlib import Path

import pytest

from e2e.support.installed import Installed
from e2e.support.releases import Frozen, install
from e2e.support.window import a_window, look_at, screen_of, types, types_while

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600, func_only=True)]


@pytest.mark.parametrize("frozen", Frozen.all(), ids=lambda one: one.version)
async def test_sessions_homes_keys_and_windows_outlive_the_upgrade(
    release: Installed, frozen: Frozen, tmp_path: Path
):
    await asyncio.to_thread(install, frozen, release, tmp_path)
    kept = await asyncio.to_thread(release.secrets)
    async with a_window(release, f"from-{frozen.version}") as me, release.async_client() as client:
        made = await client.sessions.create("desktop", name="typing", home="desk")
        await client.sessions.wait_ready(made.id, timeout=90)
        await look_at(me, release, made.id, within=15)
        desktop, pod = release.desktop("typing"), release.pod("typing")["metadata"]["uid"]
        await types(me, desktop, "before")
        upgrading = asyncio.to_thread(release.cluster.up)
        waits = await types_while(upgrading, me, desktop)
        print(f"{len(waits)} lines typed during the upgrade; the slowest took {max(waits):.1f} s")
        await me.until_state("open", within=15)
        await types(me, desktop, "after")
        await me.equals(screen_of(desktop, tmp_path))
        assert await asyncio.to_thread(release.secrets) == kept
        now = await client.sessions.get(made.id)
        assert (now.restarts, release.pod("typing")["metadata"]["uid"]) == (0, pod)

        # What the old release began, the new one ends, begins again and gives its files.
        await client.sessions.delete(made.id)
        await client.sessions.wait_gone(made.id, timeout=60)
        again = await client.sessions.create("desktop", name="again", home="desk")
        await client.sessions.wait_ready(again.id, timeout=90)
        assert release.desktop("again").read("typed") == "after\n"
        await client.sessions.delete(again.id)
        await client.sessions.wait_gone(again.id, timeout=60)
        for home in await client.homes.list():
            await client.homes.delete(home.id)
