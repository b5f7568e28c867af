"""One desktop seen in four ways at once: noVNC, IronRDP, FreeRDP and TigerVNC's viewer.

What one of them types the others show. The screenshots of each, and the four in one picture, are
kept for whoever wants to look at them.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw

from e2e.support.alike import psnr
from e2e.support.console import OUT, Console, chromium, eventually, until_holds
from e2e.support.instance import Instance
from e2e.support.native import a_door, a_session
from tests.support.rdp_client import RdpClient
from tests.support.vnc_client import VncClient

NOISE = 22.0
"""dB, where something was typed: noVNC's picture loses a little, and missing words are below 10."""
Look = Callable[[], Awaitable[Image.Image]]


@pytest.fixture
def native() -> Iterator[tuple[RdpClient, VncClient]]:
    with ExitStack() as stack:
        one, other = (
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ph-"))) for _ in range(2)
        )
        yield stack.enter_context(RdpClient(one)), stack.enter_context(VncClient(other))


@pytest.mark.timeout(240)
async def test_what_one_types_the_others_show(
    instance: Instance, native: tuple[RdpClient, VncClient], tmp_path: Path
) -> None:
    freerdp, tigervnc = native
    async with AsyncExitStack() as stack:
        browser = await stack.enter_async_context(chromium())
        novnc = await Console.open(browser, "four-novnc")
        await stack.enter_async_context(novnc.shot_if_it_fails())
        await novnc.sign_in(instance.another_link())
        name, desktop = stack.enter_context(a_session(instance, "dual"))
        await novnc.page.get_by_role("link", name=name).first.click()
        await novnc.until_state("open", within=30)
        ironrdp = await _chooses_rdp(stack, novnc)
        size = await _one_size(novnc, ironrdp)

        door = stack.enter_context(a_door(instance, name, "--rdp"))
        of_size = "x".join(map(str, size))
        await asyncio.to_thread(freerdp.connect, door.address, of_size, password=door.passwords[-1])
        await asyncio.to_thread(freerdp.wait_picture, colours=500)
        other = stack.enter_context(a_door(instance, name, "--vnc"))
        host, _, port = other.address.partition(":")
        begun = (f"{host}::{port}", other.passwords[-1], "-RemoteResize=0")
        await asyncio.to_thread(tigervnc.begin, *begun)
        tigervnc.size = size
        await asyncio.to_thread(tigervnc.wait_picture, colours=500)

        looks: dict[str, Look] = {
            "noVNC": novnc.picture,
            "IronRDP": ironrdp.picture,
            "FreeRDP": partial(asyncio.to_thread, freerdp.picture),
            "TigerVNC": partial(asyncio.to_thread, tigervnc.picture),
        }
        types: dict[str, Callable[[str], Awaitable[None]]] = {
            "noVNC": novnc.type,
            "IronRDP": ironrdp.type,
            "FreeRDP": partial(_types, freerdp),
            "TigerVNC": partial(_types, tigervnc),
        }
        assert looks.keys() == types.keys()
        screen = partial(asyncio.to_thread, desktop.screen, tmp_path / "screen.png")
        for who, write in types.items():
            before = await screen()
            await write(f"touch by-{who.lower()}")
            await until_holds(desktop, f"by-{who.lower()}", "")
            await _all_show_what_is_new(before, screen, looks)
        await novnc.shoot("console")
        await ironrdp.shoot("console")
        await _keep(looks)
        assert (novnc.failures, ironrdp.failures) == ([], [])


async def _chooses_rdp(stack: AsyncExitStack, novnc: Console) -> Console:
    """Look at the same session in another window, over the other protocol; a reload keeps that."""
    made = await novnc.sibling("four-ironrdp")
    await stack.enter_async_context(made.shot_if_it_fails())
    modules: list[str] = []
    made.page.on("request", lambda one: modules.append(one.url) if ".wasm" in one.url else None)
    await made.page.goto(novnc.page.url)
    await made.until_state("open", within=20)
    assert modules == []
    await made.press("picture", "over-rdp")
    await made.page.wait_for_url("**?over=rdp")
    await made.until_state("open", within=20)
    assert modules
    await made.page.reload()
    await made.until_state("open", within=20)
    assert made.page.url.endswith("?over=rdp")
    return made


async def _one_size(*consoles: Console) -> tuple[int, int]:
    """Wait until the desktop's size is everybody's; return it."""
    sizes: list[tuple[int, int]] = []

    async def look() -> bool:
        sizes[:] = [(await one.picture()).size for one in consoles]
        return len(set(sizes)) == 1

    await eventually(look, 15, lambda: f"one size: {sizes}")
    return sizes[0]


async def _types(client: RdpClient, line: str) -> None:
    await asyncio.to_thread(client.click, client.size[0] // 2, client.size[1] // 2)
    await asyncio.to_thread(client.type, f"{line}\n")


async def _all_show_what_is_new(before: Image.Image, screen: Look, looks: dict[str, Look]) -> None:
    """Wait until everybody's picture is the screen's where that has changed."""
    said: dict[str, float] = {}

    async def look() -> bool:
        now = await screen()
        box = ImageChops.difference(before, now).getbbox()
        if box is None:
            return False
        said.clear()
        for who, take in looks.items():
            picture = await take()
            assert picture.size == now.size, who
            said[who] = psnr(picture.convert("RGB").crop(box), now.crop(box))
        return all(noise >= NOISE for noise in said.values())

    await eventually(look, 15, lambda: f"everybody shows it: {said} dB")


async def _keep(looks: dict[str, Look]) -> None:
    """Keep a picture of each, and one of all."""
    OUT.mkdir(exist_ok=True)
    pictures = {who: (await take()).convert("RGB") for who, take in looks.items()}
    width, height = next(iter(pictures.values())).size
    whole = Image.new("RGB", (2 * width + 12, 2 * height + 60), "white")
    drawn = ImageDraw.Draw(whole)
    for at, (who, picture) in enumerate(pictures.items()):
        picture.save(OUT / f"four-{who.lower()}.png")
        x, y = at % 2 * (width + 12), at // 2 * (height + 30)
        drawn.text((x + 8, y + 8), who, fill="black")
        whole.paste(picture, (x, y + 28))
    whole.save(OUT / "four-views.png")
