"""`python -m porthole_agent.runtimes.local [TEMPLATE]...`: which Debian packages are missing.

Prints one package a line: those that the runtime itself needs and those of the named
templates that come with it. Nothing printed: everything is there.
"""

import asyncio
import sys

from porthole_agent.runtimes.local.host import NEEDED
from porthole_agent.runtimes.local.offers import own_templates
from porthole_agent.runtimes.local.packages import Packages
from porthole_agent.runtimes.local.processes import find_program


async def _missing(names: list[str]) -> set[str]:
    packages = Packages(may_install=False, changed=lambda: None)
    missing = {package for name, package in NEEDED.items() if find_program(name) is None}
    for template in own_templates():
        if template.name in names:
            missing |= await packages.missing(template.spec)
    return missing


def main() -> None:
    """Print what is missing."""
    for package in sorted(asyncio.run(_missing(sys.argv[1:]))):
        sys.stdout.write(f"{package}\n")


if __name__ == "__main__":
    main()
