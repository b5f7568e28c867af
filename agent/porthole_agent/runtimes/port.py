"""What an agent asks of a place where sessions run, in words of the contract only.

`local` (processes on this machine) and `kubernetes` (Session objects) both are a `Runtime`.
The order of calls is `open`, then `end_everything` if this is a fresh start, then `start`;
from then on everything else, and at last `stop_all` (nothing may go on running) or `close`
(what runs goes on).

A runtime decides on its own about everything that has to do with time: losses, back-off,
idle sessions, lifetimes. It tells what it saw through `observe`, and all of it through
`inventory`.
"""

from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from porthole_contract.link.commands import Exposure
from porthole_contract.link.reports import ObservedEvent, Origin, StreamSeen
from porthole_contract.session import SessionSpec, SessionStatus
from porthole_contract.template import PinnedTemplate, SessionTemplate


@dataclass(frozen=True, slots=True)
class Observation:
    """One session as the runtime sees it.

    `spec` is what it is held to now: a session that was hibernated for being idle has
    `desired: Hibernated` here under the order that asked for `Running`. `events` are what
    happened to it since it was last told of; `traceparent` came with the order. `streams` are
    those that came in on its own port: the open ones, and the last that ended.
    """

    session: UUID
    name: str
    owner: str
    order: int
    spec: SessionSpec
    status: SessionStatus
    origin: Origin = Origin.API
    events: tuple[ObservedEvent, ...] = ()
    traceparent: str | None = None
    streams: tuple[StreamSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that is gone, as long as the runtime remembers it."""

    session: UUID
    order: int
    reason: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Home:
    """A user's files; `holder` is the live session that holds it.

    `size` and `used` are bytes; `used` is None where nobody can say. `name` is what it was called
    when it was made here; its owner may call it otherwise now.
    """

    home: UUID
    owner: str
    name: str
    size: int
    used: int | None
    holder: UUID | None


@dataclass(frozen=True, slots=True)
class HomeGone:
    """A home was deleted."""

    home: UUID


@dataclass(frozen=True, slots=True)
class Offer:
    """A template of this runtime's own: whether it can be run here, and if not, why."""

    template: SessionTemplate
    offered: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Room for sessions: number, cores, bytes of memory; what there is and what is taken."""

    sessions: int
    sessions_used: int
    cpu: float
    cpu_used: float
    memory: int
    memory_used: int


@dataclass(frozen=True, slots=True)
class Use:
    """What a session has used since its programs were begun, and holds now.

    Seconds of one core, and bytes; `received` and `sent` are of the network, without viewers
    where these have a way of their own. `age` is how many seconds ago that was.
    """

    session: UUID
    cpu_seconds: float
    memory: int
    disk: int
    received: int
    sent: int
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class UseHeard:
    """From now on it can be told what a session uses."""

    session: UUID


@dataclass(frozen=True, slots=True)
class Overview:
    """The runtime itself: what it offers, and how much room it has.

    `uses` has the sessions that run, of a runtime that can tell. `rdp_listen` is the address on
    which it listens for sessions that are exposed; None: it does not.
    """

    runtime: UUID
    offers: tuple[Offer, ...]
    capacity: Capacity
    draining: bool
    uses: tuple[Use, ...] = ()
    rdp_listen: str | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything there is, at one moment."""

    overview: Overview
    sessions: tuple[Observation, ...]
    ended: tuple[Ended, ...]
    homes: tuple[Home, ...]


Change = Observation | Home | HomeGone | Offer | UseHeard
"""What `observe` yields."""


class Runtime(Protocol):
    """A place where sessions run."""

    @property
    def uid(self) -> UUID:
        """Who this runtime is: made once, and never the same as another's."""

    async def open(self) -> None:
        """Read what is there; nothing is begun or ended yet.

        Raises:
            Refused: it cannot run here; the sentence says what is missing.
        """

    async def end_everything(self) -> None:
        """End what is left of an earlier life, between `open` and `start`.

        Sessions that should be running are begun again by `start`, on their homes, with
        `restarts` + 1 and the reason `WindowsLost`.
        """

    async def start(self) -> None:
        """Begin to hold sessions to what they should be; adopts what still runs."""

    async def close(self) -> None:
        """Stop looking after the sessions; what runs goes on running."""

    async def stop_all(self) -> None:
        """End every process and keep every record; returns when nothing runs."""

    async def apply(
        self,
        session: UUID,
        order: int,
        *,
        name: str,
        owner: str,
        spec: SessionSpec,
        template: PinnedTemplate,
        home: UUID | None = None,
        exposed: Exposure | None = None,
        traceparent: str | None = None,
    ) -> None:
        """Hold a session to `spec`; returns when that order is durable.

        `home` says which of its owner's homes `spec.home` means, which is made if it is not
        here; without it the home of that name is taken or made. `traceparent` is what the
        session's start is a part of, for whoever collects traces. `exposed` is the port of this
        machine on which RDP programs reach it while it runs.

        An order that is not newer than the one held changes nothing and succeeds; so does
        any order up to that of a deletion.

        Raises:
            Refused: `template_content_missing` if `template.spec` is None and its digest is
                not known here; `owner_changed` if the session or the home belongs to another;
                `expose_not_served` if it is to be exposed where nothing listens.
        """

    async def delete(self, session: UUID, order: int) -> None:
        """End a session; returns when nothing of it is left but its home.

        A session that is not there is remembered as deleted, so that an older `apply` that
        comes late changes nothing. An order older than the one held changes nothing.
        """

    async def delete_home(self, home: UUID) -> None:
        """Delete a home and the files in it; one that is not there is no error.

        Raises:
            Refused: `home_in_use`.
        """

    def observe(self) -> AsyncIterator[Change]:
        """Yield what changes from this call on; a slow reader loses the oldest changes.

        What was lost is found in the next `inventory`.
        """

    async def overview(self) -> Overview:
        """Return how it is with the runtime itself; asked often, so it may be a little old."""

    async def inventory(self) -> Inventory:
        """Return everything that there is, and nothing that is only remembered to be there."""

    async def connect_gate(self, session: UUID) -> tuple[StreamReader, StreamWriter]:
        """Connect to a session's gate; TLS is done and its certificate is the right one.

        The caller speaks the preface.

        Raises:
            Refused: `session_unknown`, `gate_not_ready` or `gate_not_genuine`.
        """

    async def lend_files(self, session: UUID) -> str:
        """Have the files of a session that sleeps served; return its gate's fingerprint.

        Returns when `connect_gate` finds that gate. It is there until nobody has used the files
        for a while, and not when the session is started: that comes first.

        Raises:
            Refused: `session_unknown`, `session_not_asleep`, `no_files` or `gate_not_ready`.
        """

    def shut_ports(self, shut: bool, /) -> None:
        """Let nobody in on the ports of sessions, and cut off who is there; or let them in again.

        Nobody knows who is to be let in where the control plane has sent us away for good.
        """

    async def logs(self, session: UUID) -> str:
        """Return the last lines that a session's programs have logged.

        Raises:
            Refused: `session_unknown`.
        """

    async def drain(self, draining: bool) -> None:
        """Take no new sessions, or take them again; what runs goes on running."""
