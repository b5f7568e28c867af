"""The local runtime: every session's keeper, and the port that the agent speaks to."""

import asyncio
import contextlib
import os
import shutil
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import structlog

from porthole_agent.failpoints import failpoint
from porthole_agent.files import take_lock, write_whole
from porthole_agent.runtimes import fence
from porthole_agent.runtimes.local.containers import Runc
from porthole_agent.runtimes.local.gate_connection import connect
from porthole_agent.runtimes.local.homes import Homes
from porthole_agent.runtimes.local.host import check_host
from porthole_agent.runtimes.local.ids import block
from porthole_agent.runtimes.local.journal import Journal
from porthole_agent.runtimes.local.keeper import Keeper
from porthole_agent.runtimes.local.offers import offers, own_templates
from porthole_agent.runtimes.local.ourselves import find_ourselves
from porthole_agent.runtimes.local.packages import Packages
from porthole_agent.runtimes.local.record import Deletion, Record, Tombstone
from porthole_agent.runtimes.local.room import Room
from porthole_agent.runtimes.local.settings import LocalSettings
from porthole_agent.runtimes.local.site import Site
from porthole_agent.runtimes.local.stage import House, is_mounted
from porthole_agent.runtimes.local.usage import look
from porthole_agent.runtimes.port import Change, Ended, Inventory, Offer, Overview, Use
from porthole_contract.errors import Refused
from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import Exposure
from porthole_contract.names import check_name, check_owner
from porthole_contract.session import SessionSpec
from porthole_contract.stream.grant import SigningKey
from porthole_contract.template import PinnedTemplate, SessionTemplateSpec

_log = structlog.get_logger(__name__)

MOST_LENT = 16
"""Sessions that sleep and whose files are used, at one time: no room is set aside for them."""
_LOST_TO_A_RESTART = "Porthole was stopped; its windows are lost, its home is kept."


class LocalRuntime:
    """Desktops as processes of this machine; implements `porthole_agent.runtimes.port`.

    Args:
        settings: where its things are and how much it may use.
        key: signs grants that the gates accept; the agent's own.
    """

    def __init__(self, settings: LocalSettings, key: SigningKey) -> None:
        self._settings = settings
        self._key = key
        self._folder = settings.directory
        self._uid = UUID(int=0)
        self._lock = -1
        self._keepers: dict[UUID, Keeper] = {}
        self._tombstones: dict[UUID, Tombstone] = {}
        self._creating = asyncio.Lock()
        self._journal = Journal(self._folder / "journal.jsonl")
        self._homes = Homes(self._folder / "homes")
        self._site: Site | None = None
        self._offers: tuple[Offer, ...] = ()
        self._offering: asyncio.Task[None] | None = None
        self._started = False

    @property
    def uid(self) -> UUID:
        """Who this runtime is; made once and kept in its directory."""
        return self._uid

    # Life

    async def open(self) -> None:
        """Read what is there; see the port."""
        check_host()
        for name in ("", "sessions", "ended", "runc"):
            (self._folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        lock = take_lock(self._folder / "lock")
        if lock is None:
            raise Refused(
                "runtime_in_use", f"Another agent already runs the desktops in {self._folder}."
            )
        self._lock = lock
        self._uid = self._identity()
        self._journal.open()
        self._homes.open()
        packages = Packages(
            may_install=self._settings.install_packages, changed=self._packages_changed
        )
        settings = self._settings
        self._site = Site(
            folder=self._folder,
            house=House(
                runc=Runc(self._folder / "runc"),
                ourselves=find_ourselves(),
                key=self._key,
                stop_seconds=settings.stop_seconds,
            ),
            room=Room(settings.max_sessions, settings.cpu, settings.memory),
            uids=block(self._uid, settings.first_uid, settings.uids),
            homes=self._homes,
            journal=self._journal,
            packages=packages,
            rdp_listen=settings.rdp_listen,
        )
        self._read_tombstones()
        self._read_sessions()
        self._offers = await offers(packages)

    async def end_everything(self) -> None:
        """End what is left of an earlier life; see the port."""
        await asyncio.gather(
            *(keeper.end_windows(_LOST_TO_A_RESTART) for keeper in self._keepers.values())
        )

    async def start(self) -> None:
        """Begin to hold sessions to what they should be; see the port."""
        self._started = True
        keepers = list(self._keepers.values())
        for keeper in keepers:
            keeper.start()
        await asyncio.gather(*(keeper.looked.wait() for keeper in keepers))

    async def close(self) -> None:
        """Stop looking after the sessions; see the port."""
        self._started = False
        await asyncio.gather(*(keeper.stop() for keeper in self._keepers.values()))
        if self._site is not None:
            await self._site.packages.close()
        if self._offering is not None:
            await self._offering
        self._journal.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def stop_all(self) -> None:
        """End every process and keep every record; see the port."""
        self._started = False
        keepers = list(self._keepers.values())
        await asyncio.gather(*(keeper.stop() for keeper in keepers))
        results = await asyncio.gather(
            *(keeper.end_windows(_LOST_TO_A_RESTART) for keeper in keepers),
            return_exceptions=True,
        )
        # Nobody may come after us who would.
        left = await asyncio.gather(
            *(keeper.end_leftovers() for keeper in keepers), return_exceptions=True
        )
        await self.close()
        for result in (*results, *left):
            if isinstance(result, BaseException):
                raise result

    # Orders

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
        """Hold a session to `spec`; see the port."""
        failpoint("local.create.received")
        async with self._creating:
            keeper = self._keepers.get(session)
            held = None if keeper is None else keeper.record.order
            verdict = fence.on_apply(order, held=held, ended=self._ended(session))
            if keeper is None:
                if verdict is not fence.Apply.MAKE:
                    return
                now = datetime.now(UTC)
                site = self._there()
                await self._create(
                    Record(
                        session=session,
                        name=check_name(name),
                        owner=check_owner(owner),
                        order=order,
                        spec=spec,
                        template=self._whole(template),
                        created_at=now,
                        phase_since=now,
                        desktop_uid=site.take_uid(),
                        gate_uid=site.take_uid(),
                        asked_home=home,
                        exposed=exposed,
                        traceparent=traceparent,
                    )
                )
                return
        if keeper.record.owner != owner:
            raise Refused("owner_changed", "The session belongs to somebody else.")
        if verdict is fence.Apply.CHANGE:
            # Who orders may know less of its template than we do, after a backup was put back.
            await keeper.change(
                order, spec, self._with_content(template), exposed=exposed, traceparent=traceparent
            )

    async def delete(self, session: UUID, order: int) -> None:
        """End a session; see the port."""
        failpoint("local.delete.received")
        async with self._creating:
            keeper = self._keepers.get(session)
            held = None if keeper is None else keeper.record.order
            verdict = fence.on_delete(order, held=held, ended=self._ended(session))
            if verdict is fence.Delete.BURY:
                self._bury(session, order)
        if keeper is None or verdict is fence.Delete.NOTHING:
            return
        await keeper.end(order)
        await keeper.finished.wait()

    async def delete_home(self, home: UUID) -> None:
        """Delete a home; see the port."""
        await self._there().delete_home(home)

    async def drain(self, draining: bool) -> None:
        """Take no new sessions, or take them again; see the port."""
        self._there().draining = draining
        self._look_again()

    # News

    def observe(self) -> AsyncIterator[Change]:
        """Yield what changes; see the port."""
        return self._there().listeners.changes()

    async def overview(self) -> Overview:
        """Return how it is with the runtime itself; see the port."""
        site = self._there()
        await self._offer()
        running = [
            (keeper.record.session, keeper.record.home)
            for keeper in self._keepers.values()
            if keeper.record.phase is Phase.RUNNING
        ]
        uses = await asyncio.to_thread(self._uses, running) if running else ()
        return Overview(
            runtime=self._uid,
            offers=self._offers,
            capacity=site.capacity(),
            draining=site.draining,
            uses=uses,
            rdp_listen=self._settings.rdp_listen,
        )

    def _uses(self, running: Iterable[tuple[UUID, UUID | None]]) -> tuple[Use, ...]:
        seen = (
            look(session, 0 if home is None else self._homes.used(home))
            for session, home in running
        )
        return tuple(one for one in seen if one is not None)

    async def inventory(self) -> Inventory:
        """Return everything that there is; see the port."""
        site = self._there()
        return Inventory(
            overview=await self.overview(),
            sessions=tuple(keeper.told() for keeper in self._keepers.values()),
            ended=tuple(
                Ended(t.session, t.order, t.reason, t.message, t.at)
                for t in self._tombstones.values()
            ),
            homes=tuple(site.describe(home) for home in self._homes.all()),
        )

    async def connect_gate(self, session: UUID) -> tuple[StreamReader, StreamWriter]:
        """Connect to a session's gate; see the port."""
        keeper = self._keeper(session)
        record = keeper.record
        if record.fingerprint is None:
            raise Refused("gate_not_ready", "The session has not been started yet.")
        return await connect(keeper.stage.gate_folder, record.gate_uid, record.fingerprint)

    async def lend_files(self, session: UUID) -> str:
        """Have the files of a session that sleeps served; see the port."""
        keeper = self._keeper(session)
        await keeper.check_files()
        keeper = self._keeper(session)  # it may have ended meanwhile
        if not keeper.lends and sum(one.lends for one in self._keepers.values()) >= MOST_LENT:
            sentence = f"The files of {MOST_LENT} sleeping sessions are used; try again later."
            raise Refused("too_many_files", sentence)
        await keeper.lend()  # counted at once: nothing waits between that and the look above
        fingerprint = keeper.record.fingerprint
        assert fingerprint is not None, "its gate has answered"
        return fingerprint

    def shut_ports(self, shut: bool, /) -> None:
        """Let nobody in on the ports of sessions, or let them in again; see the port."""
        site = self._there()
        if site.ports_shut != shut:
            site.ports_shut = shut
            self._look_again()

    async def logs(self, session: UUID) -> str:
        """Return the last lines that a session's programs have logged; see the port."""
        return await asyncio.to_thread(self._keeper(session).stage.logs)

    # Inside

    def _there(self) -> Site:
        assert self._site is not None, "open() comes first"
        return self._site

    def _keeper(self, session: UUID) -> Keeper:
        keeper = self._keepers.get(session)
        if keeper is None:
            raise Refused("session_unknown", "There is no such session on this machine.")
        return keeper

    def _packages_changed(self) -> None:
        self._look_again()
        self._offering = asyncio.create_task(self._offer())

    async def _offer(self) -> None:
        """Tell which templates can be run here now and could not before, or the reverse."""
        site = self._there()
        before, self._offers = self._offers, await offers(site.packages)
        for offer in self._offers:
            if offer not in before:
                site.tell(offer)

    def _look_again(self) -> None:
        for keeper in self._keepers.values():
            keeper.wake()

    def _known_template(self, digest: str) -> SessionTemplateSpec | None:
        """Return the content of a template's revision if it is held here."""
        for keeper in self._keepers.values():
            pinned = keeper.record.template
            if pinned.digest == digest:
                return pinned.spec
        for template in own_templates():
            if template.spec.digest() == digest:
                return template.spec
        return None

    def _with_content(self, template: PinnedTemplate) -> PinnedTemplate:
        """Return the template with its content, if that is known."""
        if template.spec is not None:
            return template
        return template.model_copy(update={"spec": self._known_template(template.digest)})

    def _whole(self, template: PinnedTemplate) -> PinnedTemplate:
        """Return the template with its content."""
        whole = self._with_content(template)
        if whole.spec is None:
            raise Refused(
                "template_content_missing",
                f"The content of the template '{template.name}' is not known here.",
            )
        return whole

    async def _create(self, record: Record) -> None:
        site = self._there()
        site.session_folder(record.session).mkdir(mode=0o700, exist_ok=True)
        await asyncio.to_thread(site.write_record, record)
        failpoint("local.create.record-written")
        self._adopt(record)

    def _adopt(self, record: Record) -> None:
        keeper = Keeper(self._there(), record, self._gone)
        self._keepers[record.session] = keeper
        if self._started:
            keeper.start()

    def _gone(self, tombstone: Tombstone) -> None:
        self._tombstones[tombstone.session] = tombstone
        self._keepers.pop(tombstone.session, None)
        self._look_again()

    def _ended(self, session: UUID) -> int | None:
        """Return the order of a session's deletion, if one is remembered."""
        tombstone = self._tombstones.get(session)
        return None if tombstone is None else tombstone.order

    def _bury(self, session: UUID, order: int) -> None:
        now = datetime.now(UTC)
        before = self._tombstones.get(session)
        tombstone = (
            before.model_copy(update={"order": order})
            if before is not None
            else Tombstone(session=session, order=order, reason="Requested", at=now)
        )
        self._there().write_tombstone(tombstone)
        self._tombstones[session] = tombstone

    def _identity(self) -> UUID:
        path = self._folder / "uid"
        with contextlib.suppress(FileNotFoundError):
            return UUID(path.read_text().strip())
        made = uuid4()
        write_whole(path, f"{made}\n".encode())
        return made

    def _read_tombstones(self) -> None:
        oldest = datetime.now(UTC) - timedelta(seconds=self._settings.keep_ended)
        for path in (self._folder / "ended").glob("*.json"):
            tombstone = Tombstone.model_validate_json(path.read_bytes())
            if tombstone.at < oldest:
                path.unlink()
            else:
                self._tombstones[tombstone.session] = tombstone

    def _read_sessions(self) -> None:
        for folder in (self._folder / "sessions").iterdir():
            path = folder / "record.json"
            if not path.exists():
                _remove_unrecorded(folder)
                continue
            record = Record.model_validate_json(path.read_bytes())
            ended = self._ended(record.session)
            if ended is not None and fence.too_late(record.order, ended):
                record = record.evolve(deletion=record.deletion or Deletion(order=ended))
            self._adopt(record)


def _remove_unrecorded(folder: Path) -> None:
    """Remove a folder whose session was never recorded, or whose removal was cut short."""
    if any(is_mounted(path) for path in folder.iterdir()):
        _log.warning("session_folder_in_use", folder=str(folder))
        return
    shutil.rmtree(folder, ignore_errors=True)
