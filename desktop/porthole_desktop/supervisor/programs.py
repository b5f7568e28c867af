"""What is to be started, and with which words: pure, from configuration to argv."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from .config import Config, Program

_START: Final = "{start}"
_OPENERS: Final = ("x-www-browser", "sensible-browser", "xdg-open")
_LAYOUT: Final = re.compile(r"(?P<layout>[a-z]{2,8})(?:\((?P<variant>[a-z0-9_-]+)\))?")
LARGEST_CLIPBOARD: Final = 2**20
"""Bytes; as much as a gate lets pass."""


def command_of(program: Program, start: str | None) -> list[str]:
    """Return a program's argv: `{start}` replaced, or its argument left out without one."""
    return [
        word.replace(_START, start) if start is not None else word
        for word in program.command
        if start is not None or _START not in word
    ]


def opener(config: Config, installed: Iterable[str]) -> list[str] | None:
    """Return what opens the session's `start`, if no program of its own does.

    A URL goes to the first browser that is installed, anything else is a command line.
    """
    if config.start is None:
        return None
    begun = (program for program in config.programs if program.autostart)
    if any(_START in word for program in begun for word in program.command):
        return None
    if not is_url(config.start):
        return ["/bin/sh", "-c", config.start]
    found = set(installed)
    for name in _OPENERS:
        if name in found:
            return [name, config.start]
    return None


def is_url(text: str) -> bool:
    """Return whether `text` is something that a browser opens."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https", "file", "about", "data"} and " " not in text


def openers() -> Sequence[str]:
    """Return the names of programs that open a URL, the best first."""
    return _OPENERS


def x_server(
    config: Config, number: int, *, rfb: Path, authority: Path, ready_fd: int
) -> list[str]:
    """Return the argv of the X server: no TCP port, no password, one unix socket.

    The gate is the only one who connects; a blacklist would only ever hit it, so there is
    none. The server writes its display number to `ready_fd` when it is ready.
    """
    return [
        "Xvnc",
        f":{number}",
        "-displayfd", str(ready_fd),
        "-auth", str(authority),
        "-nolisten", "tcp",
        "-nolisten", "local",
        "-noreset",
        "-geometry", f"{config.width}x{config.height}",
        "-depth", "24",
        "-dpi", str(dpi(config)),
        "-desktop", config.title,
        "-rfbport", "-1",
        "-rfbunixpath", str(rfb),
        "-rfbunixmode", "0660",
        "-SecurityTypes", "None",
        "-UseBlacklist=0",
        "-AlwaysShared",
        "-AcceptSetDesktopSize",
        "-FrameRate", "60",
        "-MaxCutText", str(LARGEST_CLIPBOARD),
    ]  # fmt: skip


def dpi(config: Config) -> int:
    """Return the dots per inch that the scale means."""
    return round(96 * config.scale / 100)


def keyboard(config: Config) -> list[str] | None:
    """Return the argv that sets the keyboard layout; None if it is X's own default."""
    match = _LAYOUT.fullmatch(config.keyboard)
    if match is None or config.keyboard == "us":
        return None
    variant = match["variant"]
    return ["setxkbmap", "-layout", match["layout"], *(["-variant", variant] if variant else [])]
