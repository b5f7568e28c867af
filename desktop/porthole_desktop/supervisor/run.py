"""The program: read the configuration, live, say by the exit code how it ended."""

import argparse
import asyncio
from pathlib import Path
from typing import Final

from . import config
from .desktop import Desktop, close_inheritance
from .log import Log
from .shelf import Shelf

WRONG_CONFIGURATION: Final = 78


def main(arguments: list[str] | None = None) -> int:
    """Run the supervisor; return its exit code (see `desktop/README.md`)."""
    parser = argparse.ArgumentParser(prog="supervisor", description="The desktop's first process.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--keep-fd", type=int, action="append", default=[], metavar="N")
    options = parser.parse_args(arguments)
    log = Log("supervisor")
    try:
        close_inheritance(options.keep_fd)
        settings = config.read(options.config)
    except (config.Wrong, OSError) as error:
        log.say(str(error))
        return WRONG_CONFIGURATION
    return asyncio.run(_live(settings, log))


async def _live(settings: config.Config, log: Log) -> int:
    if settings.files_seconds is not None:
        return await Shelf(settings, log).live()
    return await Desktop(settings, log, Log("program")).live()
