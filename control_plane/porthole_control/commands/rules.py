"""What becomes of a command. Pure."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType


class CommandState(StrEnum):
    """Where a command is on its way."""

    PENDING = "pending"  # waits for its turn, or for its agent
    SENT = "sent"  # on the wire
    RECEIVED = "received"  # the agent has it
    SUCCEEDED = "succeeded"  # done
    FAILED = "failed"  # refused, or tried too often
    SUPERSEDED = "superseded"  # a newer one of the same subject took its place
    EXPIRED = "expired"  # its caller did not want to wait longer


_S = CommandState

NEXT: Mapping[CommandState, frozenset[CommandState]] = MappingProxyType(
    {
        _S.PENDING: frozenset({_S.SENT, _S.SUCCEEDED, _S.FAILED, _S.SUPERSEDED, _S.EXPIRED}),
        _S.SENT: frozenset({_S.PENDING, _S.RECEIVED, _S.SUCCEEDED, _S.FAILED}),
        _S.RECEIVED: frozenset({_S.PENDING, _S.SUCCEEDED, _S.FAILED}),
        _S.SUCCEEDED: frozenset(),
        _S.FAILED: frozenset(),
        _S.SUPERSEDED: frozenset(),
        _S.EXPIRED: frozenset(),
    }
)
"""state -> states that may follow. A result counts from `pending` too: it may come from an
agent that was told on a link that has been replaced since."""

OPEN: frozenset[CommandState] = frozenset({_S.PENDING, _S.SENT, _S.RECEIVED})
"""States in which something is still to be done; the next of the same subject waits."""

SUPERSEDABLE: frozenset[str] = frozenset({"ApplySession", "DeleteSession"})
"""Kinds that say what a subject should be: only the newest of them needs to be done."""

ENDS: frozenset[str] = frozenset({"DeleteSession", "DeleteHome"})
"""Kinds that are tried until they are done: what they end must not be left lying about."""

_LONGEST = timedelta(minutes=1)


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait before an attempt after so many: 1 s, doubled, at most 60 s."""
    return min(timedelta(seconds=2 ** min(max(attempts - 1, 0), 6)), _LONGEST)
