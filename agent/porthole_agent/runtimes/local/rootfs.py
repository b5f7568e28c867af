"""The files of a container's root that are not the machine's own (pure descriptions).

A desktop sees the machine's `/usr` and a few folders of its `/etc`, read-only, and nothing
else of it: no other users, no secrets, no addresses of the machine.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from porthole_agent.runtimes.local.egress import NAMESERVER
from porthole_contract.template import EgressMode

USER: Final = "user"
HOME: Final = "/home/user"

LINKS: Final = {
    "bin": "usr/bin",
    "lib": "usr/lib",
    "lib32": "usr/lib32",
    "lib64": "usr/lib64",
    "libx32": "usr/libx32",
    "sbin": "usr/sbin",
    "var/run": "../run",
    "var/tmp": "../tmp",
    "etc/mtab": "../proc/self/mounts",
    "etc/os-release": "../usr/lib/os-release",
}
"""Debian's merged /usr, and what programs expect beside it."""

ETC: Final = (
    "ImageMagick-6",
    "X11",
    "alternatives",
    "bash.bashrc",
    "bash_completion",
    "bash_completion.d",
    "ca-certificates",
    "ca-certificates.conf",
    "chromium",
    "chromium.d",
    "dconf",
    "debian_version",
    "emacs",
    "firefox",
    "firefox-esr",
    "fonts",
    "glvnd",
    "gtk-2.0",
    "gtk-3.0",
    "gtk-4.0",
    "host.conf",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "libreoffice",
    "locale.alias",
    "magic",
    "magic.mime",
    "mailcap",
    "mime.types",
    "nanorc",
    "openal",
    "perl",
    "profile",
    "profile.d",
    "protocols",
    "pulse",
    "python3",
    "python3.11",
    "python3.12",
    "python3.13",
    "rpc",
    "services",
    "ssl",
    "terminfo",
    "vim",
    "vulkan",
    "wgetrc",
    "xdg",
)
"""What a desktop sees of the machine's /etc, where it exists."""

NEVER: Final = frozenset(
    {
        "apt", "cron.d", "cron.daily", "cron.hourly", "cron.monthly", "cron.weekly", "crontab",
        "default", "fstab", "group", "group-", "gshadow", "gshadow-", "hostname", "hosts",
        "init.d", "kubernetes", "localtime", "logrotate.d", "machine-id", "mtab",
        "nsswitch.conf", "os-release", "pam.d", "passwd", "passwd-", "porthole", "ppp",
        "resolv.conf", "security", "shadow", "shadow-", "ssh", "subgid", "subuid", "sudoers",
        "sudoers.d", "systemd", "timezone", "wireguard", "NetworkManager",
    }
)  # fmt: skip
"""What a desktop never sees of it, even if a package of its template brings it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a container is to itself."""

    hostname: str
    uid: int
    gid: int
    shared_gid: int
    machine_id: str
    timezone: str = "Etc/UTC"


@dataclass(frozen=True, slots=True)
class Tree:
    """A root to be written: path -> text, path -> target of a link; paths are relative."""

    files: dict[str, str]
    links: dict[str, str] = field(default_factory=lambda: dict(LINKS))


def desktop_root(who: Identity, egress: EgressMode) -> Tree:
    """Return the root of a desktop."""
    resolver = "" if egress is EgressMode.NONE else f"nameserver {NAMESERVER}\n"
    files = {
        **_accounts(who, USER, HOME),
        "etc/hostname": f"{who.hostname}\n",
        "etc/hosts": f"127.0.0.1 localhost {who.hostname}\n::1 localhost\n",
        "etc/resolv.conf": resolver,
        "etc/machine-id": f"{who.machine_id}\n",
        "etc/timezone": f"{who.timezone}\n",
        "etc/shells": "/bin/sh\n/bin/bash\n",
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
    links = {**LINKS, "etc/localtime": f"../usr/share/zoneinfo/{who.timezone}"}
    return Tree(files=files, links=links)


def gate_root(who: Identity) -> Tree:
    """Return the root of a gate."""
    return Tree(
        files={
            **_accounts(who, "gate", "/"),
            "etc/hostname": f"{who.hostname}\n",
            "etc/hosts": "127.0.0.1 localhost\n",
            "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        }
    )


def etc_names(extra: Iterable[str]) -> list[str]:
    """Return the names in /etc that a desktop sees, with those that its packages brought."""
    return sorted({*ETC, *extra} - NEVER)


def _accounts(who: Identity, name: str, home: str) -> dict[str, str]:
    return {
        "etc/passwd": (
            "root:x:0:0:root:/:/usr/sbin/nologin\n"
            f"{name}:x:{who.uid}:{who.gid}:{name}:{home}:/bin/bash\n"
            "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
        ),
        "etc/group": (
            "root:x:0:\n"
            f"{name}:x:{who.gid}:\n"
            f"porthole:x:{who.shared_gid}:{name}\n"
            "nogroup:x:65534:\n"
        ),
    }
