"""Files go into a desktop and out of it, by hand: dropped, chosen, looked for, taken out."""

import asyncio
import hashlib
import os
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from e2e.support.console import Console, chromium, eventually
from e2e.support.instance import Instance
from e2e.support.line import Line
from e2e.support.outside import Desktop

MEGABYTE = 10**6
_DROP = """([stage, files]) => {
  const transfer = new DataTransfer();
  for (const [name, size] of files)
    transfer.items.add(new File([new Uint8Array(size).fill(7)], name, {lastModified: 1e12}));
  const event = (kind) => new DragEvent(kind, {dataTransfer: transfer, bubbles: true});
  stage.dispatchEvent(event("dragover"));
  stage.dispatchEvent(event("drop"));
}"""


async def moved(me: Console, name: str, doing: str, within: float = 60) -> None:
    """Wait until what is moved under this name is `doing`."""
    row = me.page.locator(".move", has_text=name).last

    async def look() -> bool:
        return await row.count() > 0 and await row.get_attribute("data-doing") == doing

    await eventually(look, within, f"{name} is not {doing}")


async def dropped_on_the_desktop(me: Console, home: Path) -> None:
    """The panel opens, and they are there, whole; what was there stays."""
    canvas = await me.page.get_by_test_id("stage").element_handle()
    files = [["notes.txt", 5], ["a picture.png", 3 * MEGABYTE]]
    await me.page.evaluate(_DROP, [canvas, files])
    await moved(me, "notes.txt", "done")
    await moved(me, "a picture.png", "done")
    assert (home / "notes.txt").read_bytes() == bytes([7]) * 5
    assert (home / "a picture.png").stat().st_size == 3 * MEGABYTE
    await me.page.get_by_text("a picture.png").first.wait_for()
    await me.shoot("1-dropped")
    await me.page.evaluate(_DROP, [canvas, [["notes.txt", 9]]])
    await me.page.get_by_text("notes (2).txt").wait_for()
    assert (home / "notes.txt").stat().st_size == 5
    assert (home / "notes (2).txt").stat().st_size == 9


async def a_folder_dropped(me: Console, home: Path, folder: Path) -> None:
    """It is put in with what is in it, as a file manager drops it."""
    deep = folder / "holiday" / "the sea"
    deep.mkdir(parents=True)
    (deep / "wave.txt").write_text("wave")
    (folder / "holiday" / "list.txt").write_text("list")
    place = await me.page.get_by_test_id("stage").bounding_box()
    assert place is not None
    dragged = {"items": [], "files": [str(folder / "holiday")], "dragOperationsMask": 1}
    about = {"x": place["x"] + 200, "y": place["y"] + 200, "data": dragged}
    hand = await me.page.context.new_cdp_session(me.page)
    for kind in ("dragEnter", "dragOver", "drop"):
        await hand.send("Input.dispatchDragEvent", {"type": kind, **about})
    await moved(me, "list.txt", "done")
    await moved(me, "wave.txt", "done")
    assert (home / "holiday/the sea/wave.txt").read_text() == "wave"
    assert (home / "holiday/list.txt").read_text() == "list"


async def chosen_while_the_line_breaks(me: Console, home: Path, line: Line, big: Path) -> None:
    """It goes on from where it was."""
    await me.page.get_by_test_id("files-picker").set_input_files(str(big))

    async def under_way() -> bool:
        return any(one.stat().st_size > 4 * MEGABYTE for one in unfinished(home))

    await eventually(under_way, 30, "nothing of the big file has come")
    line.cut()
    await moved(me, "big.bin", "broken")
    await me.shoot("2-broken")
    line.mend()
    await moved(me, "big.bin", "done", within=90)
    assert await asyncio.to_thread(sha, home / "big.bin") == sha(big)
    assert not unfinished(home)


async def folders(me: Console, home: Path, inside: Path) -> None:
    """They are made, gone into, filled; what is in them is renamed."""
    page = me.page
    await me.press("files-folder")
    await page.get_by_label("Name of the folder").fill("papers")
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="papers", exact=True).click()
    await page.get_by_test_id("files-picker").set_input_files(str(inside))
    await moved(me, "inside.txt", "done")
    await page.get_by_label("Rename inside.txt").click()
    await page.get_by_label("New name").fill("renamed.txt")
    await page.keyboard.press("Enter")
    await page.get_by_label("Download renamed.txt").wait_for()
    assert (home / "papers/renamed.txt").read_text() == "inside"
    await page.get_by_role("button", name="Home", exact=True).click()


async def taken_out(me: Console, home: Path, big: Path) -> None:
    """A file, and a folder as a zip, which is then deleted."""
    page = me.page
    async with page.expect_download() as taken:
        await page.get_by_label("Download big.bin").click()
    assert sha(Path(await (await taken.value).path())) == sha(big)
    async with page.expect_download() as taken:
        await page.get_by_label("Download papers").click()
    with zipfile.ZipFile(await (await taken.value).path()) as archive:
        assert archive.read("papers/renamed.txt") == b"inside"
    await page.get_by_label("Delete papers").click()
    await me.press("files-delete-yes")
    await page.get_by_label("Delete papers").wait_for(state="detached")
    assert not (home / "papers").exists()
    await me.shoot("3-taken-out")


async def while_it_sleeps(me: Console, session: str, inside: Path) -> None:
    """The panel works without the desktop, which then finds what was put in."""
    page = me.page
    await me.press("hibernate-session")
    await page.get_by_test_id("wake").wait_for()
    await page.get_by_label("Download notes.txt").wait_for()
    await page.get_by_test_id("files-picker").set_input_files(str(inside))
    await page.get_by_label("Download inside.txt").wait_for()
    await me.shoot("4-asleep")
    await me.press("wake")
    await me.until_state("open", within=60)
    home = Desktop.of(session).root / "home/user"
    assert (home / "inside.txt").read_text() == "inside"
    # The panel goes on with the desktop that runs now.
    await page.get_by_label("Delete inside.txt").click()
    await me.press("files-delete-yes")
    await page.get_by_label("Delete inside.txt").wait_for(state="detached")
    assert not (home / "inside.txt").exists()


async def only_watched(me: Console) -> None:
    """What cannot be done is said; who watches may take, and change nothing."""
    page = me.page
    await page.get_by_label("Rename notes.txt").click()
    await page.get_by_label("New name").fill("../../notes.txt")
    await page.keyboard.press("Enter")
    await page.get_by_role("alert").wait_for()
    assert "go up" in (await page.get_by_role("alert").inner_text())
    await me.press("files", "picture", "only-watch", "files")
    await page.get_by_label("Download notes.txt").wait_for()
    assert await page.get_by_label("Delete notes.txt").count() == 0
    assert await page.get_by_test_id("files-upload").is_disabled()


@asynccontextmanager
async def opened(
    instance: Instance, template: str, *switches: str
) -> AsyncIterator[tuple[Console, str]]:
    """Have a desktop open in a browser; yield it and its session."""
    async with chromium(*switches) as browser:
        me = await Console.open(browser, f"files-{template}")
        async with me.shot_if_it_fails():
            await me.sign_in(instance.another_link())
            session = await me.new_session(template)
            await me.until_state("open", within=60)
            yield me, session
            assert me.failures == []


@pytest.mark.timeout(240)
async def test_files_in_the_browser(instance: Instance, tmp_path: Path) -> None:
    big = tmp_path / "big.bin"
    big.write_bytes(os.urandom(40 * MEGABYTE))
    (tmp_path / "inside.txt").write_text("inside")
    async with Line.open(instance.port) as line:
        to_line = f"MAP 127.0.0.1:{instance.port} 127.0.0.1:{line.port}"
        by_line = f"--host-resolver-rules={to_line}"
        async with opened(instance, "desktop", by_line) as (me, session):
            home = Desktop.of(session).root / "home/user"
            await dropped_on_the_desktop(me, home)
            await a_folder_dropped(me, home, tmp_path)
            await chosen_while_the_line_breaks(me, home, line, big)
            await folders(me, home, tmp_path / "inside.txt")
            await taken_out(me, home, big)
            await while_it_sleeps(me, session, tmp_path / "inside.txt")
            await only_watched(me)
            await me.page.emulate_media(color_scheme="dark")
            await me.page.set_viewport_size({"width": 390, "height": 800})
            await asyncio.sleep(0.5)  # colours change gently
            await me.shoot("5-phone-dark")


@pytest.mark.timeout(240)
async def test_files_over_rdp(instance: Instance, tmp_path: Path) -> None:
    big = tmp_path / "big.bin"
    big.write_bytes(os.urandom(MEGABYTE))
    (tmp_path / "inside.txt").write_text("inside")
    async with opened(instance, "rdp") as (me, session):
        home = Desktop.of(session).root / "home/user"
        await dropped_on_the_desktop(me, home)
        await folders(me, home, tmp_path / "inside.txt")
        await me.page.get_by_test_id("files-picker").set_input_files(str(big))
        await moved(me, "big.bin", "done")
        await taken_out(me, home, big)
        await while_it_sleeps(me, session, tmp_path / "inside.txt")
        await only_watched(me)
        instance.porthole("session", "delete", session, "--wait")


def unfinished(home: Path) -> list[Path]:
    """Return what is left in a home of uploads."""
    return list(home.glob(".porthole-upload-*"))


def sha(path: Path) -> str:
    """Return what tells a file from another."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
