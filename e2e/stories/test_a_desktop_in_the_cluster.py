"""A person, a browser and a desktop in a cluster: made by the API or by kubectl, and its pixels."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from e2e.support.console import eventually
from e2e.support.installed import SESSIONS, Installed, a_session
from e2e.support.window import a_window, look_at, screen_of, types

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]


async def test_the_ten_steps_from_the_api_to_pixels_and_to_nothing(
    installed: Installed, tmp_path: Path
):
    cluster, before = installed.cluster, installed.things()
    async with a_window(installed, "cluster") as me, installed.async_client() as porthole:
        begun = time.monotonic()
        made = await porthole.sessions.create("desktop", name="ten-steps")  # 1
        phases: list[str] = []

        def seen(session) -> None:
            if session.phase not in phases:
                phases.append(session.phase)

        await porthole.sessions.wait_ready(made.id, timeout=30, seen=seen)  # 2
        print(f"{' -> '.join(phases)}: running {time.monotonic() - begun:.1f} s after the call")
        pod = installed.pod("ten-steps")  # 3
        assert [one["name"] for one in pod["spec"]["initContainers"]] == ["gate"]
        assert [one["name"] for one in pod["spec"]["containers"]] == ["desktop"]
        cluster.wait("pod/ten-steps", "condition=Ready", "-n", SESSIONS, patience=20)
        service = cluster.get("service", "ten-steps", "-n", SESSIONS)["spec"]  # 4
        assert [(one["name"], one["port"]) for one in service["ports"]] == [("gate", 7443)]
        opened = await look_at(me, installed, made.id, within=10)  # 5
        print(f"the picture {opened:.1f} s after its page was asked for")
        desktop = installed.desktop("ten-steps")
        screen = screen_of(desktop, tmp_path)
        await me.equals(screen)  # 6
        await me.shoot("1-open")
        await types(me, desktop, "typed in a browser")  # 7
        quiet = await asyncio.to_thread(screen)
        await me.page.mouse.click(*await me.point(1140, 600), button="right")

        async def menu() -> bool:
            return await asyncio.to_thread(screen) != quiet

        await eventually(menu, 10, "the menu under the pointer")
        await me.equals(screen)
        await me.shoot("2-typed-and-clicked")
        assert (await porthole.sessions.get(made.id)).viewers == 1
        ending = time.monotonic()
        await me.press("end-session", "confirm-end-session")  # 8

        async def is_over() -> bool:
            return await me.phase() == "Terminated"

        await eventually(is_over, 30, "the end of the session")
        took = time.monotonic() - ending
        print(f"ended {took:.1f} s after the click")
        await me.shoot("3-ended")
        assert await me.page.locator("[data-testid=viewer-canvas] canvas").count() == 0  # 9

        async def is_clean() -> bool:
            return await asyncio.to_thread(installed.things) == before

        await eventually(is_clean, 20, "nothing is left of it")  # 10
        assert took < 10


async def test_a_session_made_by_kubectl_is_opened_in_the_console(
    installed: Installed, tmp_path: Path
):
    cluster = installed.cluster
    cluster.apply(a_session("opened"))
    cluster.wait("session/opened", "condition=Ready", "-n", SESSIONS)
    async with a_window(installed, "cluster-kubectl") as me:
        row = me.page.get_by_test_id("session-row").filter(has_text="opened")
        await row.wait_for()
        await me.shoot("1-listed")
        await row.get_by_role("link", name="opened").first.click()
        await me.page.get_by_test_id("viewer-canvas").wait_for(state="attached")
        await me.until_state("open", within=15)
        desktop = installed.desktop("opened")
        await me.equals(screen_of(desktop, tmp_path))
        await types(me, desktop, "typed by its owner")
        await me.shoot("2-open")
        cluster.kubectl("delete", "session", "opened", "-n", SESSIONS, "--timeout=60s")

        async def is_over() -> bool:
            return await me.phase() == "Terminated"

        await eventually(is_over, 20, "the console says that it ended")
        await me.shoot("3-ended")


TEN_LINES = f"""\
apiVersion: porthole.dev/v1alpha1
kind: Session
metadata:
  name: plain
  namespace: {SESSIONS}
spec:
  owner: admin
  template: desktop
  display: {{width: 1024, height: 640}}
  env: [{{name: GREETING, value: hello}}]
"""


def test_kubectl_alone_makes_tells_explains_and_removes(installed: Installed, tmp_path: Path):
    cluster = installed.cluster
    cluster.kubectl("apply", "-f", "-", given=TEN_LINES)
    cluster.wait("session/plain", "condition=Ready", "-n", SESSIONS)
    heading, line = cluster.kubectl("get", "sessions", "-n", SESSIONS).splitlines()
    assert {"NAME", "PHASE", "OWNER", "AGE"} <= set(heading.split())
    assert line.split()[0] == "plain"
    assert {"Running", "admin"} <= set(line.split())
    assert "DESCRIPTION:" in cluster.kubectl("explain", "session.spec")
    assert re.search(r"owner\s+<string> -required-", cluster.kubectl("explain", "session.spec"))
    told = cluster.kubectl("describe", "session", "plain", "-n", SESSIONS)
    events = told.partition("Events:")[2]
    assert "Its screen was painted" in events, told
    desktop = installed.desktop("plain")
    picture = desktop.screen(tmp_path / "screen.png")
    assert picture.size == (1024, 640)
    assert len(picture.getcolors(1 << 20) or ()) > 10
    environment = Path(f"/proc/{desktop.pid}/environ").read_bytes()
    assert b"GREETING=hello" in environment
    cluster.kubectl("delete", "session", "plain", "-n", SESSIONS, "--timeout=60s")
    words = ("get", "pod,service,secret", "-n", SESSIONS, "-o", "name")
    cluster.eventually("", *words, patience=30)
