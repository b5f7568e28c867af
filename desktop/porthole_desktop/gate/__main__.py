"""The program: `python -m porthole_desktop.gate --config FILE`."""

import argparse
import asyncio
import signal
import ssl
import sys
from pathlib import Path
from typing import Final

import uvloop

from porthole_contract.errors import Invalid
from porthole_contract.stream.closing import CloseReason
from porthole_desktop.gate import config
from porthole_desktop.gate.doorway import Doorway, tls_context
from porthole_desktop.gate.gate import Gate
from porthole_desktop.gate.health import Health
from porthole_desktop.supervisor.log import Log

WRONG_CONFIGURATION: Final = 78
_GOODBYE: Final = 1.5
"""Seconds in which the last words may still be written."""


def main(arguments: list[str] | None = None) -> int:
    """Run a gate; return its exit code (see `desktop/README.md`)."""
    parser = argparse.ArgumentParser(prog="gate", description="Lets viewers into one desktop.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--listen", metavar="unix:PATH|tcp:HOST:PORT")
    parser.add_argument("--health", metavar="unix:PATH|tcp:HOST:PORT")
    options = parser.parse_args(arguments)
    log = Log("gate")
    try:
        settings = config.read(options.config)
        given = {name: getattr(options, name) for name in ("listen", "health")}
        settings = config.Config.model_validate(
            {**dict(settings), **{name: value for name, value in given.items() if value}}
        )
        tls = tls_context(settings.certificate, settings.key)
        return uvloop.run(_serve(settings, tls, log))
    except (Invalid, OSError, ssl.SSLError) as error:
        log.say(str(error))
        return WRONG_CONFIGURATION


async def _serve(settings: config.Config, tls: ssl.SSLContext, log: Log) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gate = Gate(settings, log.say)
    doorway, health = Doorway(gate, tls), Health(gate)
    doorway.open(settings.listen)
    if settings.health is not None:
        await health.open(settings.health)
    following = loop.create_task(gate.supervisor.run())
    log.say(f"The gate of session {settings.session} listens on {doorway.address}.")
    await stop.wait()
    doorway.close()
    health.close()
    gate.close(CloseReason.GATE_STOPPED, "The gate is being stopped.")
    following.cancel()
    await doorway.gone(_GOODBYE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
