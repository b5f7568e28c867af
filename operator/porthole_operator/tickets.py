"""Answers SessionTickets: `porthole open --context` without a control plane.

Who may ask is the API server's business, held by an admission policy
(`docs/decisions/0011-a-ticket-is-an-object.md`); whether that is in force is asked of it by a
dry run. What is answered is decided in `judged`; the grant is sealed for whoever asked.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from pydantic import ValidationError

from porthole_contract.cluster import Object
from porthole_contract.errors import Invalid, PortholeError
from porthole_contract.lifecycle import Phase
from porthole_contract.names import API_VERSION
from porthole_contract.session import Protocol
from porthole_contract.stream.channels import DESKTOPS
from porthole_contract.stream.grant import Claims, SigningKey, issue, nonce
from porthole_contract.stream.sealed import KEY, seal
from porthole_contract.ticket import (
    TICKET_ISSUER,
    SessionTicketSpec,
    SessionTicketStatus,
    TicketState,
)
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Conflicted, Denied, Missing
from porthole_kube.kinds import (
    PODS,
    SECRETS,
    SESSIONS,
    TICKETS,
)
from porthole_operator.desired.secret import Keys
from porthole_operator.seen import Pod, is_child, read_pod
from porthole_operator.status import GATE_PORT
from porthole_operator.subject import Subject, read_subject, read_time

GOOD_FOR: Final = timedelta(seconds=60)
LATE_AFTER: Final = timedelta(minutes=1)
KEPT_FOR: Final = timedelta(minutes=5)
_ASKED_EVERY: Final = timedelta(minutes=1)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a ticket opens: the gate of a running session."""

    session: UUID
    pod: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a ticket opens nothing."""

    reason: str
    message: str


def judged(
    ticket: SessionTicketSpec,
    asked_at: datetime,
    subject: Subject | None,
    pod: Pod | None,
    now: datetime,
) -> Opening | Refusal:
    """Return what a ticket opens, if anything (pure).

    `pod` is the Session's own. That the policy is in force is known by now.
    """
    if now - asked_at > LATE_AFTER:
        return Refusal("Late", "The ticket is too old; ask again.")
    spec = None if subject is None else subject.spec
    theirs = spec is not None and ticket.owner in {None, spec.owner}
    if subject is None or subject.deleting_since is not None or not theirs:
        return Refusal("SessionUnknown", f"There is no session '{ticket.session}' of yours here.")
    pin = subject.status.template
    spoken = (pin.protocols if pin is not None else ()) or (Protocol.VNC,)
    served = [str(channel) for protocol in spoken for channel in DESKTOPS[protocol]]
    if ticket.channel not in served:
        words = f"The channel '{ticket.channel}' is not served. It is seen on {', '.join(served)}."
        return Refusal("ChannelNotServed", words)
    if subject.status.phase is not Phase.RUNNING or pod is None or pod.address is None:
        words = subject.status.message or "It has not been begun."
        return Refusal("NotRunning", f"The session is {subject.status.phase}. {words}")
    return Opening(subject.id, subject.name)


class Tickets:
    """Answers tickets.

    Args:
        cluster: where.
        namespaces: those of sessions, for clearing away.
    """

    def __init__(self, cluster: Cluster, namespaces: Sequence[str]) -> None:
        self._cluster = cluster
        self._namespaces = namespaces
        self._policies: dict[str, tuple[datetime, bool]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(self, body: Object) -> None:
        """Answer a ticket, if nobody has."""
        state = (body.get("status") or {}).get("state", TicketState.PENDING)
        if state == TicketState.PENDING:
            task = asyncio.create_task(self._answer(body), name="ticket")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def run(self) -> None:
        """Clear away old tickets until cancelled; answer those that were missed."""
        while True:
            await asyncio.sleep(_ASKED_EVERY.total_seconds())
            for namespace in self._namespaces:
                try:
                    await self.clear(namespace)
                except PortholeError as error:
                    _log.warning("tickets_not_cleared", why=str(error))

    async def clear(self, namespace: str) -> None:
        """Delete the tickets of a namespace that nobody needs any more."""
        now = datetime.now(UTC)
        for body in await self._cluster.list(TICKETS, namespace):
            head = body["metadata"]
            if now - read_time(head["creationTimestamp"]) > KEPT_FOR:
                await self._cluster.delete(TICKETS, namespace, head["name"], head["uid"])
            else:
                self.answer(body)

    async def close(self) -> None:
        """Answer no more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, body: Object) -> None:
        head = body["metadata"]
        try:
            ticket = SessionTicketSpec.model_validate(body.get("spec"))
            status, session = await self._status(ticket, head)
            await self._write(head, {"status": status.to_dict()}, session)
        except (Conflicted, Missing):
            return  # somebody has answered it, or it was read and deleted
        except (PortholeError, ValidationError) as error:
            _log.warning("ticket_not_answered", name=head["name"], why=str(error))

    async def _status(
        self, ticket: SessionTicketSpec, head: dict[str, Any]
    ) -> tuple[SessionTicketStatus, Object | None]:
        namespace, now = head["namespace"], datetime.now(UTC)
        if not await self._policy_holds(namespace, now):
            words = "The policy session-tickets is not in force here, so nobody is let in."
            return _refused(Refusal("PolicyMissing", words)), None
        body, pod_body, secret = await asyncio.gather(
            *(
                self._cluster.get(kind, namespace, ticket.session)
                for kind in (SESSIONS, PODS, SECRETS)
            )
        )
        # No home is asked about, so the namespace's own uid does not matter.
        subject = None if body is None else read_subject(body, UUID(int=0))
        pod = _own(pod_body, subject)
        found = judged(
            ticket,
            read_time(head["creationTimestamp"]),
            subject,
            None if pod is None else read_pod(pod),
            now,
        )
        keys = Keys.read(_own(secret, subject) or {})
        if isinstance(found, Refusal):
            return _refused(found), None
        if keys is None:
            return _refused(_NO_KEY), None
        return _granted(ticket, found, keys, str(head["uid"]), now), body

    async def _write(
        self, head: dict[str, Any], status: dict[str, Any], session: Object | None
    ) -> None:
        same = {name: head[name] for name in ("name", "namespace", "uid", "resourceVersion")}
        about = {"apiVersion": API_VERSION, "kind": TICKETS.name, "metadata": same}
        await self._cluster.apply(TICKETS, about | status, part="status")
        if session is not None:
            owned = {
                "apiVersion": API_VERSION,
                "kind": SESSIONS.name,
                "name": session["metadata"]["name"],
                "uid": session["metadata"]["uid"],
            }
            patch = {"metadata": {"uid": head["uid"], "ownerReferences": [owned]}}
            await self._cluster.merge(TICKETS, head["namespace"], head["name"], patch)

    async def _policy_holds(self, namespace: str, now: datetime) -> bool:
        """Whether the API server refuses a ticket to somebody who may not open the session."""
        asked_at, holds = self._policies.get(namespace, (datetime.min.replace(tzinfo=UTC), False))
        if holds and now - asked_at < _ASKED_EVERY:
            return True
        probe = {
            "apiVersion": API_VERSION,
            "kind": TICKETS.name,
            "metadata": {"generateName": "porthole-probe-", "namespace": namespace},
            "spec": {"session": "porthole-probe", "publicKey": f"{'A' * 43}="},
        }
        try:
            await self._cluster.create(TICKETS, probe, dry_run=True)
        except Denied as error:
            # A missing right is a denial as well, and says nothing about the policy.
            holds = "ValidatingAdmissionPolicy" in error.said
        else:
            holds = False
        self._policies[namespace] = (now, holds)
        return holds


_NO_KEY: Final = Refusal("NotRunning", "The session has no key for this yet.")


def _refused(refusal: Refusal) -> SessionTicketStatus:
    return SessionTicketStatus(
        state=TicketState.REFUSED, reason=refusal.reason, message=refusal.message
    )


def _granted(
    ticket: SessionTicketSpec, opening: Opening, keys: Keys, uid: str, now: datetime
) -> SessionTicketStatus:
    claims = Claims(
        session=opening.session,
        gate=keys.gate.fingerprint,
        channel=ticket.channel,
        mode=ticket.mode,
        nonce=nonce(secrets.token_bytes(16)),
        expires=now + GOOD_FOR,
    )
    grant = issue(SigningKey(TICKET_ISSUER, keys.operator), claims, now)
    try:
        sealed = seal(grant, ticket.public_key, about=uid, randomness=secrets.token_bytes(KEY))
    except Invalid as error:
        return _refused(Refusal("KeyInvalid", f"{error}."))
    return SessionTicketStatus(
        state=TicketState.GRANTED,
        reason="Granted",
        message="The gate takes the grant within a minute.",
        grant=sealed,
        expires_at=claims.expires,
        pod_name=opening.pod,
        port=GATE_PORT,
        fingerprint=keys.gate.fingerprint,
    )


def _own(body: Object | None, subject: Subject | None) -> Object | None:
    mine = body is not None and subject is not None and is_child(body["metadata"], subject)
    return body if mine else None
