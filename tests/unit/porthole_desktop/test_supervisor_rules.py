"""What the supervisor decides without doing it."""

import hashlib
import io
import json
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_desktop.supervisor import config, look, programs, protocol, wallpaper
from porthole_desktop.supervisor.config import Config, Program
from porthole_desktop.supervisor.environment import environment, usable_locale
from porthole_desktop.supervisor.log import Log
from porthole_desktop.supervisor.x11 import authority

COMPAT = Path(__file__).parents[2] / "compat" / "supervisor"


def test_the_smallest_configuration_is_a_plain_desktop() -> None:
    assert config.parse({"version": 1}) == Config()


def test_a_whole_configuration_is_read() -> None:
    read = config.parse(
        {
            "version": 1,
            "display": {"width": 800, "height": 600},
            "env": [{"name": "A", "value": "b"}, {"name": "EMPTY"}],
            "programs": [{"name": "Terminal", "command": ["xterm"], "autostart": True, "new": 1}],
            "start": None,
            "gate_uid": 0,
            "unknown": "ignored",
        }
    )
    assert (read.width, read.height, read.scale) == (800, 600, 100)
    assert read.env == (("A", "b"), ("EMPTY", ""))
    assert read.programs == (Program("Terminal", ("xterm",), autostart=True),)
    assert read.gate_uid == 0


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"version": 2}, "version"),
        ({"version": None}, "version: is missing"),
        ({"display": {"width": 10}}, "display.width"),
        ({"display": []}, "display: must be an object"),
        ({"display": {"scale": True}}, "display.scale"),
        ({"env": [{"value": "x"}]}, r"env\[0\].name"),
        ({"env": [{"name": "A=B"}]}, r"env\[0\].name"),
        ({"env": {}}, "env: must be a list"),
        ({"programs": [{"name": "x", "command": []}]}, r"programs\[0\].command"),
        ({"programs": [{"name": "x", "command": ["a\0"]}]}, r"programs\[0\].command"),
        ({"programs": [{"name": "x", "command": ["a"], "restart": "yes"}]}, "restart"),
        ({"title": "x" * 300}, "title"),
        (
            {"programs": [{"name": "x\nExec=evil", "command": ["a"]}]},
            r"programs\[0\].name: .* line",
        ),
        ({"programs": [{"name": "x", "command": ["a"], "icon": "i\ny"}]}, "icon"),
        ({"stop_seconds": 0}, "stop_seconds"),
        ({"files_seconds": 0}, "files_seconds"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_path(
    changes: dict[str, Any], where: str
) -> None:
    with pytest.raises(config.Wrong, match=where):
        config.parse({"version": 1, **changes})


def test_a_file_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(config.Wrong, match="cannot be read"):
        config.read(path)
    path.write_text("{")
    with pytest.raises(config.Wrong, match="not JSON"):
        config.read(path)


def test_start_goes_where_a_program_wants_it() -> None:
    browser = Program("Browser", ("chromium", "--new-window", "{start}"))
    assert programs.command_of(browser, "https://x") == ["chromium", "--new-window", "https://x"]
    assert programs.command_of(browser, None) == ["chromium", "--new-window"]


def test_start_is_opened_by_something_if_no_program_does_it() -> None:
    taker = Program("Browser", ("chromium", "{start}"), autostart=True)
    installed = ["xdg-open", "x-www-browser"]
    assert programs.opener(Config(), installed) is None
    assert programs.opener(Config(start="https://x", programs=(taker,)), installed) is None
    assert programs.opener(Config(start="https://x"), installed) == ["x-www-browser", "https://x"]
    assert programs.opener(Config(start="https://x"), []) is None
    assert programs.opener(Config(start="gimp a.png"), []) == ["/bin/sh", "-c", "gimp a.png"]


def test_the_x_server_opens_no_port() -> None:
    command = programs.x_server(Config(), 0, rfb=Path("/r"), authority=Path("/a"), ready_fd=7)
    words = " ".join(command)
    assert "-rfbport -1 -rfbunixpath /r -rfbunixmode 0660" in words
    assert "-nolisten tcp -nolisten local" in words
    assert "-auth /a" in words


@pytest.mark.parametrize(
    ("layout", "command"),
    [
        ("us", None),
        ("de", ["setxkbmap", "-layout", "de"]),
        ("us(intl)", ["setxkbmap", "-layout", "us", "-variant", "intl"]),
        ("de; rm", None),
    ],
)
def test_keyboards(layout: str, command: list[str] | None) -> None:
    assert programs.keyboard(Config(keyboard=layout)) == command


NASTY = Program('A "quoted" & <b>', ("sh", "-c", 'echo "$HOME" `id` \\ <x> & y', "%f"), icon=None)


def test_all_files_of_the_look_are_well_formed() -> None:
    config_ = Config(programs=(Program("Terminal", ("xterm",), icon="terminal"), NASTY))
    files = look.files(config_, Path("/tmp/x"))
    menu = ET.fromstring(files["config/openbox/menu.xml"])
    space = {"m": "http://openbox.org/3.4/menu"}
    labels = [item.get("label") for item in menu.findall(".//m:item", space)]
    assert labels == ["Terminal", NASTY.name]
    ET.fromstring(files["config/openbox/rc.xml"])
    assert "launcher_item_app = /tmp/x/data/applications/porthole-1.desktop" in files["tint2rc"]
    assert "Exec=/bin/sh /tmp/x/programs/1" in files["data/applications/porthole-1.desktop"]
    assert shlex.split(files["programs/1"]) == ["exec", *NASTY.command]


def test_the_scale_reaches_fonts() -> None:
    assert "Xft.dpi: 144" in look.resources(Config(scale=150))


@pytest.mark.parametrize("size", [(320, 240), (1280, 720), (300, 900), (1, 1)])
def test_the_wallpaper_fits_the_screen(size: tuple[int, int]) -> None:
    rows = wallpaper.draw(*size)
    assert len(rows) == size[1]
    assert {len(row) for row in rows} == {size[0] * 4}


def test_the_wallpaper_is_a_picture() -> None:
    rows = wallpaper.draw(320, 240)
    colours = {row[at : at + 4] for row in rows for at in range(0, len(row), 4)}
    assert len(colours) > 200


def test_the_environment_is_ours_then_the_sessions(tmp_path: Path) -> None:
    env = environment(
        Config(env=(("LANG", "C"), ("DISPLAY", ":9"), ("X", "y")), timezone="Europe/Berlin"),
        {"HOME": "/home/u", "SECRET": "no", "PATH": "/bin"},
        folder=tmp_path,
        display=3,
        authority=tmp_path / "a",
    )
    assert env["DISPLAY"] == ":3"
    assert (env["LANG"], env["X"], env["TZ"]) == ("C", "y", "Europe/Berlin")
    assert (env["HOME"], env["PATH"]) == ("/home/u", "/bin")
    assert "SECRET" not in env


def test_a_locale_that_is_missing_does_no_harm() -> None:
    assert usable_locale("xx_XX.UTF-8") == "C.UTF-8"
    assert usable_locale("C.UTF-8") == "C.UTF-8"


def test_colours_of_a_terminal_are_no_part_of_a_log() -> None:
    stream = io.StringIO()
    Log("x", stream=stream).say("\x1b[1;32mready\x1b[0m \x1b]2;title\x07")
    assert stream.getvalue() == "x: ready ?]2;title?\n"


def test_a_log_is_bounded() -> None:
    now, stream = 0.0, io.StringIO()
    log = Log("x", burst=100, trickle=10, clock=lambda: now, stream=stream)
    for _ in range(50):
        log.say("0123456789")
    assert len(stream.getvalue()) <= 100
    now = 10.0
    log.say("a\nb\x1b[2J")
    last = stream.getvalue().splitlines()[-1]
    assert "lines left out" in last
    assert last.endswith("a?b?[2J")
    log.say("y" * 5000)
    assert len(stream.getvalue()) <= 200


def test_an_authority_names_the_display() -> None:
    assert authority(12, b"c" * 16) == (
        b"\xff\xff\0\0\0\x0212\0\x12MIT-MAGIC-COOKIE-1\0\x10" + b"c" * 16
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 65535), st.sampled_from(protocol.Kind), st.binary(max_size=50))
    ),
    st.integers(1, 20),
)
def test_frames_are_the_same_in_any_chunks(
    frames: list[tuple[int, protocol.Kind, bytes]], size: int
) -> None:
    data = b"".join(protocol.encode(*frame) for frame in frames)
    decoder, found = protocol.Decoder(), []
    for at in range(0, len(data), size):
        found += decoder.feed(data[at : at + size])
    assert [(f.channel, f.kind, f.payload) for f in found] == frames


@pytest.mark.parametrize(
    "data", [b"\0\1\0\1\0\0\1", b"\xff\xff\xff\xff\0\0\1", b"\0\0\0\0\0\0\x09", b"\0\0\0\0\0\0\0"]
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(protocol.Broken):
        protocol.Decoder().feed(data)


def test_the_bytes_on_the_socket_are_those_that_were_promised() -> None:
    golden = (COMPAT / "conversation-1.4.bin").read_bytes()
    fingerprint = hashlib.sha256(b"a certificate").hexdigest()
    screen = {"width": 1001, "height": 703}
    uses = {"cpu": 1_500_000, "memory": 268_435_456}
    said = [
        protocol.hello("supervisor"),
        protocol.hello("gate"),
        protocol.say("state", drawn=False, stopping=False),
        protocol.say("state", drawn=False, stopping=False, rdp={"fingerprint": fingerprint}),
        protocol.say("state", drawn=False, stopping=False, screen=screen),
        protocol.say("screen", **screen),
        protocol.say("state", drawn=False, stopping=False, usage=uses),
        protocol.say("usage", **uses),
        protocol.say("drawn"),
        protocol.say("start", id=1, program="Terminal"),
        protocol.say("reply", id=1, ok=True),
        protocol.say("open", id=2, name="files", channel=5),
        protocol.say("reply", id=2, ok=True),
        protocol.encode(5, protocol.Kind.BYTES, b"bytes"),
        protocol.encode(5, protocol.Kind.CREDIT, (65536).to_bytes(4, "big")),
        protocol.encode(5, protocol.Kind.END, b""),
    ]
    assert b"".join(said) == golden


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("conversation.bin", set()),
        ("conversation-1.1.bin", set()),
        ("conversation-1.2.bin", {"open"}),
        ("conversation-1.3.bin", {"open", "screen"}),
    ],
)
def test_what_the_versions_before_say_is_understood(name: str, more: set[str]) -> None:
    (greeting, *rest) = protocol.Decoder().feed((COMPAT / name).read_bytes())
    protocol.check_hello(greeting.message())
    said = [frame.message()["type"] for frame in rest if frame.channel == 0]
    assert set(said) == {"hello", "state", "drawn", "start", "reply"} | more


def test_a_channel_has_so_much_room_and_no_more() -> None:
    sender, receiver = protocol.Window(), protocol.Window()
    sender.sent(protocol.WINDOW)
    assert sender.room == 0
    receiver.came(protocol.WINDOW - 1)
    receiver.came(1)
    with pytest.raises(protocol.Broken):
        receiver.came(1)
    assert receiver.used(1000) == b""
    given = receiver.used(protocol.WINDOW - 2000)
    sender.given(given)
    assert sender.room == int.from_bytes(given, "big") == protocol.WINDOW - 1000
    with pytest.raises(protocol.Broken):
        sender.given(protocol.WINDOW.to_bytes(4, "big"))
    for payload in (b"", b"\0\0\0\0", b"\0\0\0\0\1"):
        with pytest.raises(protocol.Broken):
            sender.given(payload)


def test_room_comes_back_in_few_messages() -> None:
    window = protocol.Window()
    given = 0
    for _ in range(100):
        window.came(1000)
        given += bool(window.used(1000))
    assert given == 1


def test_messages_of_the_conversation() -> None:
    (frame,) = protocol.Decoder().feed(protocol.hello("gate"))
    protocol.check_hello(frame.message())
    for value in ({"type": "hello"}, {"type": "hello", "version": [9, 0]}, {"type": "drawn"}):
        with pytest.raises(protocol.Broken):
            protocol.check_hello(value)
    for payload in (b"", b"[]", b'{"a":1}', b'{"type":1}', b"\xff"):
        with pytest.raises(protocol.Broken):
            protocol.Frame(0, protocol.Kind.JSON, payload).message()
    with pytest.raises(ValueError, match="limit"):
        protocol.encode(0, protocol.Kind.BYTES, bytes(protocol.LARGEST + 1))
    assert json.loads(protocol.say("x", id=1)[protocol.HEADER :]) == {"type": "x", "id": 1}
