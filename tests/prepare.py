"""What the tests need besides what `porthole up` does. The first stage of `tests/run.py`."""

import subprocess
import sys

from e2e.cluster.cache import Cache
from e2e.cluster.kubernetes import KUBERNETES
from e2e.cluster.programs import HELM
from porthole_client.cli.exits import Failure
from porthole_client.cli.up import packages
from porthole_client.cli.up.prepare import prepare

PACKAGES = {
    "tigervnc-viewer": "a story connects with it",
    "freerdp2-x11": "a person with a native client",
    "libatomic1": "the driver of the browser is linked with it",
    "x11-utils": "a test asks where a window is",
    "xclip": "a test asks a desktop for its clipboard",
    "xdotool": "a person's keys and pointer",
    "xvfb": "a person's own screen, for native clients",
}
"""Debian packages that only tests need, and why."""


def is_installed(package: str) -> bool:
    """Whether this machine has a package."""
    command = ["dpkg-query", "--show", "--showformat", "${db:Status-Status}", package]
    asked = subprocess.run(command, check=False, capture_output=True, text=True)
    return asked.stdout == "installed"


def main() -> int:
    """Install and build what is missing; return the exit code."""
    try:
        prepare(("browser", "rdp", "dual"), print)
        if lacking := [package for package in PACKAGES if not is_installed(package)]:
            packages.install(lacking, print)
        cache = Cache.of_this_user(print)
        for artefact in (KUBERNETES, HELM):
            cache.obtain(artefact)
    except Failure as failure:
        print(failure)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
