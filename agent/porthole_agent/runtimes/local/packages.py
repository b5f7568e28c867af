"""The Debian packages that templates need: which are missing, and installing them."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from porthole_agent.runtimes.local.decide import Obstacle
from porthole_agent.runtimes.local.processes import CommandFailed, find_program, run, run_apart
from porthole_contract.conditions import Reason
from porthole_contract.session import Protocol
from porthole_contract.template import Program, SessionTemplateSpec

BASE: Final = ("openbox", "x11-xkb-utils")
"""What every desktop needs, whether its template names it or not."""
SCREENS: Final[Mapping[Protocol, tuple[str, ...]]] = MappingProxyType(
    {
        Protocol.VNC: ("tigervnc-standalone-server",),
        Protocol.RDP: ("openssl", "xrdp"),
    }
)
"""What it needs to be seen over a protocol; over RDP alone, `DRAWN_FOR_RDP` too."""
DRAWN_FOR_RDP: Final = ("xorgxrdp",)
_PROGRAMS: Final[Mapping[Protocol, str]] = MappingProxyType(
    {Protocol.VNC: "Xvnc", Protocol.RDP: "xrdp"}
)
_SERVICES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"xrdp": ("xrdp.service", "xrdp-sesman.service")}
)
"""What packages would begin to serve on this machine, to everybody, when they are installed.
Desktops start programs of their own."""

_PATIENCE: Final = 1800.0
_TRIED_AGAIN_AFTER: Final = 300.0
_WAITS: Final = ("--option", "DPkg::Lock::Timeout=600")
"""For others that install, such as what was begun by an agent that has ended."""


class Packages:
    """What is installed on this machine.

    Args:
        may_install: whether missing packages may be installed.
        changed: called when an installation has ended.
    """

    def __init__(self, *, may_install: bool, changed: Callable[[], None]) -> None:
        self._may_install = may_install and find_program("apt-get") is not None
        self._changed = changed
        self._packaged = find_program("dpkg-query") is not None
        self._etc: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._present: set[str] = set()
        self._tasks: dict[frozenset[str], asyncio.Task[None]] = {}
        self._failures: dict[frozenset[str], str] = {}

    async def obstacle(self, template: SessionTemplateSpec, *, install: bool) -> Obstacle | None:
        """Return why a template cannot be run here now, or None.

        Args:
            template: what it needs.
            install: begin to install what is missing, if that is allowed.
        """
        absent = await self.missing(template)
        if not absent:
            return None
        if (said := self._failures.get(absent)) is not None:
            return Obstacle(Reason.TEMPLATE_NOT_OFFERED, said)
        names = " ".join(sorted(absent))
        if any("/" in name for name in absent):
            return Obstacle(
                Reason.TEMPLATE_NOT_OFFERED,
                f"A desktop sees nothing of this machine outside of /usr, and not there: {names}",
            )
        if not self._may_install:
            return Obstacle(
                Reason.TEMPLATE_NOT_OFFERED,
                f"Something that it needs is not installed on this machine: {self._advice(names)}",
            )
        if install and absent not in self._tasks:
            self._tasks[absent] = asyncio.create_task(self._install(absent))
        return Obstacle(Reason.INSTALLING_PACKAGES, f"These packages are being installed: {names}")

    async def missing(self, template: SessionTemplateSpec) -> frozenset[str]:
        """Return the packages that are not installed.

        Of a template that names none, the programs that begin with it have to be there; one
        that is not is returned as it is written if it is a path, else as if it were a
        package, which it often is.
        """
        if self._packaged:
            screens = {name for one in template.protocols for name in SCREENS[one]}
            if Protocol.VNC not in template.protocols:
                screens.update(DRAWN_FOR_RDP)
            unsure = {*BASE, *screens, *template.packages} - self._present
            if unsure:
                self._present |= await _installed(unsure)
            absent = unsure - self._present
        else:
            needed = {"openbox", *(_PROGRAMS[one] for one in template.protocols)}
            absent = {name for name in needed if find_program(name) is None}
        if not template.packages:
            absent |= {p.command[0] for p in template.programs if p.autostart and not _is_seen(p)}
        return frozenset(absent)

    async def etc(self, template: SessionTemplateSpec) -> tuple[str, ...]:
        """Return the names in /etc that the template's packages brought."""
        if not self._packaged or not template.packages:
            return ()
        if template.packages not in self._etc:
            shown = await run("dpkg-query", "--listfiles", "--", *template.packages)
            parts = (line.split("/") for line in shown.splitlines() if line.startswith("/etc/"))
            self._etc[template.packages] = tuple(sorted({part[2] for part in parts}))
        return self._etc[template.packages]

    async def close(self) -> None:
        """Wait for no installation any longer; apt-get itself is not interrupted."""
        for task in self._tasks.values():
            task.cancel()
        for task in list(self._tasks.values()):
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _advice(self, names: str) -> str:
        return f"apt-get install {names}" if self._packaged else names

    async def _install(self, names: frozenset[str]) -> None:
        argv = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *_WAITS]
        try:
            await _begin_no_service(names)
            try:
                await run_apart(*argv, *sorted(names), within=_PATIENCE)
            except CommandFailed:
                # The lists may be missing, or older than what the mirrors have.
                await run_apart("apt-get", "update", "--quiet", within=_PATIENCE)
                await run_apart(*argv, *sorted(names), within=_PATIENCE)
        except CommandFailed as error:
            self._failures[names] = f"Its packages could not be installed. {error}"
            asyncio.get_running_loop().call_later(
                _TRIED_AGAIN_AFTER, self._failures.pop, names, None
            )
        finally:
            self._tasks.pop(names, None)
            self._changed()


def _is_seen(program: Program) -> bool:
    """Whether a desktop would find a program."""
    path = find_program(program.command[0])
    return path is not None and Path(path).resolve().is_relative_to("/usr")


async def _begin_no_service(names: Iterable[str]) -> None:
    """Mask the services of packages that are about to be installed, where there are any."""
    services = [service for name in names for service in _SERVICES.get(name, ())]
    if services and find_program("systemctl") is not None:
        with contextlib.suppress(CommandFailed):  # no systemd at work: nothing begins anyway
            await run("systemctl", "mask", *services)


async def _installed(names: Iterable[str]) -> set[str]:
    shown = await run(
        *("dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\\n", "--"),
        *names,
        accept=(0, 1),
    )
    words = (line.split() for line in shown.splitlines())
    return {pair[0] for pair in words if len(pair) == 2 and pair[1] == "installed"}  # noqa: PLR2004 - name, status
