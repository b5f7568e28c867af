"""`/api/v1/agents/link`: where agents dial in."""

import asyncio
from http import HTTPStatus
from uuid import UUID

import structlog
from starlette.types import Receive, Scope, Send

from porthole_contract.errors import ProtocolError
from porthole_contract.link import codec
from porthole_contract.link.frames import Goodbye
from porthole_control.db.database import Database
from porthole_control.db.trouble import is_passing
from porthole_control.link import rules
from porthole_control.link.greeting import Greeted, Parting, greet
from porthole_control.link.hub import Hub
from porthole_control.link.limits import Limits
from porthole_control.metrics import LINKS_REFUSED
from porthole_control.sockets import Gone, Socket, refuse_pages

logger = structlog.get_logger(__name__)

GREETING_SECONDS = 10.0
_ASKED_AT_ONCE = 4
_CLOSED = 1000
_POLICY = 1008
_TRY_AGAIN = 1013

TOO_MANY = Goodbye(
    code="too_many",
    message="This agent links again and again. It may come back in a while.",
    retry_after=10.0,
)
TOO_SLOW = Goodbye(
    code="too_slow",
    message=f"The greeting took longer than {GREETING_SECONDS:.0f} s.",
    retry_after=5.0,
)
UNAVAILABLE = Goodbye(code="unavailable", message="The database does not answer.", retry_after=1.0)


class LinkEndpoint:
    """The ASGI application of the link.

    Args:
        hub: the links of this process.
        database: where agents are.
        instance: which installation we are.
        public_url: what we are reached at through a proxy.
    """

    def __init__(
        self, hub: Hub, database: Database, *, instance: UUID, public_url: str | None
    ) -> None:
        self._hub = hub
        self._database = database
        self._instance = instance
        self._public_url = public_url
        self._limits = Limits()
        self._turn = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one agent that dials."""
        socket = Socket(scope, receive, send)
        try:
            await socket.opening()
            if not await refuse_pages(socket) and await self._admit(socket):
                await self._serve(socket)
        except Gone as gone:
            logger.info("link_gone", address=socket.address, code=gone.code, why=gone.reason)

    async def _admit(self, socket: Socket) -> bool:
        """Count a greeting that begins, or refuse it before there is a WebSocket."""
        if not socket.offers(rules.SUBPROTOCOL):
            await socket.refuse(
                HTTPStatus.BAD_REQUEST,
                "wrong_subprotocol",
                f"This is where agents dial in, with the subprotocol {rules.SUBPROTOCOL}.",
            )
            return False
        if not self._limits.enter(socket.address):
            LINKS_REFUSED.labels("too_many_links").inc()
            await socket.refuse(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_links",
                "Too many links are being tried. Try again in a moment.",
            )
            return False
        return True

    async def _serve(self, socket: Socket) -> None:
        try:
            # Who it is is not kept: what it said for that is larger than its conversation.
            link = await self._hub.begin(await self._greet(socket), socket)
            await self._hub.serve(link, socket)
        except Parting as parting:
            await self._part(socket, parting.goodbye)
        except ProtocolError as error:
            because = Goodbye(code=error.code, message=str(error)[:2000], retry_after=5.0)
            await self._part(socket, because)
        except Exception as error:
            if not is_passing(error):
                raise
            await self._part(socket, UNAVAILABLE)
        else:
            await socket.close(_CLOSED)

    async def _greet(self, socket: Socket) -> Greeted:
        """Return who has proven itself.

        Raises:
            Parting: say this and close.
            ProtocolError: what came was no greeting.
        """
        base = rules.dialled_base(
            socket.scope["scheme"], socket.headers.get("host", ""), self._public_url
        )
        try:
            await socket.accept(rules.SUBPROTOCOL)
            async with asyncio.timeout(GREETING_SECONDS):
                greeted = await greet(
                    socket, self._database, turn=self._turn, instance=self._instance, base=base
                )
        except TimeoutError:
            raise Parting(TOO_SLOW) from None
        finally:
            self._limits.leave(socket.address)
        if not self._limits.linked(greeted.agent, asyncio.get_running_loop().time()):
            raise Parting(TOO_MANY)
        return greeted

    async def _part(self, socket: Socket, goodbye: Goodbye) -> None:
        logger.warning(
            "link_refused", address=socket.address, code=goodbye.code, why=goodbye.message
        )
        LINKS_REFUSED.labels(goodbye.code).inc()
        code = _POLICY if goodbye.retry_after is None else _TRY_AGAIN
        reason = f"{goodbye.code}: {goodbye.message}"
        await socket.close(code, reason, last=codec.encode(goodbye))
