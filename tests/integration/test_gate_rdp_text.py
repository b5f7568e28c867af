"""What an input method makes arrives over RDP, in its order with keys, from who may use it."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from porthole_contract.stream import control, drive
from porthole_contract.stream.closing import CloseReason
from tests.support.desktop_pair import DesktopPair
from tests.support.drive_client import DriveClient
from tests.support.rdp_typist import (
    CAPS_LOCK,
    CONTROL,
    ENTER,
    SHIFT,
    SPACE,
    C,
    D,
    E,
    K,
    N,
    O,
    Typist,
    key,
    tapped,
    typing,
    written,
)
from tests.support.waiting import until

JAPANESE = "日本語の文です。いろはにほへとちりぬるをわかよたれそつねならむ"
TERMINAL = ["xterm", "-u8", "-T", "Terminal", "-geometry", "90x20+0+30"]


@pytest.fixture(scope="module", params=[["rdp"], ["vnc", "rdp"]], ids="+".join)
def desktop(request: pytest.FixtureRequest) -> Iterator[DesktopPair]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        made = DesktopPair(Path(folder))
        programs = [{"name": "Terminal", "command": TERMINAL, "autostart": True}]
        made.start_desktop(protocols=request.param, programs=programs)
        made.start_gate(screens=request.param)
        try:
            made.wait_healthy()
            yield made
        finally:
            made.stop()


@pytest.fixture
async def pair(desktop: DesktopPair) -> AsyncIterator[DesktopPair]:
    yield desktop
    await desktop.close_streams()


async def begins(pair: DesktopPair, typist: Typist, name: str, seconds: float = 20) -> Path:
    """Have a file written by what is typed from now on."""
    typist.click(300, 200)
    typist.say([key(CONTROL, down=True), *tapped(C), key(CONTROL, down=False)])
    await asyncio.sleep(1)  # the first picture is still being made
    typist.text(f"cat > ~/{name}")
    typist.tap(ENTER)
    await until((pair.home / name).exists, seconds)
    return pair.home / name


async def ends(typist: Typist, path: Path, text: str) -> None:
    """End the file, in which this is to be."""
    typist.say([key(CONTROL, down=True), *tapped(D), key(CONTROL, down=False)])
    await until(lambda: path.read_text() == text)


async def test_text_arrives_in_its_order_with_keys(pair: DesktopPair) -> None:
    async with typing(pair) as typist:
        path = await begins(pair, typist, "order")
        typist.text(JAPANESE)
        typist.tap(SPACE, O, K, ENTER)
        typist.say(
            [*tapped(O), *written("いい"), *tapped(N, E), *written("ñ😀"), *tapped(K, ENTER)]
        )
        typist.text("both\rways\n")
        typist.slow_text("slow ё")
        typist.tap(ENTER)
        wanted = f"{JAPANESE} ok\noいいneñ😀k\nboth\nways\nslow ё\n"
        await until(lambda: path.read_text() == wanted)
        typist.text("gone\b\b\b\bleft")
        typist.tap(ENTER)
        await ends(typist, path, wanted + "left\n")


async def test_text_is_written_as_it_is_whatever_is_held_or_locked(pair: DesktopPair) -> None:
    async with typing(pair) as typist:
        path = await begins(pair, typist, "held")
        typist.say([key(SHIFT, down=True), *written("Ab1 é日\n"), key(SHIFT, down=False)])
        typist.text("cD\n")
        typist.tap(CAPS_LOCK)
        typist.text("eF日\n")
        typist.tap(O, CAPS_LOCK, K, ENTER)
        await ends(typist, path, "Ab1 é日\ncD\neF日\nOk\n")


async def test_who_only_looks_writes_nothing_until_they_may(pair: DesktopPair) -> None:
    commander = await pair.control()
    async with typing(pair, "view") as typist:
        typist.click(300, 200)
        typist.text("touch ~/looked\n")
        typist.slow_text("touch ~/looked\n")
        await asyncio.sleep(1)
        done = await commander.order(control.SetMode, stream=typist.stream, mode="control")
        assert done.error is None
        path = await begins(pair, typist, "allowed")
        typist.text("文\n")
        await ends(typist, path, "文\n")
    assert not (pair.home / "looked").exists()


async def test_a_right_that_is_taken_back_ends_text_in_its_middle(pair: DesktopPair) -> None:
    commander = await pair.control()
    async with typing(pair) as typist:
        path = await begins(pair, typist, "revoked")
        typist.text("".join(f"{chr(0x4E00 + number)}\n" for number in range(300)))
        await until(lambda: path.read_text().count("\n") > 3)
        await commander.order(control.SetMode, stream=typist.stream, mode="view")
        await asyncio.sleep(1.5)
        seen = path.read_text()
        assert seen.count("\n") < 150
        await asyncio.sleep(1.5)
        assert path.read_text() == seen
        await commander.order(control.SetMode, stream=typist.stream, mode="control")
        typist.text("\nagain\n")
        await until(lambda: path.read_text().endswith("\nagain\n"))
        await ends(typist, path, path.read_text())


async def test_text_is_use_of_a_desktop_and_in_no_log(pair: DesktopPair) -> None:
    async def idle() -> float:
        return (await (await pair.control("observe")).state()).idle_seconds

    async with typing(pair) as typist:
        path = await begins(pair, typist, "used")
        await asyncio.sleep(2)
        assert await idle() > 1.5
        typist.text("密\n")
        await until(lambda: path.read_text() == "密\n")
        assert await idle() < 1.5
        await ends(typist, path, "密\n")
    assert "密" not in pair.log("gate") + pair.log("supervisor")


async def test_who_writes_comes_between_what_a_program_does(pair: DesktopPair) -> None:
    async with typing(pair) as typist:
        path = await begins(pair, typist, "between")
        request = pair.identity.request("drive", "control")
        program = DriveClient(*await pair.open(request))
        actions = (drive.TypeText(text="a机"), drive.Pause(seconds=4), drive.TypeText(text="b\n"))
        driving = asyncio.create_task(program.act(*actions))
        await asyncio.sleep(1)
        typist.text("人\n")
        await until(lambda: path.read_text() == "a机人\n", within=2.5)
        assert isinstance(await driving, drive.Done)
        await ends(typist, path, "a机人\nb\n")


async def test_a_flood_of_text_is_bounded_and_ends_with_who_sends_it(pair: DesktopPair) -> None:
    before = memory(pair)
    watcher = await pair.control("observe")
    async with typing(pair) as typist:
        await begins(pair, typist, "flood")
        for _ in range(40):
            typist.text("".join(map(chr, range(0x4E00, 0x9E00))))
        program = DriveClient(*await pair.open(pair.identity.request("drive", "control")))
        begun = time.monotonic()
        assert isinstance(await program.act(drive.TypeText(text="机")), drive.Done)
        assert time.monotonic() - begun < 15
        assert memory(pair) - before < 32 * 2**20
        typist.leave()
        closed = await watcher.closed()
        assert (closed.viewer.stream, closed.reason) == (typist.stream, CloseReason.VIEWER_LEFT)
    async with typing(pair) as typist:
        # Each new character was news for the window manager, which comes to the click when it can.
        await begins(pair, typist, "after", seconds=60)


def memory(pair: DesktopPair) -> int:
    """Return the resident bytes of the gate."""
    assert pair.gate is not None
    pages = Path(f"/proc/{pair.gate.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")
