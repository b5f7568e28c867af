"""Debian packages of any suite, unpacked beside the machine's own; its mirrors serve them."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from e2e.cluster.running import run
from porthole_client.cli.exits import Failure

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_ACCESS = re.compile(r'Acquire::(https?::|Check-)[^ ]* "[^"]+";')
_TARGET = "$(RELEASE)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"
_OWN = re.compile(r"^VERSION_CODENAME=(\w+)", re.MULTILINE)


def source(suite: str) -> str:
    """Return the source of a suite's packages, as apt reads it, at this machine's mirror.

    Raises:
        Failure: this is no Debian, or apt has no source of its own release.
    """
    own = _OWN.search(Path("/etc/os-release").read_text(encoding="utf-8"))
    if own is None:
        raise Failure("The cluster's node is made of Debian's packages, and this is no Debian.")
    listed = run(["apt-get", "indextargets", "--format", _TARGET])
    mirror = mirror_of(own[1], listed.splitlines())
    if mirror is None:
        raise Failure(f"apt has no source of Debian {own[1]}'s main packages on this machine.")
    return f"deb [signed-by={_KEYRING}] {mirror} {suite} main"


def mirror_of(own: str, targets: Iterable[str]) -> str | None:
    """Return where this machine has Debian's packages from.

    Args:
        own: its release's name.
        targets: what apt knows, in the form of `_TARGET`.
    """
    for target in targets:
        release, codename, component, mirror = target.split("|")
        if own in {release, codename} and component == "main":
            return mirror
    return None


def access() -> list[str]:
    """Return how this machine reaches its mirrors (proxies, clocks), in apt's own words."""
    dump = run(["apt-config", "dump"])
    return [line for line in dump.splitlines() if _ACCESS.fullmatch(line)]


def unpack(wanted: Mapping[str, Iterable[str]], target: Path, work: Path) -> None:
    """Unpack packages into `target`; nothing of this machine's own is touched.

    Args:
        wanted: suite -> names of packages; what they depend on is not taken along.
        target: the folder that becomes their root.
        work: an empty folder for lists and archives.

    Raises:
        Failure: apt's words.
    """
    (work / "lists" / "partial").mkdir(parents=True)
    (work / "archives").mkdir()
    listed = "\n".join(source(suite) for suite in wanted)
    (work / "sources.list").write_text(f"{listed}\n", encoding="ascii")
    options = [
        f"Dir::Etc::SourceList={work / 'sources.list'}",
        "Dir::Etc::SourceParts=-",
        f"Dir::State::Lists={work / 'lists'}",
        "Dir::Cache::PkgCache=",
        "Dir::Cache::SrcPkgCache=",
        # Its unprivileged user may not write into a folder of ours.
        "APT::Sandbox::User=root",
        "Acquire::Retries=3",
        "Acquire::Languages=none",
    ]
    apt = ["apt-get", "-q", *(word for option in options for word in ("-o", option))]
    run([*apt, "update"])
    names = [f"{name}/{suite}" for suite, few in wanted.items() for name in few]
    run([*apt, "download", *names], cwd=work / "archives")
    target.mkdir(exist_ok=True)
    for archive in sorted((work / "archives").glob("*.deb")):
        run(["dpkg-deb", "--extract", archive, target])
