"""A fresh Debian: what minbase holds, Python, git and certificates, and nothing else.

Mirrors, certificates and the way to the package indexes are read from the machine that
this runs on, while it runs; nothing of them is kept.
"""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

CONTENT = ("python3", "git", "ca-certificates")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_BUNDLE = Path("etc/ssl/certs/ca-certificates.crt")
_IMAGE = "disk.ext4"
_PASSED_ON = re.compile(
    r"(pip|uv|npm_config|ssl|git_ssl)_.*|.*_ca_bundle|node_extra_ca_certs|(https?|no|all)_proxy|lang"
    r"|go(proxy|noproxy|sumdb|nosumdb|private|insecure)",
    re.IGNORECASE,
)


@contextlib.contextmanager
def disk(work: Path, size: str) -> Iterator[Path]:
    """Make a disk of `size` (sparse, ext4) below `work`; yield where it is mounted."""
    image, mounted = work / _IMAGE, work / "disk"
    mounted.mkdir(parents=True)
    subprocess.run(["truncate", "-s", size, image], check=True)
    with contextlib.ExitStack() as undo:
        undo.callback(image.unlink)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mounted], check=True)
        undo.callback(subprocess.run, ["umount", mounted], check=True)
        yield mounted


def written(work: Path) -> int:
    """Return how many bytes of the disk below `work` were ever written to."""
    return (work / _IMAGE).stat().st_blocks * 512


def build(root: Path, suite: str | None = None) -> None:
    """Put the fresh Debian into `root`; `suite` is this machine's own, unless it is given."""
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    own = re.search(r"^VERSION_CODENAME=(\w+)", release, re.MULTILINE)
    assert own is not None, "this is no Debian"
    suite = suite or own[1]
    sources = _sources(root.parent / "sources", own[1], suite)
    options = [f"--aptopt={option}" for option in _apt_options()]
    included = f"--include={','.join(CONTENT)}"
    subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            included,
            *options,
            suite,
            root,
            *sources,
        ],
        check=True,
    )
    for option in _apt_options():
        with (root / "etc/apt/apt.conf.d/90machine").open("a", encoding="utf-8") as conf:
            conf.write(f"{option}\n")
    _trust_the_same(root)
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    for name in ("pip.conf", "gitconfig"):
        if (Path("/etc") / name).exists():
            shutil.copyfile(Path("/etc") / name, root / "etc" / name)


def _sources(folder: Path, own: str, suite: str) -> list[Path]:
    """Return this machine's package sources, as they would be for `suite`."""
    folder.mkdir()
    listed = Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))
    made = []
    for path in listed:
        if path.is_file() and path.suffix in {".list", ".sources"}:
            copy = folder / path.name
            copy.write_text(path.read_text(encoding="utf-8").replace(own, suite), encoding="utf-8")
            made.append(copy)
    return made


def _apt_options() -> list[str]:
    """Return how this machine reaches its mirrors (proxies, clocks), in apt's own words."""
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    wanted = re.compile(r'Acquire::(https?::|Check-)[^ ]* "[^"]+";')
    return [line for line in dump.splitlines() if wanted.fullmatch(line)]


def _trust_the_same(root: Path) -> None:
    """Have the fresh machine trust whom this one trusts."""
    known = set(_CERTIFICATE.findall((root / _BUNDLE).read_text(encoding="ascii")))
    ours = _CERTIFICATE.findall((Path("/") / _BUNDLE).read_text(encoding="utf-8"))
    for number, certificate in enumerate(one for one in ours if one not in known):
        target = root / f"usr/local/share/ca-certificates/machine-{number}.crt"
        target.write_text(certificate + "\n", encoding="ascii")
    subprocess.run(["chroot", root, "update-ca-certificates"], check=True, capture_output=True)


def environment() -> Mapping[str, str]:
    """Return the fresh machine's environment: an empty home, and this machine's mirrors."""
    passed = {key: value for key, value in os.environ.items() if _PASSED_ON.fullmatch(key)}
    npm = shutil.which("npm")
    if npm and not any(key.lower() == "npm_config_registry" for key in passed):
        asked = subprocess.run(
            [npm, "config", "get", "registry"], check=False, capture_output=True, text=True
        )
        if asked.returncode == 0 and asked.stdout.startswith("http"):
            passed["NPM_CONFIG_REGISTRY"] = asked.stdout.strip()
    return {
        **passed,
        "HOME": "/root",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TERM": "dumb",
    }
