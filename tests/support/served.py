"""A control plane that is reached over a network: real sockets, real WebSockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porthole_control import serving
from porthole_control.serving import Listener, bind_tcp
from tests.support.control_plane import ControlPlane, a_control_plane
from tests.support.postgres import TestDatabase
from tests.support.waiting import eventually


@dataclass
class Served:
    """A control plane and the port that it is served on."""

    control_plane: ControlPlane
    port: int
    going: asyncio.Event
    _server: Any

    @property
    def url(self) -> str:
        """What agents and people dial."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """The same for WebSockets."""
        return f"ws://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Begin to end, as SIGTERM does."""
        self.going.set()
        self._server.should_exit = True


@asynccontextmanager
async def served(
    database: TestDatabase, home: Path, *, below: str = "", **changes: Any
) -> AsyncIterator[Served]:
    """Run a control plane on `database` and serve it on a free port.

    Args:
        database: of the control plane.
        home: of the control plane.
        below: the path of its public URL, if it has one.
        changes: settings besides those.
    """
    bound = bind_tcp("127.0.0.1", 0)
    port = bound.getsockname()[1]
    if below:
        changes["public_url"] = f"http://127.0.0.1:{port}{below}"
    async with a_control_plane(database, home, port=port, **changes) as running:
        going = asyncio.Event()
        server = serving._server(Listener(bound, running.app), going)
        task = asyncio.create_task(server.serve(sockets=[bound]))

        async def started() -> bool:
            return server.started

        await eventually(started, True)
        one = Served(running, port, going, server)
        try:
            yield one
        finally:
            one.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await task
