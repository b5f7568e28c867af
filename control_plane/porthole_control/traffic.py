"""Links and streams of one process, joined: everything that comes in over WebSockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from porthole_control.commands.dispatch import Dispatcher
from porthole_control.driving.drives import Drives
from porthole_control.driving.pictures import Pictures
from porthole_control.link import rules
from porthole_control.link.endpoint import LinkEndpoint
from porthole_control.link.handlers import handlers
from porthole_control.link.hub import Hub
from porthole_control.parts import Parts
from porthole_control.settings import split_address
from porthole_control.streams.asking import Asking
from porthole_control.streams.endpoints import DialBackEndpoint, ViewerEndpoint
from porthole_control.streams.looking import Looking
from porthole_control.streams.passing import Passage
from porthole_control.streams.rendezvous import Rendezvous
from porthole_control.streams.watch import Watch

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What serves links and streams.

    Attributes:
        hub: the links of this process.
        dispatcher: sends what is in the queue.
        looking: opens streams for viewers of this process.
        drives: those of programs that look at desktops and use them.
        pictures: what programs have seen just now.
        watch: ends those whose right is gone.
        passage: takes their other legs from other processes, and passes them on.
    """

    hub: Hub
    dispatcher: Dispatcher
    looking: Looking
    drives: Drives
    pictures: Pictures
    watch: Watch
    passage: Passage
    link: ASGIApp
    viewer: ASGIApp
    dial_back: ASGIApp


@asynccontextmanager
async def running(parts: Parts) -> AsyncIterator[Traffic]:
    """Run links and streams while the block does; afterwards all were told goodbye."""
    database, doorbell, replica = parts.database, parts.doorbell, parts.replica
    hub = Hub(database, doorbell, replica=replica)
    hub.handlers = handlers(hub)
    dispatcher = Dispatcher(database, doorbell, hub.linked)
    hub.on_linked = dispatcher.linked
    hub.on_room = dispatcher.has_room
    hub.on_received = dispatcher.received
    rendezvous = Rendezvous()
    looking = Looking(database, doorbell, rendezvous, replica)
    passage = Passage(database, doorbell, rendezvous, replica)
    drives = Drives(database, looking, replica)
    asking = Asking(database, doorbell, hub)
    watch = Watch(database, doorbell, rendezvous, parts.presence)
    traffic = Traffic(
        hub=hub,
        dispatcher=dispatcher,
        looking=looking,
        drives=drives,
        pictures=Pictures(drives),
        watch=watch,
        passage=passage,
        link=LinkEndpoint(
            hub, database, instance=parts.instance, public_url=parts.settings.public_url
        ),
        viewer=ViewerEndpoint(looking, parts.guard),
        dial_back=DialBackEndpoint(database, rendezvous, passage, replica),
    )
    listen = split_address(parts.settings.replica_listen, 0)
    async with passage.open(listen, parts.settings.replica_address), hub:
        tasks = [
            asyncio.create_task(dispatcher.run(), name="dispatcher"),
            asyncio.create_task(asking.run(), name="asking"),
            asyncio.create_task(looking.run(), name="stream-ends"),
            asyncio.create_task(watch.run(), name="watch"),
            asyncio.create_task(watch.tidy(), name="watch-tidy"),
        ]
        for task in tasks:
            task.add_done_callback(_complain)
        try:
            yield traffic
        finally:
            await rendezvous.leave()
            await drives.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("task_ended", task=task.get_name(), exc_info=task.exception())


class _Late:
    """An application that is there once the program runs."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        traffic = getattr(scope["app"].state, "traffic", None)
        if traffic is None:
            await receive()
            await send({"type": "websocket.close", "code": 1013})
            return
        app: ASGIApp = getattr(traffic, self._name)
        await app(scope, receive, send)


class LinksFirst:
    """Leads agents' links past what is there for requests.

    Each layer that a link passes is kept for as long as it lasts: days, thousands of times.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._link = _Late("link")

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a link, or let anything else through."""
        is_link = scope["type"] == "websocket" and scope["path"] == rules.PATH
        return (self._link if is_link else self._app)(scope, receive, send)


def routes() -> list[BaseRoute]:
    """Return the other WebSockets of the public application."""
    return [
        WebSocketRoute("/api/v1/streams/{ticket}", _Late("viewer"), name="stream"),
        WebSocketRoute("/api/v1/streams/{stream:uuid}/agent", _Late("dial_back"), name="dial-back"),
    ]
