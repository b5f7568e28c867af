"""What this machine itself must bring."""

import subprocess
from collections.abc import Iterable

from e2e.cluster.cache import Say
from porthole_client.cli.up import packages


def need_packages(names: Iterable[str], say: Say) -> None:
    """See to it that Debian packages are installed.

    Raises:
        Failure: some are missing and may not, or cannot, be installed here.
    """
    if lacking := [name for name in names if not is_installed(name)]:
        packages.install(lacking, say)


def is_installed(package: str) -> bool:
    """Whether this machine has a Debian package."""
    command = ["dpkg-query", "--show", "--showformat", "${db:Status-Status}", package]
    asked = subprocess.run(command, check=False, capture_output=True, text=True)
    return asked.stdout == "installed"
