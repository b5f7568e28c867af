"""Who can be killed in a running instance, and how parts are told to die by themselves."""

import contextlib
import json
import os
import re
import shutil
import signal
from pathlib import Path

from e2e.support.instance import Instance, until
from e2e.support.outside import processes_of

_PASSED = re.compile(r"failpoint (\S+): SIG\S+ as asked")
_PROGRAMS = {"control-plane": "-m porthole_control", "agent": "-m porthole_agent"}

# `up` starts each part through setpriv, which it finds by PATH.
_SETPRIV = """#!/bin/sh
case "$*" in
{cases}
esac
if [ -n "$plan" ] && [ -s "$plan" ]; then
    PORTHOLE_FAILPOINTS="$(head -n 1 "$plan")"
    export PORTHOLE_FAILPOINTS
    sed -i 1d "$plan"
fi
exec {setpriv} "$@"
"""


class Failpoints:
    """Failpoints for single lives of single parts: each start takes the next line of a plan.

    Args:
        folder: where the plans are.
        home: the home of the instance.
    """

    def __init__(self, folder: Path, home: Path) -> None:
        self._folder = folder
        self._log = home / "log"
        setpriv = shutil.which("setpriv")
        cases = "\n".join(
            f'*"{program}") plan={folder / name} ;;' for name, program in _PROGRAMS.items()
        )
        folder.mkdir()
        script = folder / "setpriv"
        script.write_text(_SETPRIV.format(cases=cases, setpriv=setpriv))
        script.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """What `up` is to be started with."""
        return {"PATH": f"{self._folder}:{os.environ['PATH']}"}

    def plan(self, part: str, *lives: str) -> None:
        """Give the next lives of a part these failpoints; "" is a life without."""
        (self._folder / part).write_text("".join(f"{life}\n" for life in lives))

    def passed(self, part: str) -> list[str]:
        """Return the failpoints at which a part has died or stopped, in their order."""
        lines = (self._log / f"{part}.log").read_text(errors="replace").splitlines()
        return [found[1] for found in map(_PASSED.fullmatch, lines) if found]


def parts_of(instance: Instance) -> dict[str, int | None]:
    """Return the process of each part, as `up` has written it down; quicker than asking."""
    found = json.loads((instance.home / "run" / "parts.json").read_text())
    pids = {part["name"]: part["process"] and part["process"]["pid"] for part in found["parts"]}
    return {"up": found["up"]["pid"], **pids}


def _child_of(parent: int | None, name: str) -> int | None:
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            program = (entry / "cmdline").read_bytes().split(b"\0")[0]
            if int(fields[1]) == parent and Path(program.decode()).name == name:
                return int(entry.name)
    return None


def _in(session: str, part: str, words: str) -> int | None:
    return next((pid for pid, said in processes_of(session, part).items() if words in said), None)


def pid_of(instance: Instance, who: str, session: str) -> int | None:
    """Return the process of a part, or of one of a session's own programs."""
    match who:
        case "gate":
            return _in(session, "gate", "porthole_desktop.gate")
        case "supervisor":
            return _in(session, "desktop", "/supervisor --config")
        case "Xorg":
            return _in(session, "desktop", "/usr/lib/xorg/Xorg")
        case "database":
            return _child_of(parts_of(instance)["postgres"], "postgres")
        case _:
            return parts_of(instance).get(who)


def stopped(instance: Instance, part: str) -> int | None:
    """Return the process of a part if it has stopped."""
    pid = parts_of(instance).get(part)
    return pid if pid is not None and _state(pid) == "T" else None


def kill(instance: Instance, who: str, session: str, within: float = 15) -> int:
    """Kill it as soon as it is there, and wait until it is over; return its process id."""

    def struck() -> int | None:
        pid = pid_of(instance, who, session)
        if pid is None or not _runs(pid):
            return None  # what the record still names may be over already
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return pid
        return None

    pid: int = until(struck, within, lambda: f"{who} to kill")
    until(lambda: not _runs(pid), 10, lambda: f"the end of {who}")
    return pid


def _runs(pid: int) -> bool:
    return _state(pid) not in "ZX"


def _state(pid: int) -> str:
    """Return the letter for a process's state; X if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"
