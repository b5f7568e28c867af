"""Where our own programs are on this machine, and what a container must see to run them."""

import importlib.util
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from porthole_contract.errors import Refused

_MACHINE: Final = ("/usr",)
SUPERVISOR: Final = "/opt/porthole/supervisor"
"""Where a desktop sees the supervisor's folder."""


@dataclass(frozen=True, slots=True)
class Ourselves:
    """Paths of this installation.

    `gate_python` is the interpreter with our dependencies, `desktop_python` a plain one.
    `gate_paths` and `desktop_paths` are the folders outside `/usr` that each needs, and
    `supervisor` is the folder of the supervisor's own files.
    """

    gate_python: str
    gate_paths: tuple[str, ...]
    desktop_python: str
    desktop_paths: tuple[str, ...]
    supervisor: str


def find_ourselves() -> Ourselves:
    """Return where we are.

    Raises:
        Refused: a part is missing, or others may not read it.
    """
    packages = [_package("porthole_desktop"), _package("porthole_contract")]
    base = os.path.realpath(sys.base_prefix)
    plain = _machines_python()
    found = Ourselves(
        gate_python=sys.executable,
        gate_paths=_outside((sys.prefix, sys.base_prefix, base, *map(str, packages))),
        desktop_python=plain or os.path.realpath(sys.executable),
        desktop_paths=() if plain else _outside((base,)),
        supervisor=str(packages[0] / "supervisor"),
    )
    _check_readable([Path(found.supervisor), *packages, Path(sys.prefix), Path(base)])
    return found


def _machines_python() -> str | None:
    """Return the machine's own Python if the supervisor can run on it.

    It is in /usr, which a desktop sees anyway, so nothing else has to be shown to it.
    """
    for minor in range(20, 10, -1):
        path = Path(f"/usr/bin/python3.{minor}")
        if path.exists():
            return str(path)
    return None


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise Refused("installation_incomplete", f"The Python package {name} is not installed.")
    return Path(next(iter(spec.submodule_search_locations)))


def _outside(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths that are neither in /usr nor below another one, sorted."""
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda text: PurePosixPath(text).parts):
        pure = PurePosixPath(path)
        if not any(pure.is_relative_to(other) for other in (*_MACHINE, *kept)):
            kept.append(path)
    return tuple(kept)


def _check_readable(folders: list[Path]) -> None:
    """Check that users of containers may read what they are to run."""
    for folder in folders:
        for path in (folder, *sorted(folder.glob("*.py"))):
            mode = path.stat().st_mode
            wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
            if mode & wanted != wanted:
                raise Refused(
                    "installation_unreadable",
                    f"Desktops run as users of their own, and {path} is not readable for"
                    f" others: chmod -R o+rX '{folder}'",
                )
