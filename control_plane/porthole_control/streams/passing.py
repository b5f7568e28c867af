"""A stream whose legs landed on two processes: passed from one to the other.

The process with the viewer owns the stream. The one that was dialled back by the agent
connects to it, over TLS in which both show a certificate, and carries the bytes on.

Each process makes its key and certificate when it starts and keeps the key in memory; the
certificate stands in its row in Postgres. A process believes the certificates that stand
there and no others, so there is no authority whose key could be lost.
"""

import asyncio
import datetime as dt
import hashlib
import logging
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final
from uuid import UUID

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.http11 import Request, Response

from porthole_control.background import keep_going
from porthole_control.db import replicas
from porthole_control.db.database import Database
from porthole_control.db.doorbell import Bell, Doorbell
from porthole_control.sockets import Gone, Socket, cut
from porthole_control.streams.endings import REPLICA_LOST, Ending, from_replica
from porthole_control.streams.pump import Counts, pump
from porthole_control.streams.rendezvous import Rendezvous
from porthole_control.websocket_server import PING_SECONDS, STREAM_MESSAGE

logger = structlog.get_logger(__name__)

_QUIET = logging.getLogger("porthole_control.streams.passing.sockets")
_QUIET.setLevel(logging.CRITICAL)

_DAYS: Final = 3650
_LOOK_SECONDS: Final = 5.0
_DIAL_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 0.1
_BUFFERED: Final = 64 * 1024
_PATH: Final = "/streams/"


class Passage:
    """Passes streams to other processes and takes them from there.

    Args:
        database: where the certificates are.
        doorbell: rings when a process has come.
        rendezvous: where streams are taken to.
        replica: this process.
    """

    def __init__(
        self, database: Database, doorbell: Doorbell, rendezvous: Rendezvous, replica: UUID
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._rendezvous = rendezvous
        self._replica = replica
        self._peers: dict[UUID, replicas.Peer] = {}
        self._trusted: set[str] = set()
        key, self._certificate = _identity(replica)
        self._server_side = _context(ssl.PROTOCOL_TLS_SERVER, key, self._certificate)
        self._client_side = _context(ssl.PROTOCOL_TLS_CLIENT, key, self._certificate)

    @asynccontextmanager
    async def open(self, listen: tuple[str, int], address: str | None) -> AsyncIterator[None]:
        """Listen, and tell others where, while the block runs.

        Args:
            listen: address and port; port 0 takes a free one.
            address: what others dial; None: the address that is listened on.
        """
        async with serve(
            self._take,
            *listen,
            ssl=self._server_side,
            process_request=self._judge,
            compression=None,
            max_size=STREAM_MESSAGE,
            max_queue=2,
            write_limit=_BUFFERED,
            ping_interval=PING_SECONDS,
            ping_timeout=None,
            server_header=None,
            ssl_handshake_timeout=_DIAL_SECONDS,
            logger=_QUIET,
        ) as server:
            host, port = next(iter(server.sockets)).getsockname()[:2]
            host = address or host
            shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            self._address = shown
            await self._show_ourselves()
            task = asyncio.create_task(self._learn_peers(), name="replicas")
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _show_ourselves(self) -> None:
        async with self._database.unit() as unit:
            await replicas.reachable(unit, self._replica, self._address, self._certificate)
            unit.ring_after_commit(Bell.LINKS)

    # To another process ------------------------------------------------------------------

    async def carry(self, stream: UUID, replica: UUID, agent: Socket) -> Ending:
        """Carry a stream from the agent's leg to the process that has its viewer."""
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                other = await self._dial(stream, replica)
        except (TimeoutError, OSError, InvalidHandshake) as error:
            logger.warning("stream_not_passed", stream=str(stream), error=type(error).__name__)
            return REPLICA_LOST
        logger.info("stream_passed_on", stream=str(stream), replica=str(replica))
        leg = PeerLeg(other)
        ending = await pump(leg, agent, counts=Counts(), viewer_left=from_replica)
        await leg.close(ending.code, ending.reason)
        return ending

    async def _dial(self, stream: UUID, replica: UUID) -> Connection:
        while True:
            peer = self._peers.get(replica)
            if peer is None:
                await self._look()
                peer = self._peers.get(replica)
            if peer is None:
                raise ConnectionRefusedError("That process is gone.")
            try:
                connection = await connect(
                    f"wss://{peer.address}{_PATH}{stream}",
                    ssl=self._client_side,
                    compression=None,
                    max_size=STREAM_MESSAGE,
                    max_queue=2,
                    write_limit=_BUFFERED,
                    ping_interval=PING_SECONDS,
                    ping_timeout=None,
                    proxy=None,
                    logger=_QUIET,
                )
            except (OSError, EOFError) as error:
                # It has not read our certificate yet; it was told to.
                logger.debug("replica_not_reached", error=type(error).__name__)
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            if _fingerprint(connection) == peer.fingerprint:
                return connection
            connection.transport.abort()
            raise ConnectionRefusedError("What answers is another process.")

    # From another process ----------------------------------------------------------------

    def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        """Turn away what is no stream that waits here, or comes from nobody of ours."""
        shown = _fingerprint(connection)
        if shown not in {peer.fingerprint for peer in self._peers.values()}:
            return connection.respond(HTTPStatus.FORBIDDEN, "Nobody we know.\n")
        stream = _stream(request.path)
        if stream is None or not self._rendezvous.expects(stream):
            return connection.respond(HTTPStatus.NOT_FOUND, "No such stream waits here.\n")
        return None

    async def _take(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        stream = _stream(connection.request.path)
        assert stream is not None
        leg = PeerLeg(connection)
        ending = await self._rendezvous.join(stream, leg)
        await leg.close(ending.code, ending.reason)

    # Who there is ------------------------------------------------------------------------

    async def _learn_peers(self) -> None:
        with self._doorbell.hearing(Bell.LINKS) as hearing:
            while True:
                await keep_going("streams: replicas", self._look)
                await hearing.next(_LOOK_SECONDS)

    async def _look(self) -> None:
        async with self._database.reading() as unit:
            found = await replicas.peers(unit)
        self._peers = {peer.id: peer for peer in found}
        if self._replica not in self._peers:  # it was away for so long that it was forgotten
            await self._show_ourselves()
        for peer in found:
            if peer.fingerprint not in self._trusted:
                self._server_side.load_verify_locations(cadata=peer.certificate)
                self._client_side.load_verify_locations(cadata=peer.certificate)
                self._trusted.add(peer.fingerprint)


class PeerLeg:
    """A stream's leg towards another process of ours."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # The library tells whoever hears or says.
        self.lost = asyncio.Event()

    async def hear(self) -> str | bytes:
        """Return the next message, or raise `Gone`."""
        try:
            return await self._connection.recv()
        except ConnectionClosed as closed:
            raise _gone(closed) from closed

    async def say(self, data: bytes) -> None:
        """Send a message, or raise `Gone`."""
        try:
            await self._connection.send(data)
        except ConnectionClosed as closed:
            raise _gone(closed) from closed

    async def close(self, code: int, reason: str = "") -> None:
        """Close it, if it is open still."""
        await self._connection.close(code, cut(reason))


def _gone(closed: ConnectionClosed) -> Gone:
    return Gone(closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else Gone(1006)


def _stream(path: str) -> UUID | None:
    try:
        return UUID(path.removeprefix(_PATH)) if path.startswith(_PATH) else None
    except ValueError:
        return None


def _fingerprint(connection: Connection) -> str:
    channel = connection.transport.get_extra_info("ssl_object")
    shown = None if channel is None else channel.getpeercert(binary_form=True)
    return "" if shown is None else hashlib.sha256(shown).hexdigest()


def _identity(replica: UUID) -> tuple[ec.EllipticCurvePrivateKey, str]:
    """Make the key of this process, and its certificate (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"porthole-{replica}")])
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate.public_bytes(serialization.Encoding.PEM).decode()


def _context(
    side: "ssl._SSLMethod", key: ec.EllipticCurvePrivateKey, certificate: str
) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    # Whom to believe is decided by certificate, not by name.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # The library reads keys from files only; this one is in memory, and gone at once.
    descriptor = os.memfd_create("porthole-replica", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, private + certificate.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context
