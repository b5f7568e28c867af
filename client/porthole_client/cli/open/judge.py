"""What a Session of a cluster is, and whether it can be looked at (pure)."""

from dataclasses import dataclass, replace
from typing import Any, Final

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.open.which import Choice
from porthole_contract.cluster import Object
from porthole_contract.conditions import ConditionType
from porthole_contract.lifecycle import Phase
from porthole_contract.session import Desired, Protocol
from porthole_contract.stream.channels import DESKTOPS

OPERATOR_WITHIN: Final = 15.0
"""Seconds after which a Session that no operator has looked at is not going to be."""
_ASLEEP: Final = frozenset({Phase.HIBERNATING, Phase.HIBERNATED})
_OVER: Final = frozenset({Phase.TERMINATING, Phase.TERMINATED})


@dataclass(frozen=True, slots=True)
class Seen:
    """A Session as it was read, with what else is said of it.

    `ready`: somebody can look at it. `known`: an operator has looked at it. `words`: why it is
    as it is; a sentence, or empty. `protocols`: over which it is seen, the usual one first.
    """

    uid: str
    name: str
    owner: str
    phase: str
    reason: str
    words: str
    created_at: str
    home: str | None
    ready: bool
    known: bool
    asleep: bool
    protocols: tuple[str, ...]

    @property
    def over(self) -> bool:
        """Whether it has ended or is about to."""
        return self.phase in _OVER

    def gone(self) -> "Seen":
        """Return what it is once the cluster has it no more."""
        return replace(
            self,
            phase=Phase.TERMINATED,
            reason=self.reason if self.over else "",
            words=(self.words if self.over else "") or "It was deleted in the cluster.",
            ready=False,
            known=True,
            asleep=False,
        )


def read(session: Object) -> Seen:
    """Return what a Session says, as far as it matters to who looks.

    It is not held to the models: a newer operator may say more than is known here.
    """
    head, spec = session["metadata"], session.get("spec") or {}
    status: dict[str, Any] = session.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    ready = conditions.get(ConditionType.READY) or {}
    phase = str(status.get("phase") or Phase.PENDING)
    if "deletionTimestamp" in head and phase != Phase.TERMINATED:
        phase = str(Phase.TERMINATING)
    return Seen(
        uid=head["uid"],
        name=head["name"],
        owner=str(spec.get("owner") or ""),
        phase=phase,
        reason=str(status.get("reason") or ""),
        words=str(status.get("message") or ready.get("message") or ""),
        created_at=head["creationTimestamp"],
        home=spec.get("home"),
        ready=phase == Phase.RUNNING and ready.get("status") == "True",
        known=status.get("observedGeneration") is not None,
        asleep=phase in _ASLEEP
        or (spec.get("desired") == Desired.HIBERNATED and phase not in _OVER),
        protocols=_protocols(spec, status),
    )


def _protocols(spec: dict[str, Any], status: dict[str, Any]) -> tuple[str, ...]:
    """Return those of its template, as far as they are known here; its own is first."""
    spoken = [str(one) for one in (status.get("template") or {}).get("protocols") or ()]
    own = str(spec.get("protocol") or next(iter(spoken), Protocol.VNC))
    return (own, *(one for one in spoken if one != own and one in DESKTOPS))


def news(seen: Seen) -> str:
    """Return how it goes, as a line."""
    return f"{seen.phase}, {seen.words}" if seen.words else seen.phase


def is_awaited(seen: Seen, waited: float, where: Choice) -> bool:
    """Whether a session is still to be waited for: False when it can be looked at.

    Args:
        seen: the session.
        waited: seconds so far.
        where: its cluster and namespace.

    Raises:
        Failure: it does not become ready by itself; the sentence says what to do.
    """
    if seen.over:
        raise Failure(f"Session {seen.name} is ending. {seen.words}".strip(), Exit.CONFLICT)
    if seen.asleep:
        raise Failure(f"Session {seen.name} is asleep. {wake(seen, where)}", Exit.CONFLICT)
    if seen.phase == Phase.FAILED:
        raise Failure(
            f"Session {seen.name} has failed. {seen.words}"
            f" `{where.kubectl_here} describe session {seen.name}` tells the rest; it is tried"
            " again when its spec changes."
        )
    if not seen.known and waited >= OPERATOR_WITHIN:
        raise Failure(
            f"No operator has looked at session {seen.name}. Is Porthole's operator running, and"
            f" is {where.namespace} one of its namespaces? See `{where.kubectl} get"
            " pods -A -l app.kubernetes.io/name=porthole-operator`.",
            Exit.UNREACHABLE,
        )
    return not seen.ready


def wake(seen: Seen, where: Choice) -> str:
    """Return how a hibernated session is woken, as a sentence."""
    patch = f'\'{{"spec":{{"desired":"{Desired.RUNNING}"}}}}\''
    return f"Wake it with `{where.kubectl_here} patch session {seen.name} --type=merge -p {patch}`."


def shown(seen: Seen, where: Choice) -> dict[str, Any]:
    """Return what the page says of it, in the names of the API."""
    asleep = seen.phase == Phase.HIBERNATED
    words = (seen.words, wake(seen, where) if asleep else "")
    return {
        "id": seen.uid,
        "name": seen.name,
        "protocol": seen.protocols[0],
        "phase": seen.phase,
        "reason": seen.reason,
        "message": " ".join(part for part in words if part),
        "agent": where.context,
        "home": seen.home,
        "created_at": seen.created_at,
    }
