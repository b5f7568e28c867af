"""A program looks at a real desktop and uses it, through a real gate."""

import asyncio
import contextlib
import io
import json
import os
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from PIL import Image

from porthole_contract.stream import control, drive
from porthole_desktop.supervisor import protocol
from tests.support.desktop_pair import DesktopPair, NotAdmitted, a_stream
from tests.support.drive_client import DriveClient
from tests.support.waiting import until

TERMINAL = ["xterm", "-u8", "-T", "Terminal", "-geometry", "90x20+0+30"]
QUIET = drive.AwaitStill(quiet=0.3, within=10)
STRANGE = "Grüße, ñandú & “Zitate” €5 — 日本語の文 ж Ω \U0001f600 {[~\\|@]}"


@pytest.fixture(scope="module")
def desktop() -> Iterator[DesktopPair]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        pair = DesktopPair(Path(folder))
        try:
            programs = [{"name": "Terminal", "command": TERMINAL, "autostart": True}]
            pair.start_desktop(programs=programs)
            pair.start_gate()
            pair.wait_healthy()
            yield pair
        finally:
            pair.stop()


@pytest.fixture
async def pair(desktop: DesktopPair) -> AsyncIterator[DesktopPair]:
    yield desktop
    await desktop.close_streams()


async def driving(pair: DesktopPair, mode: str = "control") -> DriveClient:
    return DriveClient(*await pair.open(pair.identity.request("drive", mode)))


async def focused(pair: DesktopPair) -> DriveClient:
    """Return a client whose keys go to the terminal."""
    client = await driving(pair)
    place = drive.MovePointer(x=300, y=200)
    click = [drive.PressButton(button=1, down=down) for down in (True, False)]
    assert await client.act(place, *click, QUIET) == drive.Done(id=1, still=True)
    return client


async def test_a_picture_shows_the_screen(pair: DesktopPair):
    client = await driving(pair, "view")
    answer, png = await client.ask(drive.TakePicture)
    assert isinstance(answer, drive.Picture)
    image = Image.open(io.BytesIO(png))
    assert image.size == (answer.width, answer.height) == (800, 600)
    colours = image.getcolors(1 << 20)
    assert colours is not None
    assert len(colours) > 100
    small, png = await client.ask(drive.TakePicture, width=200)
    assert isinstance(small, drive.Picture)
    assert Image.open(io.BytesIO(png)).size == (200, 150)


async def test_any_text_is_typed_as_it_is(pair: DesktopPair):
    client = await focused(pair)
    file = pair.home / "typed"
    done = await client.act(drive.TypeText(text=f"cat > {file}\n"), QUIET)
    assert isinstance(done, drive.Done)
    ideographs = "".join(chr(0x4E00 + number) for number in range(90))
    for text in (STRANGE, ideographs):
        assert isinstance(await client.act(drive.TypeText(text=f"{text}\n"), QUIET), drive.Done)
    await client.act(drive.PressKeys(do="tap", keys=(0xFFE3, ord("d"))))
    await until(lambda: file.exists() and file.read_text().count("\n") == 2)
    assert file.read_text() == f"{STRANGE}\n{ideographs}\n"


async def test_a_window_is_waited_for_by_its_title(pair: DesktopPair):
    client = await focused(pair)
    titled = drive.TypeText(text="printf '\\033]2;Später da\\007'; sleep 1\n")
    done = await client.act(titled, drive.AwaitWindow(title="SPÄTER", within=20), QUIET)
    assert isinstance(done, drive.Done)
    never = drive.AwaitWindow(title="never", within=0.2)
    failed = await client.act(drive.Pause(seconds=0), never, drive.TypeText(text="not typed"))
    assert isinstance(failed, drive.Failed)
    assert (failed.code, failed.at) == ("no_window", 1)
    assert "'never'" in failed.message


async def test_a_screen_that_does_not_rest_is_waited_for_as_long_as_was_said(pair: DesktopPair):
    client = await focused(pair)
    moving = drive.TypeText(text="while sleep 0.05; do date +%N; done\n")
    done = await client.act(moving, drive.Pause(seconds=0.5), drive.AwaitStill(quiet=1, within=2))
    assert isinstance(done, drive.Done)
    assert done.still is False
    done = await client.act(drive.PressKeys(do="tap", keys=(0xFFE3, ord("c"))), QUIET)
    assert isinstance(done, drive.Done)
    assert done.still is True


async def test_caps_lock_changes_nothing_of_a_text(pair: DesktopPair):
    client = await focused(pair)
    lock, file = drive.PressKeys(do="tap", keys=(0xFFE5,)), pair.home / "locked"
    await client.act(lock, drive.TypeText(text=f"echo aBcÄö > {file}\n"), lock, QUIET)
    await until(lambda: file.exists() and file.read_text() != "")
    assert file.read_text() == "aBcÄö\n"


async def test_the_clipboard_is_pasted_and_copied_by_programs(pair: DesktopPair):
    client = await focused(pair)
    text = "Zeile ÄÖÜ 日本 \U0001f600\n" * 25000
    raw = text.encode()
    done, _ = await client.ask(drive.WriteClipboard, bytes=len(raw), raw=raw)
    assert isinstance(done, drive.Done)
    assert (await client.ask(drive.ReadClipboard))[1] == raw
    new, pasted = pair.home / "pasted.new", pair.home / "pasted"
    line = f"xclip -o -selection clipboard > {new}; mv {new} {pasted}\n"
    await client.act(drive.TypeText(text=line), QUIET)
    await until(pasted.exists)
    assert pasted.read_text() == text
    # As long a text comes back in parts.
    pasted.write_text(text[::-1])
    await client.act(drive.TypeText(text=f"xclip -i -selection clipboard < {pasted}\n"), QUIET)
    async with asyncio.timeout(20):
        while (await client.ask(drive.ReadClipboard))[1].decode() != text[::-1]:
            await asyncio.sleep(0.1)


async def test_a_clipboard_that_is_too_long_is_refused_in_words(pair: DesktopPair):
    client, file = await focused(pair), pair.home / "long"
    file.write_text("x" * (drive.LARGEST_CLIPBOARD + 1))
    await client.act(drive.TypeText(text=f"xclip -i -selection clipboard < {file}\n"), QUIET)
    async with asyncio.timeout(20):
        while True:
            answer, _ = await client.ask(drive.ReadClipboard)
            if isinstance(answer, drive.Failed):
                break
            await asyncio.sleep(0.1)
    assert answer.code == "clipboard_too_long"
    done, _ = await client.ask(drive.WriteClipboard, bytes=1, raw=b"x")
    assert isinstance(done, drive.Done)
    assert (await client.ask(drive.ReadClipboard))[1] == b"x"


async def test_a_picture_is_pasted_and_copied_by_programs(pair: DesktopPair):
    client = await focused(pair)
    image = Image.effect_noise((500, 400), 90)
    made = io.BytesIO()
    image.save(made, "PNG")
    png = made.getvalue()
    done, _ = await client.ask(drive.WriteImage, bytes=len(png), raw=png)
    assert isinstance(done, drive.Done)
    assert (await client.ask(drive.ReadImage))[1] == png
    assert (await client.ask(drive.ReadClipboard))[1] == b""
    new, pasted = pair.home / "pasted.png.new", pair.home / "pasted.png"
    xclip = "xclip -selection clipboard -t image/png"
    await client.act(drive.TypeText(text=f"{xclip} -o > {new}; mv {new} {pasted}\n"), QUIET)
    await until(pasted.exists)
    assert pasted.read_bytes() == png
    other = io.BytesIO()
    image.rotate(90).save(other, "PNG")
    pasted.write_bytes(other.getvalue())
    await client.act(drive.TypeText(text=f"{xclip} -i < {pasted}\n"), QUIET)
    async with asyncio.timeout(20):
        while (await client.ask(drive.ReadImage))[1] != other.getvalue():
            await asyncio.sleep(0.1)


async def test_a_template_closes_the_clipboard_each_way_for_all(desktop: DesktopPair) -> None:
    copied = "printf inside | xclip -i -selection clipboard\n"
    for rules in ({"upload": False}, {"download": False, "most": 8}):
        desktop.stop_gate()
        desktop.start_gate(clipboard=rules)
        await asyncio.to_thread(desktop.wait_healthy)
        client, person = await focused(desktop), await desktop.view()
        with pytest.raises(NotAdmitted) as caught:
            await desktop.open(desktop.identity.request("exec", "control"))
        assert caught.value.code == "programs_forbidden"
        if "upload" in rules:
            person.cut_text("outside")
            refused, _ = await client.ask(drive.WriteClipboard, bytes=7, raw=b"outside")
            await client.act(drive.TypeText(text=copied), QUIET)
            await person.until(lambda c: "inside" in c.clipboard)
            assert (await client.ask(drive.ReadClipboard))[1] == b"inside"
        else:
            await client.act(drive.TypeText(text=copied), QUIET)
            refused, _ = await client.ask(drive.ReadClipboard)
            await person.refresh()
            assert person.clipboard == []
            long, _ = await client.ask(drive.WriteClipboard, bytes=9, raw=b"too long!")
            assert isinstance(long, drive.Failed)
            assert long.code == "clipboard_too_long"
            done, _ = await client.ask(drive.WriteClipboard, bytes=7, raw=b"outside")
            assert isinstance(done, drive.Done)
        assert isinstance(refused, drive.Failed)
        assert refused.code == f"clipboard_{next(iter(rules))}_forbidden"
        await desktop.close_streams()
    desktop.stop_gate()
    desktop.start_gate()
    await asyncio.to_thread(desktop.wait_healthy)


async def test_a_clipboard_of_a_hundred_megabytes_disturbs_nobody(pair: DesktopPair) -> None:
    person, other = await pair.view(), await pair.view()
    person.writer.write(struct.pack(">B3xi", 6, 100 * 2**20))
    part = bytes(2**20)
    for number in range(100):
        person.writer.write(part)
        if number % 10 == 0:
            await other.refresh()
    person.cut_text("short")
    await person.refresh()
    client = await driving(pair)
    async with asyncio.timeout(20):
        while (await client.ask(drive.ReadClipboard))[1] != b"short":
            await asyncio.sleep(0.1)


async def test_who_only_looks_can_do_nothing_else(pair: DesktopPair):
    client = await driving(pair, "view")
    for ask in (
        client.ask(drive.Act, actions=(drive.TypeText(text="touch /tmp/never\n"),)),
        client.ask(drive.ReadClipboard),
        client.ask(drive.WriteClipboard, bytes=5, raw=b"never"),
    ):
        answer, _ = await ask
        assert isinstance(answer, drive.Failed)
        assert answer.code == "view_only"
    answer, _ = await client.ask(drive.TakePicture)
    assert isinstance(answer, drive.Picture)


async def test_a_right_that_is_taken_back_ends_what_is_under_way(pair: DesktopPair):
    name = a_stream()
    reader, writer = await pair.open(pair.identity.request("drive", "control", name))
    client, commander = DriveClient(reader, writer), await pair.control()
    writer.write(drive.encode(drive.Act(id=1, actions=(drive.Pause(seconds=50),))))
    await asyncio.sleep(0.3)
    done = await commander.order(control.SetMode, stream=name, mode="view")
    assert done.error is None
    await client.over(seconds=5)
    # The supervisor has stopped it, too: the next program has its turn at once.
    other = await driving(pair)
    assert isinstance(await other.act(drive.Pause(seconds=0), seconds=5), drive.Done)


async def test_too_many_events_are_refused_in_words_and_nobody_else_suffers(pair: DesktopPair):
    programs, viewer = [await driving(pair) for _ in range(8)], await driving(pair, "view")
    moves = [drive.MovePointer(x=number % 700, y=300) for number in range(1000)]
    acting = asyncio.gather(*(program.act(*moves) for program in programs))
    answer, _ = await viewer.ask(drive.TakePicture, width=100)
    assert isinstance(answer, drive.Picture)
    answers = await acting
    refused = [one for one in answers if isinstance(one, drive.Failed)]
    assert {one.code for one in refused} == {"too_fast"}
    assert len(refused) < len(answers)
    async with asyncio.timeout(20):
        while isinstance(await programs[0].act(*moves[:1]), drive.Failed):
            await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    "line",
    [
        b"rubbish\n",
        b'{"type":"act","id":1,"actions":[{"do":"tap","keys":[0]}]}\n',
        b'{"type":"write_clipboard","id":1,"bytes":100000000}\n',
        b'{"type":"act","id":1,"actions":[{"do":"text","text":"\\u0000"}]}\n',
        b"x" * (drive.LONGEST_LINE + 10),
    ],
)
async def test_what_is_no_request_ends_the_stream_with_a_reason(pair: DesktopPair, line: bytes):
    commander = await pair.control("observe")
    client = await driving(pair)
    client.writer.write(line)
    closed = await commander.closed()
    assert closed.reason == "viewer_protocol"
    await client.over()


async def test_keys_that_are_held_are_let_go_when_the_program_leaves(pair: DesktopPair):
    client = await focused(pair)
    await client.act(drive.PressKeys(do="press", keys=(0xFFE3,)))
    await pair.close_streams()
    again, file = await focused(pair), pair.home / "let-go"
    await again.act(drive.TypeText(text=f"echo d > {file}\n"), QUIET)
    await until(lambda: file.exists() and file.read_text() == "d\n")


async def test_who_leaves_lets_go_of_nothing_that_others_hold(pair: DesktopPair):
    client, file = await focused(pair), pair.home / "held"
    await client.act(drive.TypeText(text="echo "), drive.PressKeys(do="press", keys=(0xFFE1,)))
    looker = await driving(pair, "view")
    assert isinstance((await looker.ask(drive.TakePicture, width=100))[0], drive.Picture)
    looker.writer.close()
    await asyncio.sleep(0.3)
    shift = drive.PressKeys(do="release", keys=(0xFFE1,))
    await client.act(drive.PressKeys(do="tap", keys=(0x61,)), shift)
    await client.act(drive.TypeText(text=f" > {file}\n"), QUIET)
    await until(lambda: file.exists() and file.read_text() != "")
    assert file.read_text() == "A\n"


class HostileDesktop:
    """A supervisor that answers as it likes."""

    def __init__(self, folder: Path, answer: bytes) -> None:
        self.answer = answer
        self.writers: list[asyncio.StreamWriter] = []
        self.path = folder / "supervisor.sock"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder, number = protocol.Decoder(), 0
        writer.write(protocol.hello("supervisor") + protocol.say("state", drawn=True))
        self.writers.append(writer)
        while data := await reader.read(65536):
            for frame in decoder.feed(data):
                if frame.channel:
                    if frame.kind is protocol.Kind.BYTES:
                        said = protocol.encode(number, protocol.Kind.BYTES, self.answer)
                        writer.write(said * (4 if self.answer.startswith(b"x") else 1))
                elif (message := json.loads(frame.payload))["type"] == "open":
                    number = message["channel"]
                    writer.write(protocol.say("reply", id=message["id"], ok=True))


@pytest.mark.parametrize(
    "answer",
    [
        b"rubbish\n",
        b'{"type":"picture","id":1,"width":1,"height":1,"bytes":99999999}\n',
        b'{"type":"picture","id":7,"width":1,"height":1,"bytes":1}\n.',
        b'{"type":"clipboard","id":1,"bytes":5}\nstolen',
        b'{"type":"done","id":1}\n{"type":"done","id":1}\n',
        b"x" * 65536,
    ],
)
async def test_a_desktop_that_answers_what_was_not_asked_is_cut_off(answer: bytes):
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        pair = DesktopPair(Path(folder))
        hostile = HostileDesktop(pair.sockets, answer)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(hostile.path))
        os.chmod(hostile.path, 0o660)  # noqa: PTH101 - the socket's own file
        server = await asyncio.start_unix_server(hostile.serve, sock=listener)
        try:
            pair.start_gate()
            observer = await pair.control("observe")
            await observer.state(lambda state: state.drawn)
            client = await driving(pair, "view")
            client.writer.write(drive.encode(drive.TakePicture(id=1)))
            closed = await observer.closed()
            assert closed.reason == "desktop_protocol"
        finally:
            await pair.close_streams()
            pair.stop()
            server.close()
            for writer in hostile.writers:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
