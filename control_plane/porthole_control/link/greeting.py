"""Who is there? The greeting, up to the point where the agent has proven itself."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from porthole_contract.errors import RemoteProtocolError, TooOld, Unproven
from porthole_contract.link import codec
from porthole_contract.link.frames import Challenge, Goodbye, Hello, Proof
from porthole_contract.link.greeting import check_proof
from porthole_contract.link.version import CURRENT, agree
from porthole_control.db.database import Database
from porthole_control.link import repository, rules
from porthole_control.sockets import Socket

_F = TypeVar("_F", Hello, Proof)


class Parting(Exception):
    """The greeting ends with this goodbye."""

    def __init__(self, goodbye: Goodbye) -> None:
        super().__init__(goodbye.message)
        self.goodbye = goodbye


@dataclass(frozen=True, slots=True)
class Greeted:
    """An agent that has proven itself.

    Attributes:
        expected: the epoch that it had; the link is its next one only if it still is.
        epoch: what it has been promised.
        base: scheme, host and port of the URL that it dialled.
    """

    hello: Hello
    name: str
    expected: int
    epoch: int
    base: str

    @property
    def agent(self) -> UUID:
        """Which agent."""
        return self.hello.agent


async def greet(
    socket: Socket, database: Database, *, turn: asyncio.Semaphore, instance: UUID, base: str
) -> Greeted:
    """Return who dialled, once they have proven it.

    An agent that we do not know is challenged like any other: who asks without a key
    learns nothing about which agents there are.

    Args:
        socket: accepted, nothing was said on it.
        database: where agents are.
        turn: so many strangers may ask the database at once.
        instance: which installation we are.
        base: what the agent's URL begins with, as we see it.

    Raises:
        Parting: say this and close.
        RemoteProtocolError: what came was no greeting.
        Gone: the agent left.
    """
    hello = await _hear(socket, Hello)
    try:
        agree(hello.version)
    except TooOld as error:
        raise Parting(Goodbye(code=error.code, message=str(error), retry_after=60)) from error
    if hello.epoch > rules.HIGHEST_CLAIM:
        raise RemoteProtocolError("The agent claims an epoch that it cannot have had.")
    async with turn, database.reading() as unit:
        known = await repository.known(unit.connection, hello.agent)
    expected = 0 if known is None else known.epoch
    challenge = Challenge(
        version=str(CURRENT),
        control_plane=instance,
        nonce=secrets.token_hex(32),
        epoch=rules.next_epoch(expected, hello.epoch),
    )
    await socket.say(codec.encode(challenge))
    proof = await _hear(socket, Proof)
    key = secrets.token_bytes(32) if known is None else known.public_key
    try:
        check_proof(key, hello, challenge, f"{base}{rules.PATH}", proof)
    except Unproven as error:
        sentence = "This control plane does not know that agent, or it did not prove to be it."
        raise Parting(Goodbye(code="unproven", message=sentence)) from error
    assert known is not None
    if known.state == "revoked":
        raise Parting(rules.REVOKED)
    return Greeted(hello, known.name, expected, challenge.epoch, base)


async def _hear(socket: Socket, kind: type[_F]) -> _F:
    frame = codec.decode_from_agent(await socket.hear())
    if not isinstance(frame, kind):
        raise RemoteProtocolError(f"{type(frame).__name__} came where {kind.__name__} was due.")
    return frame
