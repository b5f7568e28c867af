"""What a desktop is told to be: the supervisor's configuration file, read and checked.

`desktop/README.md` shows it whole. A field that is not known is ignored (whoever wrote the
file may be newer), a wrong one is refused with its path.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

VERSION: Final = 1
LARGEST_FILE: Final = 8 * 2**20
PROTOCOLS: Final = ("vnc", "rdp")
_MISSING: Final = object()


class Wrong(Exception):
    """The configuration cannot be used; the sentence says which field and why."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the desktop, as in the template; `command` is run without a shell."""

    name: str
    command: tuple[str, ...]
    autostart: bool = False
    restart: bool = False
    icon: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """The whole of it; the defaults are a plain desktop.

    `scale` is in percent of 96 dpi. `protocols` is what viewers speak. `gate_uid` is the only
    uid besides root that may speak on the socket (None: whoever can open it). `stop_seconds`
    bounds a graceful stop. `files_seconds`: there is no desktop, only files are served,
    until nobody has used them for so long (None: a desktop).
    """

    title: str = "desktop"
    width: int = 1280
    height: int = 720
    scale: int = 100
    keyboard: str = "us"
    locale: str = "C.UTF-8"
    timezone: str = "Etc/UTC"
    env: tuple[tuple[str, str], ...] = ()
    start: str | None = None
    programs: tuple[Program, ...] = ()
    protocols: tuple[str, ...] = ("vnc",)
    sockets: Path = Path("/run/porthole")
    gate_uid: int | None = None
    stop_seconds: float = 6.0
    files_seconds: int | None = None


def read(path: Path) -> Config:
    """Read the file at `path`.

    Raises:
        Wrong: it is missing, too large, no JSON, or has a field that cannot be.
    """
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise Wrong(f"{path} cannot be read: {error.strerror}.") from None
    if len(text) > LARGEST_FILE:
        raise Wrong(f"{path} is larger than {LARGEST_FILE} bytes.")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Wrong(f"{path} is not JSON.") from None
    return parse(value)


def parse(value: object) -> Config:
    """Return the configuration that a JSON value describes.

    Raises:
        Wrong: a field cannot be.
    """
    top = _Object(value, "")
    if top.integer("version", 1, 2**31) != VERSION:
        raise Wrong(f"version: this supervisor understands version {VERSION}.")
    display = _Object(top.get("display", {}), "display.")
    return Config(
        title=top.line("title", "desktop", most=256),
        width=display.integer("width", 320, 7680, 1280),
        height=display.integer("height", 240, 4320, 720),
        scale=display.integer("scale", 50, 400, 100),
        keyboard=top.text("keyboard", "us", most=64),
        locale=top.text("locale", "C.UTF-8", most=64),
        timezone=top.text("timezone", "Etc/UTC", most=64),
        env=tuple(_variable(item, f"env[{i}].") for i, item in enumerate(top.items("env"))),
        start=top.text("start", None, most=4096),
        programs=tuple(
            _program(item, f"programs[{i}].") for i, item in enumerate(top.items("programs"))
        ),
        protocols=_protocols(top.items("protocols")),
        sockets=Path(top.text("sockets", "/run/porthole", most=80)),
        gate_uid=top.integer("gate_uid", 0, 2**32, None),
        stop_seconds=top.integer("stop_seconds", 1, 120, 6),
        files_seconds=top.integer("files_seconds", 1, 86400, None),
    )


def _protocols(items: list[Any]) -> tuple[str, ...]:
    spoken = tuple(name for name in PROTOCOLS if name in items)
    if len(spoken) != len(items):
        raise Wrong(f"protocols: must be a list of {' or '.join(PROTOCOLS)}, each once.")
    return spoken or ("vnc",)


def _variable(value: object, where: str) -> tuple[str, str]:
    item = _Object(value, where)
    name = item.text("name", most=128)
    if not name or "=" in name:
        raise Wrong(f"{where}name: is not the name of a variable.")
    return name, item.text("value", "", most=32768)


def _program(value: object, where: str) -> Program:
    item = _Object(value, where)
    command = item.items("command")
    if not command or not all(isinstance(word, str) and "\0" not in word for word in command):
        raise Wrong(f"{where}command: must be a list of at least one string.")
    return Program(
        name=item.line("name", most=64),
        command=tuple(command),
        autostart=item.boolean("autostart"),
        restart=item.boolean("restart"),
        icon=item.line("icon", None, most=255),
    )


class _Object:
    """A JSON object whose fields are taken out one by one, each with its check."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise Wrong(f"{where.rstrip('.') or 'the configuration'}: must be an object.")
        self._value = value
        self._where = where

    def get(self, name: str, default: Any = _MISSING) -> Any:
        value = self._value.get(name)
        if value is None:
            value = default
        if value is _MISSING:
            raise Wrong(f"{self._where}{name}: is missing.")
        return value

    def text(self, name: str, default: Any = _MISSING, *, most: int) -> Any:
        value = self.get(name, default)
        if value is default:
            return value
        if not isinstance(value, str) or len(value) > most or "\0" in value:
            raise Wrong(f"{self._where}{name}: must be a text of at most {most} characters.")
        return value

    def line(self, name: str, default: Any = _MISSING, *, most: int) -> Any:
        value = self.text(name, default, most=most)
        if isinstance(value, str) and not value.isprintable():
            raise Wrong(f"{self._where}{name}: must be one line of printable characters.")
        return value

    def integer(self, name: str, least: int, most: int, default: Any = _MISSING) -> Any:
        value = self.get(name, default)
        if value is default:
            return value
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Wrong(f"{self._where}{name}: must be a whole number from {least} to {most}.")
        return value

    def boolean(self, name: str) -> bool:
        value = self.get(name, default=False)
        if not isinstance(value, bool):
            raise Wrong(f"{self._where}{name}: must be true or false.")
        return value

    def items(self, name: str) -> list[Any]:
        value = self.get(name, [])
        if not isinstance(value, list):
            raise Wrong(f"{self._where}{name}: must be a list.")
        return value
