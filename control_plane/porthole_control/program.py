"""Runs one control plane process: what `python -m porthole_control` does.

Everything is set by `PORTHOLE_...` (see `settings.py`); `--listen ADDRESS` and `--port PORT`
are there for people. Ends in good order on SIGTERM and SIGINT.
"""

import argparse
import asyncio
import gc
import sys
from pathlib import Path
from typing import Any

import structlog
import uvloop
from pydantic import ValidationError

from porthole_contract.errors import PortholeError
from porthole_control import certificate, files, logs
from porthole_control.app import create_app
from porthole_control.probes import internal_app
from porthole_control.serving import Listener, bind_tcp, bind_unix, serve
from porthole_control.settings import Settings, split_address
from porthole_telemetry import tracing
from porthole_telemetry.exporting import tracer

logger = structlog.get_logger("porthole_control")


def main() -> int:
    """Run until told to end; return the exit status."""
    parser = argparse.ArgumentParser(prog="porthole_control")
    parser.add_argument("--listen", help="a further address to serve on, with TLS")
    parser.add_argument("--port", type=int, help="the port on 127.0.0.1")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"PORTHOLE_{name}: {problem['msg']}.\n")
        return 2
    logs.configure(form=settings.log_format, level=settings.log_level)
    try:
        tracing.use(tracer("porthole-control-plane"))
        uvloop.run(_run(settings))
    except PortholeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        tracing.process().close()
    return 0


async def _run(settings: Settings) -> None:
    public = bind_tcp("127.0.0.1", settings.port)
    settings = settings.model_copy(update={"port": public.getsockname()[1]})
    app = create_app(settings)
    listeners = [Listener(public, app)]
    if settings.listen is not None:
        address, port = split_address(settings.listen, settings.port)
        secured = bind_tcp(address, port)
        listeners.append(Listener(secured, app, certificate.ensure(settings)))
    token = _metrics_token(settings)
    listeners.append(Listener(_internal(settings), internal_app(app, token)))
    going = asyncio.Event()
    async with app.router.lifespan_context(app):
        # What is there now stays. To look through it again and again, for rubbish, would hold up
        # everybody for a tenth of a second each time.
        gc.collect()
        gc.freeze()
        gc.enable()  # it was off since the start
        logger.info("serving", port=settings.port, listen=settings.listen)
        await serve(listeners, going=going)
    logger.info("ended")


def _internal(settings: Settings) -> Any:
    where = settings.internal or f"unix:{settings.run / 'control-plane.sock'}"
    if where.startswith("unix:"):
        return bind_unix(Path(where.removeprefix("unix:")))
    address, port = split_address(where, 0)
    return bind_tcp(address, port)


def _metrics_token(settings: Settings) -> str:
    file = settings.metrics_token_file or settings.secrets / "metrics-token"
    if not file.exists() and settings.metrics_token_file is None:
        files.write_new_secret(file)
    return file.read_text(encoding="ascii").strip()
