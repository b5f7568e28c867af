"""What the sessions of one runtime share and compete for.

The keepers ask here whether there is room, whether a home is free, whether a template can
be run; and tell here what has become of their sessions. What decides over scarce things
reads and writes memory only, without a pause between, so two keepers cannot both be told
that the last place is theirs.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from porthole_agent.files import write_whole
from porthole_agent.runtimes.listeners import Listeners
from porthole_agent.runtimes.local.decide import Obstacle
from porthole_agent.runtimes.local.homes import Homes
from porthole_agent.runtimes.local.ids import take
from porthole_agent.runtimes.local.journal import Journal
from porthole_agent.runtimes.local.packages import Packages
from porthole_agent.runtimes.local.record import HomeRecord, Record, Tombstone
from porthole_agent.runtimes.local.room import Room
from porthole_agent.runtimes.local.stage import House
from porthole_agent.runtimes.local.status import holds_home
from porthole_agent.runtimes.port import Capacity, Change, Home, HomeGone
from porthole_contract.conditions import Reason
from porthole_contract.effective import Effective, resolve
from porthole_contract.errors import Refused
from porthole_contract.lifecycle import OCCUPIED, Phase
from porthole_contract.template import SessionTemplateSpec


class Site:
    """The shared parts of a runtime, and the records of all its sessions."""

    def __init__(
        self,
        *,
        folder: Path,
        house: House,
        room: Room,
        uids: range,
        homes: Homes,
        journal: Journal,
        packages: Packages,
        rdp_listen: str | None = None,
    ) -> None:
        self.folder = folder
        self.house = house
        self.homes = homes
        self.journal = journal
        self.packages = packages
        self.rdp_listen = rdp_listen
        self.ports_shut = False
        self.draining = False
        self.records: dict[UUID, Record] = {}
        self._room = room
        self._uids = uids
        self._last_uid: int | None = None
        self._homes_lock = asyncio.Lock()
        self.listeners = Listeners()

    # Scarce things

    def capacity(self) -> Capacity:
        """Return what there is and what is taken."""
        return self._room.capacity(self._taken(None))

    def obstacle(self, record: Record, effective: Effective) -> Obstacle | None:
        """Return why a session that is at rest cannot be begun now, or None."""
        if self.draining and record.phase is Phase.PENDING:
            message = "This agent is being drained; it takes no new sessions."
            return Obstacle(Reason.AGENT_DRAINING, message)
        if (blocked := self._home_obstacle(record)) is not None:
            return blocked
        return self._room.obstacle(effective, self._taken(record.session))

    def take_uid(self) -> int:
        """Return a uid that nobody has; the caller records it before anything runs as it.

        Raises:
            Refused: there is none left.
        """
        used = {uid for record in self.records.values() for uid in _uids_of(record)}
        used |= {home.uid for home in self.homes.all()}
        self._last_uid = take(self._uids, used, self._last_uid)
        return self._last_uid

    async def home_for(self, record: Record, size: int) -> HomeRecord | None:
        """Return the home of a session, made now if its owner has no such home."""
        if not wants_home(record):
            return None
        async with self._homes_lock:
            found = self._home_of(record)
            if found is None:
                found = await asyncio.to_thread(
                    self.homes.create,
                    record.owner,
                    record.spec.home or "",
                    uid=self.take_uid(),
                    size=size,
                    home=record.asked_home,
                )
                self.tell(self.describe(found))
            assert found.owner == record.owner, "what belongs to others is an obstacle"
            return found

    def describe(self, home: HomeRecord) -> Home:
        """Return what others are told about a home."""
        holder = next(
            (r.session for r in self.records.values() if r.home == home.home and holds_home(r)),
            None,
        )
        used = self.homes.used(home.home)
        return Home(home.home, home.owner, home.name, home.size, used, holder)

    async def delete_home(self, home: UUID) -> None:
        """Delete a home that nobody holds.

        Raises:
            Refused: `home_in_use`.
        """
        async with self._homes_lock:
            found = self.homes.get(home)
            if found is None:
                return
            holder = self.describe(found).holder
            if holder is not None:
                name = self.records[holder].name
                raise Refused("home_in_use", f"The home is held by the session '{name}'.")
            await asyncio.to_thread(self.homes.delete, home)
        self.tell(HomeGone(home))

    # What is told

    def tell(self, change: Change) -> None:
        """Hand a change to everybody who listens."""
        self.listeners.tell(change)

    # Where things are

    def session_folder(self, session: UUID) -> Path:
        """Return the folder of a session."""
        return self.folder / "sessions" / str(session)

    def record_file(self, session: UUID) -> Path:
        """Return the file of a session's record."""
        return self.session_folder(session) / "record.json"

    def tombstone_file(self, session: UUID) -> Path:
        """Return the file that remembers that a session ended."""
        return self.folder / "ended" / f"{session}.json"

    def image(self, record: Record) -> Path:
        """Return the file of the filesystem of a session's home, named or its own."""
        if record.home is not None:
            return self.homes.image(record.home)
        return self.session_folder(record.session) / "home.ext4"

    def write_record(self, record: Record) -> None:
        """Write a record; durable when this returns."""
        write_whole(self.record_file(record.session), record.model_dump_json().encode())

    def write_tombstone(self, tombstone: Tombstone) -> None:
        """Write a tombstone; durable when this returns."""
        path = self.tombstone_file(tombstone.session)
        write_whole(path, tombstone.model_dump_json().encode())

    def effective(self, record: Record) -> Effective:
        """Return what a session comes to.

        Raises:
            Refused: it is over its template's limits.
        """
        return resolve(record.spec, template_of(record))

    def _taken(self, but: UUID | None) -> Iterator[Effective]:
        for record in self.records.values():
            if record.phase in OCCUPIED and record.session != but:
                try:
                    yield self.effective(record)
                except Refused:
                    continue

    def _home_of(self, record: Record) -> HomeRecord | None:
        """Return the home that a session means, if it is here."""
        if record.asked_home is not None:
            return self.homes.get(record.asked_home)
        return self.homes.find(record.owner, record.spec.home or "")

    def _home_holder(self, home: HomeRecord, but: UUID) -> Record | None:
        for other in self.records.values():
            if other.session != but and other.home == home.home and holds_home(other):
                return other
        return None

    def _home_obstacle(self, record: Record) -> Obstacle | None:
        home = self._home_of(record) if wants_home(record) else None
        if home is None:
            return None
        if home.owner != record.owner:
            return Obstacle(Reason.HOME_UNREACHABLE, "Its home belongs to somebody else.")
        holder = self._home_holder(home, record.session)
        if holder is None:
            return None
        return Obstacle(
            Reason.HOME_IN_USE,
            f"Its home '{record.spec.home}' is held by the session '{holder.name}',"
            f" which is {holder.phase}.",
        )


def wants_home(record: Record) -> bool:
    """Whether a session is to have a home that outlives it."""
    return record.spec.home is not None or record.asked_home is not None


def template_of(record: Record) -> SessionTemplateSpec:
    """Return the content of the template's revision that a session pinned."""
    assert record.template.spec is not None
    return record.template.spec


def _uids_of(record: Record) -> tuple[int, int]:
    return record.desktop_uid, record.gate_uid
