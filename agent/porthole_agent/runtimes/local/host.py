"""What this machine must have so that desktops can run on it, checked before anything else."""

import os
from pathlib import Path
from typing import Final

from porthole_agent.runtimes.local.processes import find_program
from porthole_contract.errors import Refused

NEEDED: Final = {
    "runc": "runc",
    "slirp4netns": "slirp4netns",
    "nft": "nftables",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "losetup": "mount",
    "mount": "mount",
    "umount": "mount",
    "unshare": "util-linux",
    "setsid": "util-linux",
}
"""Programs that the runtime calls, and the Debian packages that bring them."""

_CONTROLLERS: Final = {"cpu", "memory", "pids"}


def check_host() -> None:
    """Check that desktops can run here.

    Raises:
        Refused: `local_runtime_unavailable`; the sentence says what to do about it.
    """
    if os.geteuid() != 0:
        raise _unavailable(
            "Desktops on this machine need root: each runs as a user of its own, in namespaces"
            " and a cgroup of its own. Start Porthole with sudo."
        )
    missing = {package for name, package in NEEDED.items() if find_program(name) is None}
    if missing:
        raise _unavailable(
            "Programs are missing on this machine: apt-get install " + " ".join(sorted(missing))
        )
    if not Path("/dev/net/tun").exists():
        raise _unavailable(
            "There is no /dev/net/tun, which desktops reach the network through: modprobe tun"
        )
    absent = _CONTROLLERS - controllers()
    if absent:
        raise _unavailable(
            f"The cgroup controllers {', '.join(sorted(absent))} are not mounted in"
            " /sys/fs/cgroup; desktops could not be limited."
        )


def controllers() -> set[str]:
    """Return the cgroup controllers that can be used, of either version."""
    top = Path("/sys/fs/cgroup")
    try:
        return set((top / "cgroup.controllers").read_text().split())
    except OSError:
        pass
    found: set[str] = set()
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, *_, options = after.split()
        if kind == "cgroup" and before.split()[4].startswith(str(top)):
            found.update(options.split(","))
    return found


def _unavailable(sentence: str) -> Refused:
    return Refused("local_runtime_unavailable", sentence)
