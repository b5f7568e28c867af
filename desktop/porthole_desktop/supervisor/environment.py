"""The environment that the desktop's programs live in: pure, from ours to theirs."""

import locale
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from . import sound
from .config import Config

_INHERITED: Final = ("HOME", "USER", "LOGNAME", "PATH", "SHELL", "HOSTNAME")
_OURS: Final = frozenset({"DISPLAY", "XAUTHORITY"})
_PATH: Final = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"


def environment(
    config: Config,
    inherited: Mapping[str, str],
    *,
    folder: Path,
    display: int,
    authority: Path,
) -> dict[str, str]:
    """Return the variables: what we were given, the desktop's own, then the session's.

    The session may set everything but which display it is on.
    """
    env = {"PATH": _PATH, "SHELL": "/bin/bash"}
    env |= {name: inherited[name] for name in _INHERITED if name in inherited}
    runtime = folder / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    env |= {
        "LANG": usable_locale(config.locale),
        "TZ": config.timezone,
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_CONFIG_DIRS": f"{folder}/config:/etc/xdg",
        "XDG_DATA_DIRS": f"{folder}/data:/usr/local/share:/usr/share",
        "XDG_CURRENT_DESKTOP": "Openbox",
        "XDG_SESSION_TYPE": "x11",
        "GTK2_RC_FILES": f"{folder}/config/gtk-2.0/gtkrc:{env.get('HOME', '')}/.gtkrc-2.0",
        "GTK_OVERLAY_SCROLLING": "0",
        "NO_AT_BRIDGE": "1",
    }
    if shutil.which("dbus-daemon"):
        env["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runtime}/bus"
    if sound.available():
        env["PULSE_SERVER"] = f"unix:{sound.socket(runtime)}"
    env |= {name: value for name, value in config.env if name not in _OURS}
    return env | {"DISPLAY": f":{display}", "XAUTHORITY": str(authority)}


def usable_locale(name: str) -> str:
    """Return `name` if this machine has that locale, else C.UTF-8, which it always has."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
    except locale.Error:
        return "C.UTF-8"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return name
