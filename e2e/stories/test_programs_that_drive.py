"""Programs look at desktops and use them, as somebody would who has read the README alone."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from PIL import Image

from e2e.support.instance import PROGRAM, Instance, until
from porthole_client import AsyncPorthole, Conflict, Invalid, NotAllowed, NotFound, Porthole
from porthole_client.models import Session

pytestmark = pytest.mark.timeout(300)
EXAMPLES = Path(__file__).parents[2] / "examples"
AS_ASKED: dict[str, Any] = {
    "display": {"width": 1024, "height": 640},
    "env": [{"name": "WORD", "value": "häß"}],
    "locale": "C.UTF-8",
    "timezone": "Asia/Tokyo",
    "keyboard": "de",
}
TEXT = "Grüße an alle — “日本語”, ñandú, 5 €"


def picture(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image


def kept(name: str, png: bytes) -> None:
    """Keep a picture for people, where they have asked for it."""
    if folder := os.environ.get("PORTHOLE_STORY_PICTURES"):
        (Path(folder) / f"{name}.png").write_bytes(png)


def test_a_desktop_is_seen_and_used(instance: Instance) -> None:
    with (
        Porthole(instance.url, instance.token("driver")) as porthole,
        porthole.sessions.running("desktop", **AS_ASKED) as session,
    ):
        _is_as_asked(porthole, session)
        desktop = porthole.desktop(session)
        desktop.wait_still()
        assert picture(desktop.screenshot()).size == (1024, 640)
        assert picture(desktop.screenshot(width=256)).size == (256, 160)

        _type_into_a_terminal(desktop)
        kept("typed", desktop.screenshot())
        desktop.copy(TEXT)
        assert desktop.clipboard() == TEXT
        begun = time.monotonic()
        for _ in range(5):
            desktop.screenshot()
        assert time.monotonic() - begun < 10

        with pytest.raises(Conflict, match="no key named 'hyperspace'"):
            desktop.press("hyperspace")
        with pytest.raises(Invalid):
            desktop.click(99999, 1)
        with pytest.raises(NotFound):
            porthole.desktop("01890a5d-ac96-774b-bcce-b302099a8057").screenshot()
        kinds = [event.kind for event in porthole.sessions.events(session.id)]
        assert {"PictureTaken", "InputSent", "ClipboardRead", "ClipboardWritten"} <= set(kinds)
        assert TEXT not in str(porthole.sessions.events(session.id))
    with Porthole(instance.url, instance.token("driver-after")) as porthole:
        porthole.sessions.wait_gone(session.id)
        with pytest.raises(Conflict, match="ended"):
            porthole.desktop(session).screenshot()


def _is_as_asked(porthole: Porthole, session: Session) -> None:
    looked = 'date +%Z; echo "$WORD $LANG"; setxkbmap -query'
    ran = porthole.sessions.exec(session.id, ["sh", "-c", looked])
    zone, words, *keyboard = ran.stdout.decode().splitlines()
    assert (zone, words) == ("JST", "häß C.UTF-8")
    assert ["layout:", "de"] in [line.split() for line in keyboard]


def _type_into_a_terminal(desktop: Any) -> None:
    """Type into the terminal that the template begins with, and read it by the clipboard."""
    desktop.click(400, 250)
    desktop.type("clear\n")
    desktop.wait_still()
    desktop.type(f"printf '%s\\n' '{TEXT}'\n")
    desktop.wait_still()


def test_rights_are_looked_at_for_each_use(instance: Instance) -> None:
    made = instance.porthole(
        "token", "create", "--name", "looks", "--scope", "read", "--scope", "connect"
    )
    said = instance.porthole("token", "create", "--name", "other", "--user", "eve")
    with (
        Porthole(instance.url, instance.token("owner")) as owner,
        Porthole(instance.url, made.splitlines()[-1]) as looks,
        Porthole(instance.url, said.splitlines()[-1]) as eve,
        owner.sessions.running("desktop") as session,
    ):
        assert looks.desktop(session).screenshot()
        for use in (
            lambda: looks.desktop(session).type("never"),
            lambda: looks.desktop(session).clipboard(),
            lambda: looks.desktop(session).copy("never"),
            lambda: looks.sessions.ticket(session.id, channel="drive"),
        ):
            with pytest.raises(NotAllowed, match="session:control"):
                use()
        with pytest.raises(NotFound):
            eve.desktop(session).screenshot()
        _revoked(instance, owner, session)


def _revoked(instance: Instance, owner: Porthole, session: Session) -> None:
    """A token that is revoked drives nothing any more, not even by the stream that it has."""
    token = owner.people.create_token("short")
    with Porthole(instance.url, token.token) as short:
        short.desktop(session).wait_still()
        owner.people.revoke_token(token.id)
        response = httpx.get(
            f"{instance.url}/api/v1/sessions/{session.id}/screenshot",
            headers={"Authorization": f"Bearer {token.token}"},
        )
        until(lambda: response.status_code == 401, 10, lambda: str(response.status_code))


def test_a_shell_drives_it_too(instance: Instance, tmp_path: Path) -> None:
    def porthole(*words: str, given: str | None = None) -> str:
        done = subprocess.run(
            [PROGRAM, *words],
            env={**os.environ, "PORTHOLE_HOME": str(instance.home)},
            input=given,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    porthole("session", "create", "desktop", "--name", "shelly", "--wait")
    assert "shelly.png" in porthole("session", "screenshot", "shelly", "--width", "320")
    assert picture((tmp_path / "shelly.png").read_bytes()).width == 320
    porthole("session", "click", "shelly", "300", "200")
    porthole("session", "type", "shelly", "echo hello")
    porthole("session", "key", "shelly", "Return")
    porthole("session", "clipboard", "shelly", "-", given=TEXT)
    assert porthole("session", "clipboard", "shelly") == f"{TEXT}\n"
    porthole("session", "delete", "shelly", "--wait")


async def test_an_assistant_opens_sees_types_and_ends(instance: Instance) -> None:
    server = StdioServerParameters(
        command=str(PROGRAM),
        args=["mcp"],
        env={**os.environ, "PORTHOLE_HOME": str(instance.home)},
    )
    async with stdio_client(server) as (read, write), ClientSession(read, write) as assistant:
        await assistant.initialize()
        tools = {tool.name for tool in (await assistant.list_tools()).tools}
        assert {"create_session", "screenshot", "click", "type_text", "press_keys"} <= tools

        async def use(tool: str, **given: Any) -> Any:
            return await assistant.call_tool(tool, given)

        made = await use("create_session", template="desktop", name="assisted")
        assert json.loads(made.content[0].text)["phase"] == "Running"
        none = await use("create_session", template="none")
        assert "list_templates" in none.content[0].text
        there = await use("wait_window", session="assisted", title="user@")
        assert there.content[0].type == "image"
        clicked = await use("click", session="assisted", x=300, y=200)
        assert clicked.content[0].type == "image"
        typed = await use("type_text", session="assisted", text="echo seen by an assistant\n")
        assert typed.content[0].type == "image"
        wrong = await use("press_keys", session="assisted", keys=["NoSuchKey"])
        assert "no key named" in wrong.content[0].text
        bell = await use("type_text", session="assisted", text="\x07")
        assert "press_keys" in bell.content[0].text
        gone = await use("screenshot", session="nobody")
        assert "list_sessions" in gone.content[0].text
        async with AsyncPorthole(instance.url, instance.token("person")) as person:
            other = await person.sessions.create("desktop", name="a-person-s")
            refused = await use("end_session", session="a-person-s")
            assert "a person has to end it" in refused.content[0].text
            await person.sessions.delete(other.id)
        ended = await use("end_session", session="assisted")
        assert "ending" in ended.content[0].text


def test_the_examples_do_what_they_say(instance: Instance, tmp_path: Path) -> None:
    def run(*words: str) -> None:
        done = subprocess.run(
            [sys.executable, *words],
            env={**os.environ, "PORTHOLE_HOME": str(instance.home)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr

    run(str(EXAMPLES / "many.py"), "3")
    for number in range(3):
        assert picture((tmp_path / f"desktop-{number}.png").read_bytes()).width == 640
    if shutil.which("chromium") is not None:
        run(str(EXAMPLES / "browse.py"))
        page = (tmp_path / "page.png").read_bytes()
        kept("page", page)
        assert picture(page).width > 640
