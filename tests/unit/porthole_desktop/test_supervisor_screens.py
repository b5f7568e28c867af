"""What each kind of screen is started with."""

import configparser
from pathlib import Path

import pytest

from porthole_desktop.supervisor import config
from porthole_desktop.supervisor.both import Both
from porthole_desktop.supervisor.front import settings
from porthole_desktop.supervisor.xorg import Xorg, server_settings
from porthole_desktop.supervisor.xvnc import Xvnc

WAY = {"lib": "libxup.so", "port": Path("/x/xrdp_display_7"), "code": 20}
FRONT = settings(Path("/tmp/porthole-x/rdp"), Path("/run/porthole/rdp.sock"), WAY)


def front() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True)
    parser.read_string(FRONT)
    return parser


def test_xrdp_listens_on_its_socket_alone_and_speaks_tls_alone() -> None:
    found = front()["Globals"]
    assert found["port"] == "unix://./run/porthole/rdp.sock"
    assert found["security_layer"] == "tls"
    assert found["ssl_protocols"] == "TLSv1.2, TLSv1.3"


def test_xrdp_leads_to_one_x_server_and_asks_for_no_password() -> None:
    found = front()
    assert found["Globals"]["autorun"] == "desktop"
    assert found["desktop"]["lib"] == "libxup.so"
    assert found["desktop"]["port"] == "/x/xrdp_display_7"
    assert "password" not in FRONT


def test_only_the_clipboard_and_its_carrier_are_redirected() -> None:
    assert dict(front()["Channels"]) == {"cliprdr": "true", "drdynvc": "true"}


def test_no_screen_listens_to_a_network() -> None:
    for screen in (kind(config.Config()) for kind in (Xvnc, Xorg, Both)):
        words = screen.command(3, authority=Path("/x/a"), ready_fd=9)
        at = [i for i, word in enumerate(words) if word == "-nolisten"]
        assert {words[i + 1] for i in at} == {"tcp", "local"}
        assert words[1] == ":3"
        assert words[words.index("-displayfd") + 1] == "9"


def test_the_x_server_takes_no_device() -> None:
    text = server_settings()
    assert 'Option "AutoAddDevices" "off"' in text
    assert {line.split('"')[1] for line in text.splitlines() if "Driver" in line} == {
        *("xrdpkeyb", "xrdpmouse", "xrdpdev")
    }


def test_what_a_desktop_speaks_is_checked() -> None:
    assert config.parse({"version": 1}).protocols == ("vnc",)
    assert config.parse({"version": 1, "protocols": ["rdp"]}).protocols == ("rdp",)
    assert config.parse({"version": 1, "protocols": ["rdp", "vnc"]}).protocols == ("vnc", "rdp")
    for wrong in (["ssh"], ["rdp", "rdp"], [1], ["vnc", None]):
        with pytest.raises(config.Wrong, match="protocols"):
            config.parse({"version": 1, "protocols": wrong})
