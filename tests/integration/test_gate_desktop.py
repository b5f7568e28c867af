"""A real desktop through a real gate: seen, used, resized; and only by whom it should be."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from porthole_contract.stream import control
from porthole_contract.stream.grant import issue
from porthole_desktop.supervisor.usage import look
from tests.support.desktop_pair import DesktopPair, NotAdmitted, a_stream
from tests.support.rfb_client import (
    CURSOR,
    DEFAULT,
    EXTENDED_CLIPBOARD,
    TIGHT,
    VMWARE_CURSOR,
    ZRLE,
    RfbClient,
)


@pytest.fixture(scope="module")
def pair() -> Iterator[DesktopPair]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        made = DesktopPair(Path(folder))
        made.start_desktop()
        made.start_gate()
        try:
            made.wait_healthy()
            yield made
        finally:
            made.stop()


@pytest.fixture(autouse=True)
async def _closed(pair: DesktopPair) -> AsyncIterator[None]:
    yield
    await pair.close_streams()


@pytest.mark.skipif(look() is None, reason="no control group is shown here")
async def test_it_is_told_what_desktop_and_gate_use(pair: DesktopPair) -> None:
    watcher = await pair.control("observe")
    first = (await watcher.state(lambda state: state.usage is not None)).usage
    assert first is not None
    assert (first.cpu_seconds > 0, first.memory > 2**20) == (True, True)

    def newer(state: control.State) -> bool:
        return state.usage is not None and state.usage.cpu_seconds > first.cpu_seconds

    later = await watcher.state(newer, seconds=20)
    assert later.usage is not None
    assert later.usage.age < 10


async def focus(client: RfbClient) -> None:
    """Click into the terminal, which stands in the middle."""
    await client.refresh()
    client.click(client.width // 2, client.height // 2 - 40)
    await client.settle(0.3)


async def appears(path: Path, seconds: float = 10) -> str:
    """Wait until a file has something in it."""
    until = time.monotonic() + seconds
    while not (text := await asyncio.to_thread(_read, path)):
        assert time.monotonic() < until, f"{path} does not appear"
        await asyncio.sleep(0.05)
    return text


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


async def until_closed(step: Callable[[], Awaitable[object]]) -> None:
    """Read until the other side closes."""
    with contextlib.suppress(EOFError):  # IncompleteReadError is one
        while True:
            await step()


async def test_a_person_sees_and_uses_the_desktop(pair: DesktopPair) -> None:
    client = await pair.view()
    await focus(client)
    assert client.name == "a test"
    assert len(client.image().getcolors(10**6) or ()) > 50
    before = client.image()
    client.type("echo seen > ~/typed\n")
    assert await appears(pair.home / "typed") == "seen\n"
    await client.settle(0.3)
    assert client.image() != before
    client.close()


async def test_any_script_is_written_for_as_long_as_somebody_likes(pair: DesktopPair) -> None:
    client = await pair.view()
    await focus(client)
    for number in range(5):
        text = "".join(chr(0x4E00 + 40 * number + at) for at in range(40))
        until = time.monotonic() + 20
        # Once half of the keys for it are taken, a moment without new ones frees them.
        while (written := await _written(client, pair.home / "script", text)) != text:
            assert number > 1, written
            assert time.monotonic() < until, f"{written} of {text}"


async def test_keys_that_do_not_exist_disturb_nobody(pair: DesktopPair) -> None:
    client, other = await pair.view(), await pair.view()
    await focus(client)
    none = (0, 1, 0x00FFFFFF, 0x0100D800, 0x01FFFFFF, 0x1FFFFFFF, 0xFFFFFFFF)
    written = await _written(client, pair.home / "none", "plain", *none)
    assert written.endswith("plain")
    assert await _written(other, pair.home / "other", "plain") == "plain"


async def _written(client: RfbClient, path: Path, text: str, *keysyms: int) -> str:
    """Press keys and type a line into a new file; return what is in it then."""
    path.unlink(missing_ok=True)
    client.type(f"cat > ~/{path.name}\n")
    async with asyncio.timeout(10):
        while not path.exists():
            await asyncio.sleep(0.05)
    points = (ord(character) for character in text)
    for keysym in (*keysyms, *(one if one < 0x100 else 0x1000000 + one for one in points)):
        client.press(keysym)
    client.type("\n")
    client.key(0xFFE3, down=True)
    client.press(ord("d"))
    client.key(0xFFE3, down=False)
    return (await appears(path)).rstrip("\n")


async def test_clipboard_goes_both_ways(pair: DesktopPair) -> None:
    client = await pair.view()
    await focus(client)
    client.cut_text("from the viewer")
    client.type("xclip -o -selection clipboard > ~/pasted\n")
    assert await appears(pair.home / "pasted") == "from the viewer"
    client.type("echo from the desktop | xclip -i -selection clipboard\n")
    await client.until(lambda c: any("from the desktop" in text for text in c.clipboard))
    client.close()


async def test_any_text_goes_both_ways_by_the_extended_clipboard(pair: DesktopPair) -> None:
    client = await pair.view(encodings=(EXTENDED_CLIPBOARD, *DEFAULT))
    await focus(client)
    assert client.extended
    text = "Grüße, 世界 \N{SAILBOAT} " * 20_000  # 500 kB
    client.copy(text)
    client.type("xclip -o -selection clipboard > ~/wide.new; mv ~/wide.new ~/wide\n")
    reading = asyncio.create_task(client.settle(3))
    assert await appears(pair.home / "wide") == text
    await reading
    client.type("xclip -i -selection clipboard < ~/wide\n")
    await client.until(lambda c: text in c.clipboard)
    client.close()


async def test_who_may_use_it_later_has_the_extended_clipboard_then(pair: DesktopPair) -> None:
    name = a_stream()
    client = await pair.view("view", name, encodings=(EXTENDED_CLIPBOARD, *DEFAULT))
    user, commander = await pair.view(), await pair.control()
    await client.settle(0.3)
    assert client.extended
    await commander.order(control.SetMode, stream=name, mode="control")
    await focus(user)
    user.type("printf spater | xclip -i -selection clipboard\n")
    await client.until(lambda c: "spater" in c.clipboard)


async def test_every_encoding_shows_the_same(pair: DesktopPair) -> None:
    plain = await pair.view()
    await plain.settle(0.5)
    await plain.refresh()
    for encoding in (TIGHT, ZRLE):
        client = await pair.view("view", encodings=(encoding, *DEFAULT))
        await client.refresh()
        assert client.image() == plain.image(), encoding
        client.close()
    lossy = await pair.view("view", encodings=(TIGHT, -24, CURSOR, VMWARE_CURSOR, *DEFAULT[:2]))
    await lossy.refresh()
    lossy.close()
    plain.close()


async def test_the_screen_is_resized_and_painted_anew(pair: DesktopPair) -> None:
    client = await pair.view()
    await client.refresh()
    try:
        client.resize(1000, 700)
        await client.until(lambda c: (c.width, c.height) == (1000, 700))
        await client.settle(0.5)
        await client.refresh()
        # The wallpaper reaches into the new corner; an unpainted one would be black.
        assert client.pixel(995, 5) != (0, 0, 0)
    finally:
        client.resize(800, 600)
        await client.until(lambda c: (c.width, c.height) == (800, 600))
    client.close()


async def test_somebody_who_only_looks_has_no_effect(pair: DesktopPair) -> None:
    user, looker = await pair.view(), await pair.view("view")
    await focus(user)
    await looker.refresh()
    user.cut_text("mine")
    looker.click(400, 250)
    looker.type("touch ~/typed-by-looker\n")
    looker.cut_text("looker's")
    looker.resize(640, 480)
    await looker.settle(0.5)
    user.type("xclip -o -selection clipboard > ~/clip2; echo looked > ~/after-looker\n")
    assert await appears(pair.home / "after-looker") == "looked\n"
    assert (pair.home / "clip2").read_text() == "mine"
    user.type("echo secret | xclip -i -selection clipboard\n")
    await user.until(lambda c: any("secret" in text for text in c.clipboard))
    await looker.settle(0.3)
    await user.settle(0.3)
    assert looker.clipboard == []
    assert (looker.width, looker.height) == (800, 600)
    assert looker.image() == user.image()
    assert not (pair.home / "typed-by-looker").exists()
    user.close()
    looker.close()


async def test_a_stalled_viewer_disturbs_nobody(pair: DesktopPair) -> None:
    stalled = await pair.view()
    stalled.reader._transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(50):
        stalled.request(incremental=False)
    user = await pair.view()
    await focus(user)
    user.type("echo still here > ~/not-stalled\n")
    assert await appears(pair.home / "not-stalled") == "still here\n"
    user.close()
    stalled.writer.transport.abort()  # type: ignore[attr-defined]


async def test_observers_hear_of_viewers_and_idleness(pair: DesktopPair) -> None:
    observer = await pair.control("observe")
    state = await observer.state()
    assert state.drawn
    assert state.session == pair.identity.session
    name = a_stream()
    client = await pair.view("view", name)
    state = await observer.state(lambda s: any(v.stream == name for v in s.viewers))
    (viewer,) = [v for v in state.viewers if v.stream == name]
    assert (viewer.channel, viewer.mode) == ("vnc", "view")
    await client.refresh()
    idle = (await observer.state(seconds=6)).idle_seconds
    assert idle > 0
    user = await pair.view()
    user.pointer(3, 3)
    user.pointer(4, 4)
    await asyncio.sleep(0.2)
    client.pointer(9, 9)  # of somebody who only looks: no use
    client.close()
    closed = await observer.closed()
    assert (closed.viewer.stream, closed.reason) == (name, "viewer_left")
    assert closed.viewer.sent > 800 * 600 * 3
    state = await observer.state()
    assert 0 < state.idle_seconds < idle
    user.close()
    observer.close()


async def test_an_observer_hears_at_least_every_five_seconds(pair: DesktopPair) -> None:
    observer = await pair.control("observe")
    await observer.state()
    await asyncio.sleep(0.5)
    async with asyncio.timeout(5.5):
        await observer.state()
    observer.close()


async def test_a_change_of_rights_works_on_a_live_stream(pair: DesktopPair) -> None:
    name = a_stream()
    client, commander = await pair.view("view", name), await pair.control()
    await focus(client)
    done = await commander.order(control.SetMode, stream=name, mode="control")
    assert done.error is None
    await focus(client)
    client.type("echo promoted > ~/promoted\n")
    assert await appears(pair.home / "promoted") == "promoted\n"
    client.key(0xFFE1, down=True)  # Shift, and it is not let go
    await client.settle(0.2)
    await commander.order(control.SetMode, stream=name, mode="view")
    client.type("touch ~/demoted\n")
    await client.settle(0.3)
    user = await pair.view()
    user.type("echo lower > ~/shift-let-go\n")
    assert await appears(pair.home / "shift-let-go") == "lower\n"
    assert not (pair.home / "demoted").exists()
    for each in (client, user, commander):
        each.close()


CONTROL_KEY = 0xFFE3


async def test_what_a_viewer_held_is_let_go_of_before_its_next_stream_types(
    pair: DesktopPair,
) -> None:
    observer, name = await pair.control("observe"), a_stream()
    old = await pair.view(stream=name)
    await focus(old)
    for number in range(5):
        old.key(CONTROL_KEY, down=True)
        await old.settle(0.2)
        old.writer.transport.pause_reading()  # its line is broken, and nobody has noticed
        before, name = name, a_stream()
        new = await pair.view(stream=name, replaces=before)
        new.type(f"echo plain > ~/plain{number}\n")
        assert await appears(pair.home / f"plain{number}") == "plain\n"
        closed = await observer.closed()
        assert (closed.viewer.stream, closed.reason) == (before, "replaced")
        old.key(ord("x"), down=True)  # it has nothing to say any more
        old = new
    state = await observer.state(lambda state: len(state.viewers) == 1)
    assert [viewer.stream for viewer in state.viewers] == [name]


async def test_a_stream_that_is_over_is_replaced_by_nothing(pair: DesktopPair) -> None:
    client = await pair.view(replaces=a_stream())
    await client.refresh()


async def test_who_replaces_a_stream_needs_no_room_beside_it(pair: DesktopPair) -> None:
    names = [a_stream() for _ in range(16)]
    for name in names:
        await pair.open(pair.identity.request(stream=name))
    with pytest.raises(NotAdmitted) as caught:
        await pair.view()
    assert caught.value.code == "too_many_viewers"
    client = await pair.view(replaces=names[3])
    await client.refresh()


async def test_nobody_ends_a_stream_that_somebody_else_has_let_in(pair: DesktopPair) -> None:
    observer, name = await pair.control("observe"), a_stream()
    client = await pair.view(stream=name)
    claims = pair.identity.claims("vnc", "control")
    grant = issue(pair.identity.guest, claims, datetime.now(UTC))
    request = pair.identity.request().evolve(grant=grant, replaces=name)
    with pytest.raises(NotAdmitted) as caught:
        await pair.open(request)
    assert caught.value.code == "grant_not_allowed"
    await client.refresh()
    state = await observer.state(lambda state: bool(state.viewers))
    assert [viewer.stream for viewer in state.viewers] == [name]


async def test_a_commander_closes_streams_with_a_reason(pair: DesktopPair) -> None:
    name = a_stream()
    client, commander = await pair.view("control", name), await pair.control()
    await client.refresh()
    begun = asyncio.get_running_loop().time()
    commander.writer.write(
        control.encode(control.Kick(id=9, stream=name, reason="revoked", message="Token revoked."))
    )
    closed = await commander.closed()
    assert (closed.reason, closed.message) == ("revoked", "Token revoked.")
    await until_closed(client.message)
    assert asyncio.get_running_loop().time() - begun < 10
    commander.close()


async def test_orders_that_cannot_be_are_refused_in_words(pair: DesktopPair) -> None:
    commander = await pair.control()
    unknown = await commander.order(control.Kick, stream=a_stream())
    assert unknown.error == "unknown_stream"
    assert (await commander.order(control.SetMode, stream=a_stream(), mode="rule")).error
    done = await commander.order(control.StartProgram, program="No such thing")
    assert done.error == "unknown_program"
    commander.writer.write(b'{"type":"dance","id":77}\n')
    while not isinstance(news := await commander.news(), control.Done):
        pass
    assert news.error == "unknown_order"
    commander.close()


async def test_the_newest_commander_wins(pair: DesktopPair) -> None:
    first = await pair.control(epoch=10)
    second = await pair.control(epoch=11)
    await until_closed(first.news)
    with pytest.raises(NotAdmitted) as caught:
        await pair.control(epoch=10)
    assert caught.value.code == "superseded"
    assert (await second.order(control.Kick, stream=a_stream())).error == "unknown_stream"
    second.close()
    third = await pair.control(epoch=11)
    third.close()


async def test_an_observer_gives_no_orders(pair: DesktopPair) -> None:
    observer = await pair.control("observe")
    observer.writer.write(control.encode(control.StopDesktop(id=1)))
    await until_closed(observer.news)


async def test_programs_are_started_by_order(pair: DesktopPair) -> None:
    commander = await pair.control(epoch=20)
    assert (await commander.order(control.StartProgram, program="Terminal")).error is None
    commander.close()


async def test_a_grant_is_good_once(pair: DesktopPair) -> None:
    request = pair.identity.request()
    _, writer = await pair.open(request)
    with pytest.raises(NotAdmitted) as caught:
        await pair.open(request.evolve(stream=uuid4()))
    assert caught.value.code == "grant_used"
    writer.close()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"gate": "00" * 32}, "grant_foreign"),
        ({"session": uuid4()}, "grant_foreign"),
    ],
)
async def test_grants_for_others_open_nothing(
    pair: DesktopPair, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(NotAdmitted) as caught:
        await pair.open(pair.identity.request(**changes))
    assert caught.value.code == code


async def test_an_expired_grant_opens_nothing(pair: DesktopPair) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    request = pair.identity.request(expires=soon)
    await asyncio.sleep(0.4)
    with pytest.raises(NotAdmitted) as caught:
        await pair.open(request)
    assert caught.value.code == "grant_expired"


async def test_a_stream_has_one_name(pair: DesktopPair) -> None:
    name = a_stream()
    client = await pair.view(stream=name)
    with pytest.raises(NotAdmitted) as caught:
        await pair.view(stream=name)
    assert caught.value.code == "stream_exists"
    client.close()


@pytest.mark.parametrize("rubbish", [b"GET / HTTP/1.1\r\n\r\n", b"RFB 003.008\n", bytes(100)])
async def test_rubbish_instead_of_a_preface_is_sent_away_without_a_word(
    pair: DesktopPair, rubbish: bytes
) -> None:
    reader, writer = await pair.connect()
    writer.write(rubbish)
    assert await reader.read() == b""
    writer.close()


async def test_rubbish_instead_of_tls_is_closed(pair: DesktopPair) -> None:
    path = str(pair.identity.folder / "gate.sock")
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"PORTHOLE\x01\x00\x00\x02{}")
    async with asyncio.timeout(8):
        await reader.read()
    writer.close()


async def test_rubbish_after_the_greeting_ends_only_that_stream(pair: DesktopPair) -> None:
    observer, name = await pair.control("observe"), a_stream()
    client, other = await pair.view(stream=name), await pair.view()
    await client.refresh()
    client.writer.write(b"\xfa" * 100)
    closed = await observer.closed()
    assert (closed.viewer.stream, closed.reason) == (name, "viewer_protocol")
    await other.refresh()
    other.close()
    observer.close()


def test_health_is_more_than_a_socket_and_says_no_more_than_its_status(pair: DesktopPair) -> None:
    assert pair.health() == (200, b"")
    assert pair.health("/other") == (404, b"")


def test_grants_reach_no_log(pair: DesktopPair) -> None:
    assert "eyJ" not in pair.log("gate")
