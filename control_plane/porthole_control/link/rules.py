"""What a greeting is judged by. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from porthole_contract.link.frames import Goodbye

PATH = "/api/v1/agents/link"
SUBPROTOCOL = "porthole.link.v1"
HIGHEST_CLAIM = 2**52
"""An agent may say that it has had this epoch, no higher one: there must be room for more."""
RIVALS_FOR = timedelta(minutes=2)
"""How long it is remembered that a living process lost its link to another."""

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_PORTS = {"ws": ":80", "wss": ":443"}

SUPERSEDED = Goodbye(
    code="superseded",
    message="Another process of this agent has linked. Dial again only if you hold its lock.",
    retry_after=5.0,
)
REVOKED = Goodbye(
    code="revoked", message="This agent was revoked. Let it join again.", retry_after=None
)
UNHEARD = Goodbye(
    code="unheard",
    message="The database was put back to an earlier state. Link anew and tell what you have.",
    retry_after=0.2,
)
GOING_AWAY = Goodbye(code="going_away", message="This control plane process ends.", retry_after=0.2)


def dialled_base(scheme: str, host: str, public_url: str | None) -> str:
    """Return the beginning of the URL that a client has dialled: scheme, host and port.

    Args:
        scheme: of the connection as we see it.
        host: its Host header.
        public_url: what we are reached at through a proxy, whose TLS we do not see.
    """
    seen = _SCHEMES.get(scheme, "ws")
    if public_url is not None:
        public = urlsplit(public_url)
        said = _SCHEMES.get(public.scheme, "ws")
        if _plain(public.netloc, said) == _plain(host, said):
            return f"{said}://{host}{public.path.rstrip('/')}"
    return f"{seen}://{host}"


def _plain(host: str, scheme: str) -> str:
    return host.lower().removesuffix(_PORTS[scheme])


def next_epoch(ours: int, theirs: int) -> int:
    """Return the epoch of a new link: above all that either side remembers."""
    return max(ours, theirs) + 1


def is_overtaken(offered: int, held: int) -> bool:
    """Return whether a greeting was offered an epoch that a link has taken since.

    Args:
        offered: what its challenge said.
        held: the epoch of the link that there is.
    """
    return offered <= held


def still_remembered(superseded: Sequence[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Return which processes lost their link lately, without those of long ago."""
    return [
        rival for rival in superseded if now - datetime.fromisoformat(rival["at"]) < RIVALS_FOR
    ][-8:]


def was_forgotten(begun_at: datetime | None, unheard_since: datetime | None) -> bool:
    """Return whether what an agent has told since it began may be lost, so that it tells all anew.

    Args:
        begun_at: when it began to tell all that it has; None: it never did.
        unheard_since: since when it may know more than the database; None: it does not.
    """
    return begun_at is not None and unheard_since is not None and begun_at <= unheard_since


def end_of(*, revoked: bool, forgotten: bool, superseded: bool) -> Goodbye | None:
    """Return with which words a link that is in doubt ends; None: it goes on.

    One that may not come back is told so, whatever else is true. One that has to tell all anew is
    told that before it hears of another link: it dials at once, and does not wait for its turn.

    Args:
        revoked: its agent was, or is gone.
        forgotten: what the agent has told on it may be lost (`was_forgotten`).
        superseded: another link has taken its place.
    """
    if revoked:
        return REVOKED
    if forgotten:
        return UNHEARD
    return SUPERSEDED if superseded else None


def is_contested(superseded: Sequence[dict[str, Any]], newcomer: UUID) -> bool:
    """Return whether two living processes take one identity from each other in turns.

    One that takes a link over once is a restart that was faster than its predecessor's
    end. One that comes back after it has lost its link is a second process.
    """
    return any(rival["instance"] == str(newcomer) for rival in superseded)


def contested_condition(
    conditions: Sequence[dict[str, Any]], *, contested: bool, now: datetime
) -> list[dict[str, Any]]:
    """Return an agent's conditions, with the one that tells of two processes."""
    status = "True" if contested else "False"
    old = next((c for c in conditions if c.get("type") == "IdentityShared"), None)
    others = [c for c in conditions if c.get("type") != "IdentityShared"]
    if old is None and not contested:
        return others
    since = old["lastTransitionTime"] if old and old["status"] == status else now.isoformat()
    return [
        *others,
        {
            "type": "IdentityShared",
            "status": status,
            "reason": "TwoProcesses" if contested else "OneProcess",
            "message": "Two processes link as this agent and take the link from each other."
            " End one of them, or revoke the agent if you know of only one."
            if contested
            else "",
            "lastTransitionTime": since,
        },
    ]
