"""What a plan can hold: one action, what the status is to say then, and when to look again."""

from dataclasses import dataclass
from datetime import datetime

from porthole_contract.session import ObjectStatus


@dataclass(frozen=True, slots=True)
class Begin:
    """Make everything that it needs, its pod last."""


@dataclass(frozen=True, slots=True)
class Mend:
    """Make again what somebody took from beside a running pod."""


@dataclass(frozen=True, slots=True)
class EndPod:
    """Delete the pod with this uid; `grace` seconds (None: what its spec says, 0: at once)."""

    uid: str
    grace: int | None = None


@dataclass(frozen=True, slots=True)
class Lend:
    """Make what serves its files while it sleeps."""


@dataclass(frozen=True, slots=True)
class LetGo:
    """Take back the wish for its files: it was fulfilled, or cannot be."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Set `spec.desired` to Hibernated, because nobody uses it."""


@dataclass(frozen=True, slots=True)
class DeleteSession:
    """Delete the Session itself."""

    reason: str
    message: str


Action = Begin | Mend | EndPod | Lend | LetGo | Sleep | DeleteSession


@dataclass(frozen=True, slots=True)
class Plan:
    """`action` comes first, then `status` is written if it differs from what stands there."""

    status: ObjectStatus
    action: Action | None = None
    again: datetime | None = None
