"""runc: containers begun, signalled, removed."""

import asyncio
import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from porthole_agent.files import write_whole
from porthole_agent.runtimes.local.oci import Json
from porthole_agent.runtimes.local.processes import CommandFailed, run, run_with

_PATIENCE: Final = 60.0


class Runc:
    """Containers under one state directory.

    Args:
        state: where runc keeps what it knows; it survives us, and stale state of a machine
            that was switched off is removed like a container.
    """

    def __init__(self, state: Path) -> None:
        self._state = state

    def knows(self, name: str) -> bool:
        """Whether there is a container of that name, running or not."""
        return (self._state / name).exists()

    async def start(
        self, name: str, bundle: Path, config: Json, keep: Sequence[int], log: int
    ) -> None:
        """Begin a container; returns when its program has been executed.

        Args:
            name: its name.
            bundle: a folder for its `config.json`.
            config: what to write there.
            keep: descriptors that its program has as 3, 4 ...
            log: where its program's standard output and error go.

        Raises:
            CommandFailed: with runc's own words.
        """
        words = bundle / "runc.log"
        words.unlink(missing_ok=True)
        await asyncio.to_thread(
            write_whole, bundle / "config.json", json.dumps(config, indent=1).encode()
        )
        argv = [
            *self._command("--log", str(words), "--log-format", "json"),
            *("run", "--detach", "--bundle", str(bundle)),
            *("--preserve-fds", str(len(keep)), name),
        ]
        status = await run_with(argv, keep, log)
        if status:
            raise CommandFailed("runc", status, _last_words(words))

    async def signal(self, name: str, number: int) -> None:
        """Signal a container's first process; one that is gone is no error."""
        with contextlib.suppress(CommandFailed):
            await run(*self._command(), "kill", name, str(int(number)), within=_PATIENCE)

    async def remove(self, name: str) -> None:
        """Kill a container's processes and remove its cgroup and state.

        Raises:
            CommandFailed: it could not be removed.
        """
        for attempt in range(5):
            if not self.knows(name):
                return
            try:
                await run(*self._command(), "delete", "--force", name, within=_PATIENCE)
            except CommandFailed:
                if attempt == 4:  # noqa: PLR2004 - the last one
                    raise
                await asyncio.sleep(0.05 * 2**attempt)

    def _command(self, *options: str) -> list[str]:
        return ["runc", "--root", str(self._state), *options]


def _last_words(log: Path) -> str:
    """Return what runc logged last."""
    with contextlib.suppress(OSError):
        for line in reversed(log.read_text(errors="replace").splitlines()):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                return str(json.loads(line)["msg"])
    return ""


def cgroup_folders(name: str) -> list[Path]:
    """Return the cgroups of a container that exist, in every hierarchy."""
    top = Path("/sys/fs/cgroup")
    candidates = [top / name, *(folder / name for folder in top.iterdir() if folder.is_dir())]
    return [path for path in candidates if path.is_dir()]


def remove_cgroups(name: str) -> bool:
    """Remove what is left of a container's cgroups; return whether all of it is gone.

    runc tries for a third of a second and forgets the container either way. A process that
    was killed is in its cgroup until the kernel has taken all of it down, which takes longer
    where there is much to do.
    """
    for path in cgroup_folders(name):
        with contextlib.suppress(OSError):
            os.rmdir(path)  # noqa: PTH106 - the same call, and it is what cgroups know
    return not cgroup_folders(name)
