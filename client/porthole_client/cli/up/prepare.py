"""What has to be there before anything is started: Debian packages, the built console."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.up import packages
from porthole_client.cli.up.console import build

ALWAYS = "desktop"
"""The template that every instance has on offer."""


def need_root() -> None:
    """Check that desktops can be given users and namespaces of their own.

    Raises:
        Failure: they cannot.
    """
    if os.geteuid() != 0:
        raise Failure(
            "Desktops on this machine need root: each runs as a user of its own, in a network of"
            " its own. Run this again with sudo.",
            Exit.NOT_ALLOWED,
        )


def prepare(extra: Iterable[str], say: Callable[[str], None], *, console: bool = True) -> None:
    """See to it that this machine can run the built-in templates `desktop` and `extra`.

    Args:
        extra: names of further templates.
        say: prints a line of progress.
        console: whether the console is shown from here, and built if this is a checkout.

    Raises:
        Failure: something is missing that cannot be installed or built here.
    """
    wanted = {ALWAYS, *extra}
    if unknown := sorted(wanted - set(packages.BUILT_IN)):
        known = ", ".join(packages.BUILT_IN)
        raise Failure(
            f"No built-in template is called {unknown[0]!r}; there are {known}.", Exit.USAGE
        )
    with ThreadPoolExecutor(2) as pool:  # one waits for mirrors, the other for the compiler
        doing = [pool.submit(packages.need, wanted, say)]
        if console:
            doing.append(pool.submit(build, say))
        for task in doing:
            task.result()
