"""Why a stream ends, as the other side of a WebSocket learns it. Pure.

A close frame carries a code and 123 bytes; ours say `name: sentence`. The codes are what
the console and the clients tell apart, the names are finer.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from porthole_contract.stream.closing import WEBSOCKET_CODES, CloseReason
from porthole_control.sockets import Gone


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a stream ends.

    Attributes:
        code: of the close frame.
        name: a word for programs.
        sentence: for people.
    """

    code: int
    name: str
    sentence: str

    @property
    def family(self) -> str:
        """The code, if it is one of ours: for metrics, whose labels nobody else chooses."""
        return str(self.code) if self.code in _CODES else "other"

    @property
    def known_name(self) -> str:
        """The name, if it is one that we chose; agents may send any."""
        return self.name if self.name in _NAMES else "other"

    @property
    def reason(self) -> str:
        """The text of the close frame, not cut yet."""
        return f"{self.name}: {self.sentence}" if self.sentence else self.name


_CODES: Final = {1000, 1001, 1013, 4010, *WEBSOCKET_CODES.values()}


def _ending(name: str, sentence: str) -> Ending:
    return Ending(WEBSOCKET_CODES[name], name, sentence)


CLOSED: Final = Ending(1000, "closed", "The connection was closed.")
VIEWER_LEFT: Final = _ending("viewer_left", "The viewer has left.")
GOING_AWAY: Final = Ending(1001, "going_away", "The control plane is restarting.")
VIEWER_LOST: Final = Ending(1001, "viewer_lost", "The connection to the viewer was lost.")
REPLICA_LOST: Final = Ending(
    1001, "control_plane_lost", "The control plane process that carried it has ended."
)
UNAVAILABLE: Final = Ending(1013, "unavailable", "The database does not answer. Try again.")
SESSION_ENDED: Final = _ending("session_ended", "The session has ended.")
NOT_RUNNING: Final = Ending(
    SESSION_ENDED.code, "session_not_running", "The session is not running."
)
REVOKED: Final = _ending("revoked", "The right to see this desktop was withdrawn.")
AGENT_UNREACHABLE: Final = _ending("agent_unreachable", "The session's agent cannot be reached.")
AGENT_SILENT: Final = _ending("agent_unreachable", "The session's agent did not answer in time.")
GATE_REFUSED: Final = _ending("gate_refused", "The desktop refused this viewer.")
TICKET_INVALID: Final = _ending(
    "ticket_invalid", "The ticket is unknown, too old or was used before."
)
WRONG_ORIGIN: Final = _ending("ticket_invalid", "The ticket was made for a page of another site.")
NOT_BINARY: Final = Ending(
    WEBSOCKET_CODES[CloseReason.VIEWER_PROTOCOL],
    "protocol",
    "The stream carries binary messages only.",
)
STREAM_CUT: Final = Ending(4010, "stream_cut", "The connection to the desktop was lost.")

_NAMES: Final = frozenset(
    {
        *(ending.name for ending in (CLOSED, VIEWER_LEFT, GOING_AWAY, VIEWER_LOST, REPLICA_LOST)),
        *(ending.name for ending in (UNAVAILABLE, SESSION_ENDED, NOT_RUNNING, REVOKED)),
        *(ending.name for ending in (AGENT_UNREACHABLE, GATE_REFUSED, TICKET_INVALID)),
        *(ending.name for ending in (NOT_BINARY, STREAM_CUT)),
        # What agents of ours refuse a stream for.
        *("session_unknown", "owner_differs", "gate_not_ready", "gate_not_genuine"),
        *("gate_closed", "gate_silent", "too_many_viewers"),
    }
)

# Postgres keeps no NUL, and an end that it does not take would not be noted.
_SAID = re.compile(r"([a-z][a-z0-9_]{0,63})(?:: ([^\0]{1,200}))?")
_OURS: Final = range(4000, 5000)
_MOST_OF_NAME: Final = 64
_MOST_OF_SENTENCE: Final = 500


def from_agent(gone: Gone) -> Ending:
    """Return what the end of the agent's leg means to the viewer.

    Its code and its reason, `name: sentence`, are passed on; without them it was cut.
    """
    said = _SAID.fullmatch(gone.reason)
    if gone.code == CLOSED.code and said is None:
        return CLOSED
    if said is None or (gone.code != CLOSED.code and gone.code not in _OURS):
        return STREAM_CUT
    return Ending(gone.code, said[1], said[2] or "")


def from_viewer(gone: Gone) -> Ending:
    """Return what the end of the viewer's leg means to the agent."""
    return VIEWER_LEFT if gone.code in {1000, 1001, 1005} else VIEWER_LOST


def from_replica(gone: Gone) -> Ending:
    """Return what another process of ours, which has the viewer, said in the end."""
    said = _SAID.fullmatch(gone.reason)
    if said is None or (gone.code not in {1000, 1001} and gone.code not in _OURS):
        return REPLICA_LOST
    return Ending(gone.code, said[1], said[2] or "")


def refused(code: str, message: str) -> Ending:
    """Return the ending of a stream that an agent did not open; its words are cut."""
    name = code if _SAID.fullmatch(code) else GATE_REFUSED.name
    sentence = message[:_MOST_OF_SENTENCE] or GATE_REFUSED.sentence
    return Ending(GATE_REFUSED.code, name[:_MOST_OF_NAME], sentence)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a live stream's right to go on rests on, as it is now."""

    state: str
    closed_reason: str | None
    closed_message: str | None
    session_ended: bool
    agent_state: str | None
    token_revoked: bool
    token_expires_at: datetime | None
    user_disabled: bool


def verdict(standing: Standing | None, now: datetime) -> Ending | None:
    """Return why a live stream has to end; None if it may go on.

    Args:
        standing: what it rests on; None: there is no such stream.
        now: the present.
    """
    if standing is None:
        return SESSION_ENDED
    expires = standing.token_expires_at
    if (
        standing.agent_state == "revoked"
        or standing.token_revoked
        or standing.user_disabled
        or (expires is not None and expires <= now)
    ):
        return REVOKED
    if standing.session_ended:
        return SESSION_ENDED
    if standing.state == "closed":
        if standing.closed_reason is None:
            return STREAM_CUT
        return refused(standing.closed_reason, standing.closed_message or "")
    return None
