"""Our own distribution: the wheel, and what of it an image gets."""

import hashlib
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Final

from porthole_images.recipe import PYTHON, ROOT, Recipe
from porthole_images.running import run
from porthole_images.trees import MADE, Made

SITE: Final = f"opt/porthole/lib/python{PYTHON[0]}.{PYTHON[1]}/site-packages"
"""Where an image's Python packages are."""

_SUPERVISOR: Final = "porthole_desktop/supervisor/"


def digest() -> str:
    """Return one hash of everything that the wheel is made from; the console has to be built."""
    state = hashlib.sha256()
    for path in sorted(_sources()):
        state.update(f"{path.relative_to(ROOT)}\0".encode())
        state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def build(folder: Path) -> Path:
    """Build the wheel into a folder and return its file.

    Raises:
        Failure: the build's words.
    """
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    run(command, cwd=ROOT, env={"SOURCE_DATE_EPOCH": str(MADE)})
    return next(folder.glob("porthole-*.whl"))


def asks_for(wheel: Path) -> list[str]:
    """Return what a wheel's distribution needs, in the words of its metadata."""
    return _metadata(wheel).get_all("Requires-Dist") or []


def released(wheel: Path) -> str:
    """Return the version that a wheel is of."""
    return str(_metadata(wheel)["Version"])


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def parts(wheel: Path, recipe: Recipe) -> list[Made]:
    """Return what an image gets of our wheel.

    Programs get the packages that the recipe names, and the distribution's description,
    reduced to what is there; a desktop gets the supervisor's folder.
    """
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}
    made: list[Made] = []
    if recipe.ours:
        made += _installed(content, recipe)
    if recipe.supervisor:
        made += [
            Made(f"opt/porthole/supervisor/{name.removeprefix(_SUPERVISOR)}", data)
            for name, data in content.items()
            if name.startswith(_SUPERVISOR)
        ]
    return made


def _installed(content: dict[str, bytes], recipe: Recipe) -> Iterator[Made]:
    kept = {
        name: data
        for name, data in content.items()
        if name.partition("/")[0] in recipe.ours or ".dist-info/" in name
    }
    for name, data in kept.items():
        if name.endswith(".dist-info/RECORD"):
            yield Made(f"{SITE}/{name}", _record(data, set(kept)))
        elif name.endswith(".dist-info/METADATA") or ".dist-info/" not in name:
            yield Made(f"{SITE}/{name}", data)
    if "porthole_client" in recipe.ours:
        script = b"#!/opt/porthole/bin/python -I\nfrom porthole_client.cli import main\nmain()\n"
        yield Made("opt/porthole/bin/porthole", script, mode=0o755)


def _record(record: bytes, kept: set[str]) -> bytes:
    lines = record.decode().splitlines()
    return "".join(f"{line}\n" for line in lines if line.split(",")[0] in kept).encode()


def skeleton() -> list[Made]:
    """Return what makes /opt/porthole an environment of Debian's Python."""
    python = f"python{PYTHON[0]}.{PYTHON[1]}"
    settings = (
        "home = /usr/bin\ninclude-system-site-packages = false\n"
        f"version = {PYTHON[0]}.{PYTHON[1]}\n"
    )
    return [
        Made("opt/porthole/pyvenv.cfg", settings.encode()),
        Made("opt/porthole/bin/python", link=f"/usr/bin/{python}"),
        Made("opt/porthole/bin/python3", link=f"/usr/bin/{python}"),
    ]


def _sources() -> Iterator[Path]:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        yield ROOT / name
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path
