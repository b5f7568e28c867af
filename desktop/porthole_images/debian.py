"""Debian without an engine: mmdebstrap, from the mirrors that this machine has."""

import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from porthole_client.cli.exits import Failure
from porthole_client.cli.up import packages as machine_packages
from porthole_images.recipe import DPKG, SUITE
from porthole_images.running import run

_NO_PERL = "Package: usrmerge\\nPin: release *\\nPin-Priority: -1\\n"
"""That package would move /usr, which is done, and brings all of Perl: 50 MB."""

_MERGED = "/usr/share/mmdebstrap/hooks/merged-usr"

_REACHING = re.compile(r'Acquire::(https?::|Check-)[^ ]* "[^"]+";')


def bootstrap(packages: Iterable[str], target: Path, say: Callable[[str], None]) -> None:
    """Put a Debian with these packages, and what they need, into a tar file.

    Raises:
        Failure: it cannot be made here; the sentence has mmdebstrap's words.
    """
    _mmdebstrap(
        target,
        say,
        "--variant=essential",
        "--aptopt=APT::Install-Recommends false",
        f"--dpkgopt={DPKG}",
        f"--include={','.join(sorted(packages))}",
        f"--setup-hook=printf '{_NO_PERL}' > \"$1/etc/apt/preferences.d/no-usrmerge\"",
    )


def with_apt(target: Path, say: Callable[[str], None]) -> None:
    """Put a Debian that can install packages into a tar file: a base for `docker build`.

    Raises:
        Failure: it cannot be made here; the sentence has mmdebstrap's words.
    """
    _mmdebstrap(target, say, "--variant=apt")


def _mmdebstrap(target: Path, say: Callable[[str], None], *options: str) -> None:
    if shutil.which("mmdebstrap") is None:
        machine_packages.install(["mmdebstrap"], say)
    reaching = [f"--aptopt={option}" for option in _apt_options()]
    always = ("--quiet", "--format=tar", f"--hook-dir={_MERGED}", *reaching)
    run(
        [
            *("mmdebstrap", *always, *options, SUITE, str(target)),
            *mirrors(_index_targets(), _own_suite()),
        ],
        env={"LC_ALL": "C.UTF-8", "TMPDIR": str(target.parent)},
    )


def mirrors(targets: str, own: str) -> list[str]:
    """Return lines of sources for the images' suite, from where this machine has its own.

    Args:
        targets: a line `address suite component` for each index of this machine's apt.
        own: this machine's suite.

    Raises:
        Failure: it has no Debian among its sources.
    """
    wanted = {
        own: SUITE,
        f"{own}-updates": f"{SUITE}-updates",
        f"{own}-security": f"{SUITE}-security",
    }
    lines = dict.fromkeys(
        f"deb {address} {wanted[suite]} main"
        for address, suite, component in (line.split()[:3] for line in targets.splitlines() if line)
        if suite in wanted and component == "main"
    )
    if not any(line.split()[2] == SUITE for line in lines):
        raise Failure(
            f"apt on this machine has no mirror of Debian's {own}, so there is none to make"
            " images from. Add one to its sources."
        )
    return list(lines)


def _index_targets() -> str:
    shown = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    return run(["apt-get", "indextargets", "--format", shown, "Created-By: Packages"])


def _own_suite() -> str:
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    found = re.search(r"^VERSION_CODENAME=(\w+)", release, re.MULTILINE)
    if found is None or "ID=debian" not in release.splitlines():
        raise Failure("Images are made of Debian's packages, and this machine is no Debian.")
    return found[1]


def _apt_options() -> list[str]:
    """Return how this machine reaches its mirrors (proxies, clocks), in apt's own words."""
    shown = run(["apt-config", "dump"])
    return [line for line in shown.splitlines() if _REACHING.fullmatch(line)]
