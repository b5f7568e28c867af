#!/usr/bin/env python3
"""Prove on a fresh Debian that a clone and one command are all it takes.

Run as root: `e2e/minbase/prove.py up`, `e2e/minbase/prove.py test`, or a command of one's
own after `--`. It makes a minbase root on a disk of 40 GB (of which only what is used is
taken), enters it with namespaces of its own and a way out by masquerade, clones the committed
state of this repository there and runs the command in the clone. Everything that it made is
gone afterwards; what Porthole itself left behind outside (cgroups) is named, and is a failure.
"""

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import machine  # noqa: E402 - a program in a folder of its own
import network  # noqa: E402 - the same

ROOT = HERE.parents[1]
CGROUPS = Path("/sys/fs/cgroup")
KNOWN = {
    "up": ["python3", "e2e/minbase/first_desktop.py"],
    "test": ["./porthole", "test"],
}


def say(line: str) -> None:
    """Print one line of the proof."""
    print(f"prove: {line}", flush=True)


def cgroups() -> set[Path]:
    """Return all cgroups of the machine that this runs on."""
    return {Path(found) for found, _, _ in os.walk(CGROUPS)}


def left_behind(before: set[Path]) -> list[Path]:
    """Return the empty cgroups that were not there before and do not go away.

    Those with processes are somebody else's: nothing of the fresh machine runs any more.
    """
    until = time.monotonic() + 10
    while True:
        left = [path for path in cgroups() - before if not _processes(path)]
        if not left or time.monotonic() > until:
            return sorted(left)
        time.sleep(0.5)


def _processes(cgroup: Path) -> str:
    try:
        return (cgroup / "cgroup.procs").read_text(encoding="ascii")
    except OSError:
        return "gone by now"


def run_inside(root: Path, command: list[str], limit: float) -> int:
    """Run a command in a clone on the fresh machine; return its exit code."""
    # No files of this checkout, only what is committed.
    subprocess.run(["git", "clone", "-q", "--bare", ROOT, root / "srv/porthole.git"], check=True)
    script = (
        f"cd && git clone -q /srv/porthole.git porthole && cd porthole && {shlex.join(command)}"
    )
    with network.namespace() as net:
        spaces = ["--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child=KILL"]
        entered = subprocess.Popen(
            [
                *("nsenter", f"--net={net}", "unshare", *spaces),
                *("sh", str(HERE / "enter.sh"), str(root), "sh", "-c", script),
            ],
            env=dict(machine.environment()),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return entered.wait(limit)
        except subprocess.TimeoutExpired:
            say(f"stopped after {limit / 60:.0f} minutes")
            return 1
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(entered.pid, signal.SIGKILL)
            entered.wait()


def main() -> int:
    """Prove it; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=KNOWN, default="up")
    parser.add_argument(
        "--work", type=Path, default=Path("/var/tmp"), help="where the disk is made"
    )
    parser.add_argument("--size", default="40G", help="size of the disk (sparse)")
    parser.add_argument("--suite", help="which Debian (this machine's own, if none is named)")
    parser.add_argument("--limit", type=float, default=75, help="minutes for the command")
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    given = parser.parse_args(sys.argv[1:cut])
    command = sys.argv[cut + 1 :] or KNOWN[given.what]
    if os.geteuid() != 0:
        parser.error("making a machine takes root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    before = cgroups()
    with (
        tempfile.TemporaryDirectory(prefix="fresh-", dir=given.work) as work,
        machine.disk(Path(work), given.size) as disk,
    ):
        begun = time.monotonic()
        root = disk / "root"
        machine.build(root, given.suite)
        say(f"a fresh Debian in {time.monotonic() - begun:.0f} s")
        begun = time.monotonic()
        code = run_inside(root, command, given.limit * 60)
        took = time.monotonic() - begun
        say(f"`{shlex.join(command)}` ended with {code} after {took:.0f} s")
        say(f"it has written to {machine.written(Path(work)) / 1e9:.1f} GB of its disk")
    left = left_behind(before)
    for cgroup in left:
        say(f"left behind: {cgroup}")
    return code or (1 if left else 0)


if __name__ == "__main__":
    sys.exit(main())
