"""One session's keeper: looks at it, has `decide` say what to do, does it, looks again.

All effects of a session are done by its keeper, one after the other, and none is cut short:
when the keeper is stopped, it stops between two of them. The record in memory is replaced
without a pause between reading and writing it (where there has to be one, what came in
meanwhile is put back), so orders may come in at any moment; on disk it is always the newest
that is written.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from porthole_agent.admission import UNGRANTED, admit
from porthole_agent.failpoints import failpoint
from porthole_agent.metrics import HAPPENED, STARTED
from porthole_agent.runtimes.gatewatch import GateWatch
from porthole_agent.runtimes.local.decide import (
    Become,
    Begin,
    Clear,
    Lend,
    Lent,
    Lose,
    MendGate,
    MendNetwork,
    Obstacle,
    Remove,
    Seen,
    Wait,
    changed,
    decide,
    lose,
    may_lend,
    moved,
    news_of_use,
)
from porthole_agent.runtimes.local.door import Door, Stream
from porthole_agent.runtimes.local.gate_connection import connect
from porthole_agent.runtimes.local.journal import Event as JournalEvent
from porthole_agent.runtimes.local.record import Deletion, Record, Tombstone
from porthole_agent.runtimes.local.site import Site, template_of, wants_home
from porthole_agent.runtimes.local.stage import Stage
from porthole_agent.runtimes.local.status import observation, with_conditions
from porthole_agent.runtimes.port import Home, Observation
from porthole_contract.conditions import Reason
from porthole_contract.configuration import FILES_LONGEST
from porthole_contract.effective import Effective
from porthole_contract.errors import PortholeError, Refused
from porthole_contract.lifecycle import OCCUPIED, Event, Phase
from porthole_contract.link.commands import Exposure
from porthole_contract.session import Desired, SessionSpec
from porthole_contract.stream.channels import Channel, Mode, Wire
from porthole_contract.stream.preface import Request
from porthole_contract.template import PinnedTemplate
from porthole_contract.trace import Traceparent
from porthole_telemetry import tracing

_LOOKED_AT_EVERY: Final = 0.25
"""Seconds between two looks at a session that may be running."""
_AT_REST_EVERY: Final = 5.0
"""Seconds between two looks at one that waits for something: packages, room, a home."""
_LONGEST_WAIT: Final = 3600.0
_MENDED_EVERY: Final = timedelta(seconds=2)
_TRIED_AGAIN_AFTER: Final = 1.0
_AFTER_A_BUG: Final = 5.0
_LENT_WITHIN: Final = 45.0
"""Seconds until whoever asks for the files of one that sleeps hears that it cannot be."""

_CLOCK_WAS_SET: Final = timedelta(seconds=1)
"""How far the machine's clock and its monotonic one part between two looks if nobody sets it; a
machine that slept is the same as one whose clock was set."""

_log = structlog.get_logger(__name__)


class Keeper:
    """Keeps one session as it should be.

    Args:
        site: what it shares with the others.
        record: the session; already on disk.
        gone: called when nothing of the session is left.
    """

    def __init__(self, site: Site, record: Record, gone: Callable[[Tombstone], None]) -> None:
        self._site = site
        self._session = record.session
        self._gone = gone
        self._stage = Stage(site.house, site.session_folder(record.session), record)
        self._watch: GateWatch | None = None
        self._viewers = 0
        self._trusted = True
        self._mended_at: datetime | None = None
        self._looked_at: tuple[datetime, float] | None = None
        self._told: Observation | None = None
        self._told_home: Home | None = None
        self._saved = record
        self._lent: Lent | None = None
        self._lending: asyncio.Future[None] | None = None
        self._door = Door(site.rdp_listen, self._let_in, changed=self.wake)
        self._wake = asyncio.Event()
        self._stopping = False
        self._saving = asyncio.Lock()
        self._plain = {MendGate: self._mend_gate, Lend: self._lend, Remove: self._remove}
        self._task: asyncio.Task[None] | None = None
        self.looked = asyncio.Event()
        """Set when it has been looked at once: what is told of it is what was seen."""
        self.finished = asyncio.Event()
        site.records[record.session] = record

    @property
    def record(self) -> Record:
        """The session as it is held in memory."""
        return self._site.records[self._session]

    @record.setter
    def record(self, record: Record) -> None:
        self._site.records[self._session] = record

    @property
    def stage(self) -> Stage:
        """Its processes and files."""
        return self._stage

    @property
    def lends(self) -> bool:
        """Whether its files are used while it sleeps, or asked for."""
        return self._lent is not None

    # From outside

    def start(self) -> None:
        """Begin to keep it."""
        self._trusted = self._stage.trusts(self.record)
        self._stopping = False
        self._task = asyncio.create_task(self._keep(), name=f"session {self._session}")

    async def stop(self) -> None:
        """Stop keeping it, when what is being done is done."""
        self._stopping = True
        self.wake()
        if self._task is not None:
            await self._task
            self._task = None
        await self._door.close()
        await self._unwatch()

    def wake(self) -> None:
        """Look again now."""
        self._wake.set()

    async def change(
        self,
        order: int,
        spec: SessionSpec,
        template: PinnedTemplate,
        *,
        exposed: Exposure | None = None,
        traceparent: str | None = None,
    ) -> None:
        """Hold it to a newer order; returns when that is durable."""
        record = self.record
        if order <= record.order:
            return
        if template.spec is None:
            template = record.template
        held = record.evolve(spec=spec, template=template, exposed=exposed, traceparent=traceparent)
        self.record = changed(held, order, _now())
        await self._save()
        self.wake()

    async def end(self, order: int) -> None:
        """Have it deleted; returns when that is durable, `finished` tells when it is done."""
        if self.record.deletion is None:
            self.record = self.record.evolve(deletion=Deletion(order=order))
            await self._save()
        failpoint("local.delete.recorded")
        self.wake()

    async def check_files(self) -> None:
        """Check that it sleeps and has files.

        Raises:
            Refused: it does not, or has none.
        """
        self._check_asleep()
        if not await asyncio.to_thread(self._site.image(self.record).exists):
            raise Refused("no_files", "The session was never started; it has no files yet.")

    async def lend(self) -> None:
        """Have its files served while it sleeps; returns when its gate serves them.

        That it lends is noted before anything is waited for.

        Raises:
            Refused: it does not sleep, or they cannot be served now.
        """
        self._check_asleep()
        lending = self._lending
        if lending is None or (lending.done() and not self._stage.desktop_lives()):
            lending = self._lending = asyncio.get_running_loop().create_future()
            self._lent = Lent(until=_now() + FILES_LONGEST)
        self.wake()
        try:
            async with asyncio.timeout(_LENT_WITHIN):
                await asyncio.shield(lending)
        except TimeoutError:
            raise Refused("gate_not_ready", "Its files cannot be reached now.") from None

    def _check_asleep(self) -> None:
        if not may_lend(self.record):
            phase = self.record.phase
            raise Refused("session_not_asleep", f"The session is {phase}; try again in a moment.")

    async def end_windows(self, message: str) -> None:
        """End what runs and note that it is to be begun again; the keeper is stopped."""
        record = self.record
        if self._lent is not None:
            await self._clear(patience=True)
        if record.phase not in OCCUPIED - {Phase.TERMINATING}:
            return
        await self._clear(patience=True)
        record = self.record
        if record.begun_at is not None or record.phase is Phase.HIBERNATING:
            await self._lose(lose(record, Reason.WINDOWS_LOST, message, _now(), counts=False))

    async def end_leftovers(self) -> None:
        """End what an agent that was killed has left of it; the keeper is stopped.

        Of one that sleeps, whose files it had lent, or of one that it was about to end: whose
        windows were ended has none.
        """
        if self._stage.remains(self._site.image(self.record)):
            await self._clear(patience=True)

    def told(self) -> Observation:
        """Return what others are told about it now."""
        return observation(self.record, self._viewers, self._door.guests.told())

    # The loop

    async def _keep(self) -> None:
        while not self._stopping and not self.finished.is_set():
            self._wake.clear()
            try:
                pause = await self._step()
            except (PortholeError, OSError) as error:
                _log.warning("session_effect_failed", session=str(self._session), error=str(error))
                pause = _TRIED_AGAIN_AFTER
            except Exception:  # noqa: BLE001 - a bug must not leave a session without its keeper
                _log.exception("session_keeper_failed", session=str(self._session))
                pause = _AFTER_A_BUG
            self.looked.set()
            if pause > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()

    async def _step(self) -> float:
        """Do one thing; return how many seconds to wait before the next."""
        seen = await self._look()
        now = self._moment()
        action = decide(self.record, seen, now)
        if not isinstance(action, Become | Lose):
            self.looked.set()
        match action:
            case Wait(until):
                self.record = with_conditions(self.record, seen, now)
                await self._save()
                return self._pause(until, now)
            case Become(record):
                await self._become(record, seen)
            case Begin(record):
                await self._begin(record, seen)
            case Lose(record):
                await self._lose(record)
            case Clear(patience):
                await self._clear(patience=patience)
            case MendGate() | Lend() | Remove():
                await self._plain[type(action)]()
            case MendNetwork():
                self._mended_at = now
                await self._note("network_mended")
                await self._stage.mend_network()
        return 0.0

    def _moment(self) -> datetime:
        """Return the present moment; if the clock was set, what is on record goes along."""
        now, steady = _now(), time.monotonic()
        if self._looked_at is not None:
            before, at = self._looked_at
            jump = now - before - timedelta(seconds=steady - at)
            if abs(jump) > _CLOCK_WAS_SET:
                self.record = moved(self.record, jump)
        self._looked_at = now, steady
        return now

    def _pause(self, until: datetime | None, now: datetime) -> float:
        phase = self.record.phase
        if phase in OCCUPIED or self._lent is not None:
            longest = _LOOKED_AT_EVERY
        elif phase is Phase.FAILED or self.record.spec.desired is Desired.HIBERNATED:
            longest = _LONGEST_WAIT
        else:
            longest = _AT_REST_EVERY
        return longest if until is None else min(longest, max(0.0, (until - now).total_seconds()))

    async def _look(self) -> Seen:
        """Look at everything that `decide` asks about."""
        record = self.record
        _, obstacle = self._effective(record)
        resting = record.phase in {Phase.PENDING, Phase.HIBERNATED}
        if resting and obstacle is None and record.spec.desired is Desired.RUNNING:
            obstacle = await self._site.packages.obstacle(template_of(record), install=True)
        state = None if self._watch is None else self._watch.state
        is_open = self.record.is_open(drawn=state is not None and state.drawn)
        exposed = None if self._site.ports_shut else self.record.exposed
        await self._door.hold(exposed, is_open=is_open)
        # From here to the end of `decide` nothing waits: what is free now is still free then.
        record = self.record
        effective, over = self._effective(record)
        obstacle = over or obstacle
        if self._lent is not None and not self._lent.begun and not may_lend(record):
            self._let_go()  # it was to be started or ended before that had begun
        if resting and obstacle is None and effective is not None:
            obstacle = self._site.obstacle(record, effective)
        stage = self._stage
        desktop = stage.desktop_lives()
        if desktop and self._watch is None:
            self._start_watch(record)
        state = self._watch.state if self._watch is not None else None
        if state is not None:
            known = [viewer for viewer in state.viewers if not viewer.unproven]
            self._viewers = sum(1 for viewer in known if viewer.channel != "control")
            self._door.guests.seen(known)
            if state.drawn and self._lent is not None and self._lent.begun:
                self._serves(None)
        if self._watch is not None and (idle := self._watch.idle_seconds) is not None:
            self._active(_now() - timedelta(seconds=idle), effective)
        may_mend = self._mended_at is None or _now() - self._mended_at >= _MENDED_EVERY
        return Seen(
            desktop=desktop,
            gate=stage.gate_lives() and self._trusted,
            network=stage.network_lives(effective),
            remains=desktop or stage.remains(self._site.image(record)),
            drawn=state is not None and state.drawn,
            may_mend=may_mend,
            lent=self._lent,
            listens=self._door.listens,
            port_trouble=self._door.trouble,
            obstacle=obstacle,
            effective=effective,
        )

    def _effective(self, record: Record) -> tuple[Effective | None, Obstacle | None]:
        try:
            return self._site.effective(record), None
        except Refused as refusal:
            return None, Obstacle(Reason.LIMIT_EXCEEDED, refusal.sentence)

    # Effects

    async def _become(self, record: Record, seen: Seen) -> None:
        entered = record.phase if record.phase is not self.record.phase else None
        self.record = with_conditions(record, seen, _now())
        await self._save()
        if entered is Phase.RUNNING:
            if record.begun_at is not None:
                STARTED.observe(max(0.0, (_now() - record.begun_at).total_seconds()))
                self._trace_start(record, record.begun_at)
            failpoint("local.create.drawn-recorded")
        elif entered is Phase.HIBERNATED:
            await self._note("stopped")

    async def _begin(self, record: Record, seen: Seen) -> None:
        effective = seen.effective
        assert effective is not None
        if not self._prepared():
            await self._prepare(effective)
            return
        self.record = with_conditions(record, seen, _now())
        await self._save()
        failpoint("local.create.begin-recorded")
        await self._note("started")
        failpoint("local.create.journaled")
        home = self._site.homes.get(record.home) if record.home is not None else None
        try:
            await self._stage.begin(
                self.record,
                effective,
                self._site.image(record),
                home.size if home is not None else effective.storage,
                await self._site.packages.etc(template_of(self.record)),
            )
        except (PortholeError, OSError) as error:
            _log.warning("session_start_failed", session=str(self._session), error=str(error))
            if self.record.begun_at is not None:
                message = f"It could not be started. {error}"
                await self._lose(
                    lose(self.record, Reason.START_FAILED, message, _now(), counts=True)
                )
            return
        self._trusted = True
        self._start_watch(self.record)

    def _prepared(self) -> bool:
        """Whether its gate has a key and its home has been found."""
        record = self.record
        if record.fingerprint is None:
            return False
        if not wants_home(record):
            return True
        return record.home is not None and self._site.homes.get(record.home) is not None

    async def _prepare(self, effective: Effective) -> None:
        home = await self._site.home_for(self.record, effective.storage)
        if home is not None and self.record.home != home.home:
            self.record = self.record.evolve(home=home.home, desktop_uid=home.uid)
        fingerprint = await asyncio.to_thread(self._stage.prepare, self.record)
        self.record = self.record.evolve(fingerprint=fingerprint)

    async def _lose(self, record: Record) -> None:
        before = self.record
        await self._note("stopped" if before.phase is Phase.HIBERNATING else "lost")
        failpoint("local.lose.journaled")
        # Orders that came in while the journal was written stay.
        now = self.record
        record = record.evolve(
            order=now.order,
            spec=now.spec,
            template=now.template,
            exposed=now.exposed,
            deletion=now.deletion,
            traceparent=now.traceparent,
        )
        self.record = with_conditions(record, Seen(), _now())
        await self._save()
        failpoint("local.lose.recorded")
        await self._unwatch()

    async def _lend(self) -> None:
        assert self._lent is not None
        self._lent = Lent(self._lent.until, begun=True)
        try:
            fingerprint = await asyncio.to_thread(self._stage.prepare, self.record)
            self.record = self.record.evolve(fingerprint=fingerprint)
            await self._stage.lend(self.record, self._site.image(self.record))
        except (PortholeError, OSError) as error:
            _log.warning("files_not_lent", session=str(self._session), error=str(error))
            self._serves(Refused("files_unreachable", f"Its files cannot be reached. {error}"))
            await self._clear(patience=False)
            return
        self._trusted = True
        self._start_watch(self.record)

    def _serves(self, why_not: Refused | None) -> None:
        """Tell those who wait for its files that they are there, or why not."""
        if self._lending is None or self._lending.done():
            return
        if why_not is None:
            self._lending.set_result(None)
        else:
            self._lending.set_exception(why_not)
            self._lending.exception()  # there may be nobody left who waits

    def _let_go(self) -> None:
        """Lend its files no more; those who still wait for them hear it."""
        why = "The session does something else now; try again in a moment."
        self._serves(Refused("gate_not_ready", why))
        self._lent = self._lending = None

    async def _clear(self, *, patience: bool) -> None:
        if self._lent is not None and (self._lent.begun or not may_lend(self.record)):
            self._let_go()
        await self._unwatch()
        await self._stage.clear(self._site.image(self.record), patience=patience)

    async def _mend_gate(self) -> None:
        self._mended_at = _now()
        await self._note("gate_mended")
        await self._unwatch()
        await self._stage.mend_gate(self.record)
        self._trusted = True
        self._start_watch(self.record)

    async def _remove(self) -> None:
        await self._door.close()
        record = self.record
        deletion = record.deletion
        assert deletion is not None
        tombstone = Tombstone(
            session=record.session,
            order=max(deletion.order, record.order),
            reason=deletion.reason,
            message=deletion.message,
            at=_now(),
        )
        await asyncio.to_thread(self._site.write_tombstone, tombstone)
        failpoint("local.delete.tombstone-written")
        await self._note("ended")
        failpoint("local.delete.journaled")
        await asyncio.to_thread(self._stage.remove)
        failpoint("local.delete.record-removed")
        ended = record.happen(Event.GONE, deletion.reason, deletion.message, _now())
        self._site.records.pop(self._session)
        self._site.tell(observation(ended, 0, self._door.guests.told()))
        if record.home is not None and (home := self._site.homes.get(record.home)) is not None:
            self._site.tell(self._site.describe(home))
        self._gone(tombstone)
        self.finished.set()

    # Small things

    async def _save(self) -> None:
        """Write the record if it is not what is on disk, and tell others."""
        async with self._saving:
            record = self.record
            if record != self._saved:
                await asyncio.to_thread(self._site.write_record, record)
                self._saved = record
        told = self.told()
        if told != self._told:
            self._told = told
            self._site.tell(told)
        self._tell_home()

    def _tell_home(self) -> None:
        home = self._site.homes.get(self.record.home) if self.record.home is not None else None
        if home is not None:
            described = self._site.describe(home)
            if described != self._told_home:
                self._told_home = described
                self._site.tell(described)

    async def _note(self, event: JournalEvent) -> None:
        record = self.record
        HAPPENED.labels(event).inc()
        await asyncio.to_thread(
            self._site.journal.say,
            event,
            record.session,
            record.order,
            record.restarts,
            _now(),
            reason=record.reason,
        )

    def _trace_start(self, record: Record, begun_at: datetime) -> None:
        """Tell of the start that has come to a picture; its gate tells of its part itself."""
        tracing.process().tell(
            "start desktop",
            Traceparent.read(record.traceparent),
            record.start,
            begun_at,
            _now(),
            porthole_session=str(record.session),
            porthole_restarts=record.restarts,
        )

    def _active(self, at: datetime, effective: Effective | None) -> None:
        """Note when somebody last used it, if that is news."""
        if news_of_use(self.record, effective, at, _now()):
            self.record = self.record.evolve(last_activity_at=at)

    def _start_watch(self, record: Record) -> None:
        if self._watch is None and record.fingerprint is not None:
            self._watch = GateWatch(
                record.session,
                partial(connect, self._stage.gate_folder, record.gate_uid, record.fingerprint),
                record.fingerprint,
                key=self._site.house.key,
                heard=self.wake,
                closed=self._door.closed,
                trace=None if record.start is None else record.start.trace,
            )
            self._watch.start()

    async def _let_in(self, stream: UUID, password: str) -> Stream:
        """Open a stream at its gate for a program that came in on its port."""
        record = self.record
        if record.fingerprint is None:
            raise Refused("gate_not_ready", "The session has not been started yet.")
        reader, writer = await connect(self._stage.gate_folder, record.gate_uid, record.fingerprint)
        request = Request(
            stream=stream,
            channel=Channel.RDP,
            protocol=Wire.RDP,
            mode=Mode.CONTROL,
            grant=UNGRANTED,
        )
        first = await admit(
            reader,
            writer,
            self._site.house.key,
            request,
            session=record.session,
            fingerprint=record.fingerprint,
            password=password,
        )
        return reader, writer, first

    async def _unwatch(self) -> None:
        watch, self._watch = self._watch, None
        self._viewers = 0
        if watch is not None:
            await watch.stop()


def _now() -> datetime:
    return datetime.now(UTC)
