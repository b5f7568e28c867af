"""Debian packages: installing what is missing.

What a desktop needs stands in its template, what the local runtime needs stands in the
agent: it is asked, and nothing is listed here.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable

from porthole_client.cli.exits import Failure

BUILT_IN = ("desktop", "browser", "rdp", "dual")
"""The templates that Porthole brings."""

_SERVICES = {"xrdp": ("xrdp.service", "xrdp-sesman.service")}
"""What packages would begin to serve on this machine when they are installed; desktops start
programs of their own."""

_SHOWN = 25  # lines of what apt said, from its end, if it failed
_STEP = 20  # percent between two lines of progress


def need(templates: Iterable[str], say: Callable[[str], None]) -> None:
    """See to it that the local runtime and these built-in templates have their packages.

    Raises:
        Failure: some are missing and may not, or cannot, be installed here.
    """
    names = sorted(set(templates))
    if lacking := missing(names):
        install(lacking, say)
        if left_out := missing(names):
            raise Failure(f"apt-get left these packages out: {' '.join(left_out)}.")


def install(lacking: list[str], say: Callable[[str], None]) -> None:
    """Install packages.

    Raises:
        Failure: that may not, or cannot, be done here.
    """
    command = ["apt-get", "install", "-y", "--no-install-recommends", *lacking]
    if shutil.which("apt-get") is None:
        raise Failure(
            "Porthole's desktops are made of Debian's packages, and this is no Debian."
            f" It lacks: {' '.join(lacking)}."
        )
    prefix = _root_prefix()
    if prefix is None:
        raise Failure(
            "Debian packages are missing. Install them as root, then run this again:\n"
            f"  {shlex.join(command)}"
        )
    say(f"Installing Debian packages, with what they need: {' '.join(lacking)}")
    _apt([*prefix, "apt-get", "update", "-q"], lambda _: None)
    services = [service for name in lacking for service in _SERVICES.get(name, ())]
    if services and shutil.which("systemctl") is not None:
        masking = [*prefix, "systemctl", "mask", *services]
        subprocess.run(masking, check=False, capture_output=True, stdin=subprocess.DEVNULL)
    _apt([*prefix, *command], say)


def missing(templates: list[str]) -> list[str]:
    """Return the packages that are not installed; the agent itself knows which it needs.

    Raises:
        Failure: it cannot say.
    """
    asked = subprocess.run(
        [sys.executable, "-m", "porthole_agent.runtimes.local", *templates],
        check=False,
        capture_output=True,
        text=True,
    )
    if asked.returncode:
        raise Failure(f"The agent does not say which packages it needs: {asked.stderr.strip()}")
    return asked.stdout.split()


def _root_prefix() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    if sys.stdin.isatty():
        return ["sudo"]
    asked = subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True)
    return ["sudo", "-n"] if asked.returncode == 0 else None


def _apt(command: list[str], say: Callable[[str], None]) -> None:
    """Run apt-get, with a line of progress now and then.

    Raises:
        Failure: it failed; the sentence has its own words.
    """
    status, writing = os.pipe()
    get = command.index("apt-get") + 1
    options = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
    # Not standard output: what packages' own scripts say there must not get in between.
    options += ["-o", f"APT::Status-Fd={writing}", "-o", "Dpkg::Use-Pty=0"]
    with tempfile.TemporaryFile("w+") as words, os.fdopen(status) as told:
        process = subprocess.Popen(
            [*command[:get], *options, *command[get:]],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            pass_fds=(writing,),
        )
        os.close(writing)
        _tell(told, say)
        if process.wait() != 0:
            words.seek(0)
            tail = "".join(words.readlines()[-_SHOWN:]).strip()
            raise Failure(f"{shlex.join(command[:get])} failed, in its own words:\n{tail}")


def _tell(status: Iterable[str], say: Callable[[str], None]) -> None:
    reached: dict[str, int] = {}
    for line in status:
        doing, percent = progress(line)
        if doing and percent // _STEP > reached.get(doing, 0):
            reached[doing] = percent // _STEP
            say(f"  {doing}: {reached[doing] * _STEP} %")


def progress(line: str) -> tuple[str, int]:
    """Return what apt does and how far it is in percent, after a line of its status.

    Lines that say something else give an empty word.
    """
    doing = {"dlstatus": "fetching", "pmstatus": "installing"}.get(line.partition(":")[0], "")
    found = re.match(r"\w+:.+?:(\d+)(?:\.\d+)?:", line) if doing else None
    return (doing, int(found[1])) if found else ("", 0)
