"""The two WebSockets of a stream: who looks opens one, the agent dials back the other."""

import asyncio
from http import HTTPStatus
from uuid import UUID

import structlog
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from porthole_contract.lifecycle import Phase
from porthole_control.db.database import Database, Unit
from porthole_control.db.trouble import is_passing
from porthole_control.errors import Forbidden
from porthole_control.failpoints import failpoint
from porthole_control.metrics import FENCED, STREAMS_REFUSED
from porthole_control.people import rules as secrets
from porthole_control.people.guard import Guard
from porthole_control.sockets import Socket, refuse_pages
from porthole_control.streams import repository
from porthole_control.streams.endings import UNAVAILABLE, Ending
from porthole_control.streams.looking import Looking, Refusal
from porthole_control.streams.passing import Passage
from porthole_control.streams.rendezvous import Rendezvous

logger = structlog.get_logger(__name__)

SUBPROTOCOL = "binary"
_JUDGED_AT_ONCE = 4


class ViewerEndpoint:
    """`/api/v1/streams/{ticket}`: opened by who has the ticket, once."""

    def __init__(self, looking: Looking, guard: Guard) -> None:
        self._looking = looking
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one viewer."""
        socket = Socket(scope, receive, send)
        await socket.opening()
        try:
            self._guard.check_origin(HTTPConnection(scope), required=False)
        except Forbidden as error:
            logger.warning("stream_refused", address=socket.address, code=error.code)
            STREAMS_REFUSED.labels("wrong_origin").inc()
            await socket.refuse(HTTPStatus.FORBIDDEN, error.code, str(error))
            return
        # Browsers are told nothing of a socket that was not opened, so it is, to be told.
        await socket.accept(SUBPROTOCOL if socket.offers(SUBPROTOCOL) else None)
        ending = await self._serve(socket, scope["path_params"]["ticket"])
        await socket.close(ending.code, ending.reason)

    async def _serve(self, socket: Socket, ticket: str) -> Ending:
        try:
            opened = await self._looking.redeem(ticket, socket.headers.get("origin"))
        except Refusal as refusal:
            logger.info("stream_refused", address=socket.address, code=refusal.ending.name)
            STREAMS_REFUSED.labels(refusal.ending.known_name).inc()
            return refusal.ending
        except Exception as error:
            if not is_passing(error):
                raise
            STREAMS_REFUSED.labels(UNAVAILABLE.known_name).inc()
            return UNAVAILABLE
        log = logger.bind(stream=str(opened.id), session=str(opened.session_id))
        log.info("stream_opened", channel=opened.channel, mode=opened.mode)
        asleep = opened.session_phase == Phase.HIBERNATED
        ending = await self._looking.carry(opened.id, socket, socket.going_away, asleep=asleep)
        log.info("stream_ended", code=ending.name)
        return ending


class DialBackEndpoint:
    """`/api/v1/streams/{stream}/agent`: dialled back by the agent that was asked, once."""

    def __init__(
        self, database: Database, rendezvous: Rendezvous, passage: Passage, replica: UUID
    ) -> None:
        self._database = database
        self._rendezvous = rendezvous
        self._passage = passage
        self._replica = replica
        self._turn = asyncio.Semaphore(_JUDGED_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one agent's leg."""
        socket = Socket(scope, receive, send)
        await socket.opening()
        if await refuse_pages(socket):
            return
        stream: UUID = scope["path_params"]["stream"]
        try:
            replica = await self._judge(stream, socket.bearer)
        except Forbidden as error:
            logger.warning(
                "dial_back_refused", address=socket.address, stream=str(stream), code=error.code
            )
            await socket.refuse(HTTPStatus.FORBIDDEN, error.code, str(error))
            return
        except Exception as error:
            if not is_passing(error):
                raise
            await socket.refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, UNAVAILABLE.name, UNAVAILABLE.sentence
            )
            return
        failpoint("streams.dialled-back")
        await socket.accept(SUBPROTOCOL if socket.offers(SUBPROTOCOL) else None)
        if replica is None or replica == self._replica:
            ending = await self._rendezvous.join(stream, socket)
        else:
            ending = await self._passage.carry(stream, replica, socket)
        await socket.close(ending.code, ending.reason)

    async def _judge(self, stream: UUID, secret: str) -> UUID | None:
        async with self._turn, self._database.unit() as unit:
            return await judge(unit, stream, secret)


async def judge(unit: Unit, stream: UUID, secret: str) -> UUID | None:
    """Use the secret of a dial-back up; return the process that has the viewer.

    Raises:
        Forbidden: it is not the secret, or no longer; or the agent has another link by now.
    """
    parts = secrets.dissect(secrets.DIAL_BACK, secret)
    row = None if parts is None else await repository.dialled_back(unit.connection, stream)
    if (
        parts is None
        or row is None
        or row.secret_hash is None
        or parts[0] != stream
        or not secrets.proves(parts[1], row.secret_hash)
        or row.state != "waiting"
    ):
        raise Forbidden("This secret opens no stream.", code="secret_invalid")
    if row.secret_expires_at is None or row.secret_expires_at <= unit.now:
        raise Forbidden("This secret is too old.", code="secret_expired")
    if row.agent_state == "revoked" or row.agent_epoch != row.current_epoch:
        FENCED.labels("stream").inc()
        raise Forbidden("The link on which the stream was asked for is over.", code="epoch_over")
    await repository.open_(unit.connection, stream, unit.now)
    return row.replica_id
