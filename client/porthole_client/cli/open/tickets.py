"""Asking the operator for the way into a session's gate: one ticket for each look."""

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid4

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.open.cluster import Cluster, Denied, Missing
from porthole_contract.cluster import Object
from porthole_contract.errors import Invalid
from porthole_contract.names import API_VERSION
from porthole_contract.stream.sealed import KEY, public_half, unseal
from porthole_contract.ticket import SessionTicketStatus, TicketState
from porthole_kube.kinds import TICKETS

ANSWERED_WITHIN: Final = 15.0
"""Seconds in which an operator answers, even one that is just taking over."""
_FIRST_LOOK: Final = 0.03
_LOOK_EVERY: Final = 0.5
_EXITS: Final = {
    "SessionUnknown": Exit.NOT_FOUND,
    "NotRunning": Exit.CONFLICT,
    "Late": Exit.TIMED_OUT,
}


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens a gate, once and within a minute.

    `pod` and `port` say where it is, `fingerprint` what its certificate is, `channel` and `mode`
    for what it is good. `stream` is what the gate will call it, `replaces` a stream that it ends
    for this one.
    """

    pod: str
    port: int
    fingerprint: str
    channel: str
    mode: str
    grant: str = field(repr=False)
    stream: UUID = field(default_factory=uuid4)
    replaces: UUID | None = None


async def ask(cluster: Cluster, session: str, owner: str, channel: str, mode: str) -> Opening:
    """Return what opens a session's screen.

    Args:
        cluster: where it is.
        session: its name.
        owner: whose it is; whoever may own their sessions may open them.
        channel: on which the screen is seen: `vnc` or `rdp`.
        mode: `view` or `control`.

    Raises:
        Failure: it is not given; the sentence says what to do.
    """
    private = secrets.token_bytes(KEY)
    ticket: Object = {
        "apiVersion": API_VERSION,
        "kind": TICKETS.name,
        "metadata": {
            "name": f"open-{secrets.token_hex(8)}",
            "namespace": cluster.choice.namespace,
        },
        "spec": {
            "session": session,
            "owner": owner,
            "channel": channel,
            "mode": mode,
            "publicKey": public_half(private),
        },
    }
    made = await _made(cluster, session, ticket)
    head = made["metadata"]
    try:
        status = await _answer(cluster, head["name"])
    finally:
        await cluster.delete(TICKETS, head["name"])
    return opening(status, private, about=head["uid"], channel=channel, mode=mode)


def opening(
    status: SessionTicketStatus, private: bytes, *, about: str, channel: str, mode: str
) -> Opening:
    """Return what an answered ticket opens (pure).

    Raises:
        Failure: it was refused, or its answer is not for us.
    """
    if status.state is TicketState.REFUSED:
        raise Failure(status.message or status.reason, _EXITS.get(status.reason, Exit.FAILED))
    where = (status.pod_name, status.port, status.fingerprint, status.grant)
    if status.pod_name is None or status.port is None or not all(where):
        raise Failure("The operator's answer says nothing. Is it as new as this program?")
    try:
        grant = unseal(status.grant or "", private, about=about)
    except Invalid as error:
        raise Failure(f"The operator's answer cannot be read: {error}.") from None
    return Opening(status.pod_name, status.port, status.fingerprint or "", channel, mode, grant)


async def _made(cluster: Cluster, session: str, ticket: Object) -> Object:
    try:
        return await cluster.create(TICKETS, ticket)
    except Missing as error:
        raise Failure(
            "This cluster has no SessionTicket, so nobody can be let in. Bring its Porthole up to"
            f" date: `helm upgrade` applies the kinds as well. {error}".strip()
        ) from error
    except Denied as error:
        raise Failure(
            f"You may not open session {session}: {str(error).rstrip('.')}. It takes the right to"
            " create and get sessiontickets, and for somebody else's session that to create"
            " sessions/connect.",
            Exit.NOT_ALLOWED,
        ) from error


async def _answer(cluster: Cluster, name: str) -> SessionTicketStatus:
    until = time.monotonic() + ANSWERED_WITHIN
    pause = _FIRST_LOOK
    while time.monotonic() < until:
        await asyncio.sleep(pause)
        found = await cluster.get(TICKETS, name)
        status = SessionTicketStatus.model_validate(found.get("status") or {})
        if status.state is not TicketState.PENDING:
            return status
        pause = min(pause * 2, _LOOK_EVERY)
    raise Failure(
        f"Porthole's operator has not answered within {ANSWERED_WITHIN:.0f} s. Is it running, and"
        f" is {cluster.choice.namespace} one of its namespaces? See"
        f" `{cluster.choice.kubectl} get pods -A -l app.kubernetes.io/name=porthole-operator`.",
        Exit.UNREACHABLE,
    )
