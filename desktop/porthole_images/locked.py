"""The Python packages of an image: those that its extras need, as the lock has them."""

import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from porthole_client.cli.exits import Failure
from porthole_images.recipe import PYTHON, ROOT, machine
from porthole_images.running import run

_NEWEST_GLIBC: Final = 36
"""Minor version of the suite's C library."""


def closure(extras: Iterable[str], ours: Iterable[str]) -> frozenset[str]:
    """Return the names of what our distribution needs with these extras.

    What others need is read from the environment that this runs in.

    Args:
        extras: of our distribution.
        ours: what it asks for, in the words of its metadata.

    Raises:
        Failure: something is not installed here.
    """
    of = "porthole"
    environment = {key: str(value) for key, value in default_environment().items()}
    environment["python_version"] = ".".join(map(str, PYTHON))
    environment["python_full_version"] = f"{environment['python_version']}.0"
    seen: set[tuple[str, str]] = set()
    look = [(of, extra) for extra in ("", *extras)]
    while look:
        name, extra = look.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        asked = [Requirement(text) for text in ours] if name == of else _requirements(name)
        for requirement in asked:
            marker = requirement.marker
            if marker is None or marker.evaluate({**environment, "extra": extra}):
                wanted = canonicalize_name(requirement.name)
                look += [(wanted, one) for one in ("", *requirement.extras)]
    return frozenset(name for name, _ in seen) - {of}


def pinned(lock: str, names: Iterable[str]) -> str:
    """Return the lines of a lock that say versions and hashes of these packages.

    Raises:
        Failure: the lock lacks one of them.
    """
    wanted, found, kept, inside = set(names), set[str](), [], False
    for line in lock.splitlines():
        if not line.startswith((" ", "#")):
            name = re.match(r"[A-Za-z0-9._-]+(?===)", line)
            inside = name is not None and canonicalize_name(name[0]) in wanted
            if inside and name is not None:
                found.add(canonicalize_name(name[0]))
        if inside:
            kept.append(line)
    if missing := sorted(wanted - found):
        raise Failure(f"The lock lacks {', '.join(missing)}: export it again.")
    return "\n".join(kept) + "\n"


def install(locked: str, target: Path) -> None:
    """Put the packages of a piece of the lock into a folder, for the images' Python.

    Raises:
        Failure: pip's words.
    """
    wanted = target.parent / "requirements.txt"
    wanted.write_text(locked, encoding="utf-8")
    platforms = [f"--platform=manylinux_2_{minor}_{machine().wheels}" for minor in _glibcs()]
    run(
        [
            *(pip(), "-m", "pip", "install", "-q", "--disable-pip-version-check"),
            *("--require-hashes", "--no-deps", "--no-compile", "--only-binary=:all:"),
            *(f"--python-version={'.'.join(map(str, PYTHON))}", "--implementation=cp"),
            *platforms,
            *("--target", target, "-r", wanted),
        ],
        env={"PIP_CACHE_DIR": str(ROOT / ".cache" / "pip")},
    )
    wanted.unlink()


def compile_below(folder: Path, at: str) -> None:
    """Compile what Python lies in a folder, once and for all, as it will lie at `at`.

    The root of an image is read-only, so nobody would do that later. Only the same version
    of Python can; another one leaves it, and programs then start more slowly.
    """
    if sys.version_info[:2] == PYTHON:
        how = ["-q", "-j", "2", "--invalidation-mode", "unchecked-hash"]
        # What a package brings for other versions of Python may not compile.
        where = ["-s", str(folder), "-p", at, "-x", r"/tests?/|_py[23]\d|py3_?1[2-9]"]
        run([sys.executable, "-m", "compileall", *how, *where, folder])


def pip() -> Path:
    """Return the interpreter that has pip: the one that `./porthole` has made.

    Raises:
        Failure: it is not there.
    """
    boot = ROOT / ".cache" / "boot" / "bin" / "python"
    if not boot.exists():
        raise Failure("There is no environment to take pip from. Run `./porthole` once.")
    return boot


def _glibcs() -> list[int]:
    return list(range(_NEWEST_GLIBC, 16, -1))


def _requirements(name: str) -> list[Requirement]:
    try:
        return [Requirement(text) for text in metadata.requires(name) or ()]
    except metadata.PackageNotFoundError:
        raise Failure(f"{name} is not installed in this environment. Run `./porthole`.") from None
