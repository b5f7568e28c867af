"""The judge: what happened in a run -> what should not have.

It knows nothing of Porthole but the sentences below, imports nothing of it, and believes effects
and its own clock. What a run may promise:

* lost: whatever was accepted is there in the end, and the API says so too.
* doubled: a create makes one session however often it is sent, and a desktop is started again
  only after it slept, or after a loss that was counted.
* order: what a session is held to never goes back, and what has ended does not begin again.
* destroyed: no session ends, and no desktop is lost, unless somebody asked or struck there.
* orphan: of what has ended nothing is left, nor of what nobody knows.
* overdue: no passing phase lasts longer than its deadline, the time apart in which its place was
  struck; and no change waits while nothing is broken, doorbells apart.

Where a database was put back, what was accepted since the backup, and until agents have told again
what they have, may or may not have happened; everything else still holds.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from e2e.chaos.entries import (
    Alive,
    Begun,
    Buried,
    Call,
    Entry,
    Fault,
    Held,
    Left,
    Note,
    Restored,
    Shown,
)

DEADLINES = {"Starting": 120.0, "Waking": 120.0, "Hibernating": 60.0, "Terminating": 30.0}
"""Seconds that the documentation gives each passing phase (`docs/lifecycle.md`)."""
GRACE = 20.0
"""Seconds that a busy machine is given on top, and whoever was struck to come back."""
_AT_REST = {"Pending", "Hibernating", "Hibernated", "Failed"}
CHANGED_WITHIN = 18.0
"""Seconds in which a change has to reach its place when nothing is broken."""
HARMLESS = {"doorbells"}
"""Faults that excuse no waiting: what is missed is found by looking again."""
TOLD_AGAIN_WITHIN = 20.0
"""Seconds after which a database that was put back knows what agents have."""
_MAY_FAIL_AFTER = 6
"""Losses after which a session may be given up."""
_GONE_WITHIN = 15.0
_STRUCK_BEFORE = 30.0
"""A desktop that is found lost may have been struck so long before."""


@dataclass(frozen=True)
class Violation:
    """Something that should not have happened to a session, and all that is known of it."""

    kind: str
    session: str
    sentence: str
    story: tuple[Entry, ...] = ()


@dataclass
class _Wanted:
    """What a session should be, as its calls leave it; several values: any of them."""

    marks: set[int]
    desired: set[str]
    ended: set[bool]


class _Subject:
    """One session, with all that was said about it."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.calls: list[Call] = []
        self.effects: list[Held | Begun | Buried] = []
        self.shown: Shown | None = None

    @property
    def held(self) -> list[Held]:
        return [one for one in self.effects if isinstance(one, Held)]

    @property
    def buried(self) -> Buried | None:
        return next((one for one in self.effects if isinstance(one, Buried)), None)

    def story(self) -> tuple[Entry, ...]:
        shown = (self.shown,) if self.shown else ()
        return tuple(sorted((*self.calls, *self.effects, *shown), key=lambda one: one.at))


def check(entries: Sequence[Entry]) -> list[Violation]:
    """Return everything that should not have happened."""
    judge = _Judge(entries)
    return list(judge.violations())


class _Judge:
    def __init__(self, entries: Sequence[Entry]) -> None:
        self._subjects: dict[str, _Subject] = {}
        self._faults: list[Fault] = []
        self._scans: list[Alive] = []
        self._left: list[Left] = []
        self._keys: dict[str, set[str]] = defaultdict(set)
        self._forgotten_keys: set[str] = set()
        self._end = max((entry.at for entry in entries), default=0.0)
        self._is_whole = False
        self._restored = [entry for entry in entries if isinstance(entry, Restored)]
        for entry in entries:
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        match entry:
            case Call(session=session) | Held(session=session):
                subject = self._subject(session)
                (subject.calls if isinstance(entry, Call) else subject.effects).append(entry)  # type: ignore[arg-type]
                if session and entry.key:
                    self._keys[entry.key].add(session)
                if isinstance(entry, Call) and self._is_doubtful(entry):
                    self._forgotten_keys.add(entry.key)
            case Begun(session=session) | Buried(session=session):
                self._subject(session).effects.append(entry)
            case Shown(session=session):
                self._subject(session).shown = entry
            case Alive():
                self._scans.append(entry)
            case Fault():
                self._faults.append(entry)
            case Left():
                self._left.append(entry)
            case Note(what="end"):
                self._is_whole = True
            case _:
                pass

    def _subject(self, session: str) -> _Subject:
        return self._subjects.setdefault(session, _Subject(session))

    def _is_forgotten(self, call: Call) -> bool:
        """Whether a backup that was put back may not have had it, or nobody had told it of it."""
        return any(
            call.until >= one.of and call.at <= one.at + TOLD_AGAIN_WITHIN for one in self._restored
        )

    def _is_doubtful(self, call: Call) -> bool:
        return call.outcome == "unknown" or self._is_forgotten(call)

    # The sentences

    def violations(self) -> Iterator[Violation]:
        yield from self._doubled_creates()
        for subject in self._subjects.values():
            if not subject.session:
                continue
            for kind, sentence in self._of(subject):
                yield Violation(kind, subject.session, sentence, subject.story())
        for left in self._left:
            story = self._subject(left.session).story() if left.session else ()
            yield Violation("orphan", left.session, f"left at the end: {left.what}", story)

    def _of(self, subject: _Subject) -> Iterator[tuple[str, str]]:
        yield from _doubled_starts(subject)
        yield from self._order(subject)
        yield from self._destroyed(subject)
        yield from self._orphan(subject)
        yield from self._overdue(subject)
        yield from self._slow(subject)
        if self._is_whole:
            yield from self._lost(subject)

    def _doubled_creates(self) -> Iterator[Violation]:
        for key, sessions in self._keys.items():
            if len(sessions) > 1 and key not in self._forgotten_keys:
                story = tuple(one for each in sessions for one in self._subject(each).story())
                sentence = (
                    f"one create made {len(sessions)} sessions: {', '.join(sorted(sessions))}"
                )
                yield Violation("doubled", min(sessions), sentence, story)

    def _order(self, subject: _Subject) -> Iterator[tuple[str, str]]:
        buried: Buried | None = None
        for one in subject.effects:
            if isinstance(one, Buried):
                buried = one
            elif buried is not None and not _is_left_of(buried, one):
                yield "order", f"it had ended with order {buried.order} and then there was {one}"
                return
        for before, after in pairwise(subject.held):
            if after.place == before.place and after.order < before.order:
                yield "order", f"order {before.order} was held, and then {after.order}"
                return
            if after.mark < before.mark and not self._forgotten_mark(subject, before.mark):
                yield "order", f"change {before.mark} was held, and then {after.mark}"
                return

    def _forgotten_mark(self, subject: _Subject, mark: int) -> bool:
        """Whether a backup that was put back may not have had a change."""
        made = (one for one in subject.calls if one.mark == mark)
        return any(self._is_forgotten(call) for call in made)

    def _destroyed(self, subject: _Subject) -> Iterator[tuple[str, str]]:
        if not subject.calls:
            return
        if (buried := subject.buried) is not None:
            asked = (c for c in subject.calls if c.verb == "delete" and c.outcome != "refused")
            if not any(call.at <= buried.at for call in asked):
                yield "destroyed", "it ended, and nobody had asked for that"
        for before, after in pairwise(subject.held):
            if after.restarts > before.restarts and not self._struck(before, after.at):
                yield "destroyed", "its desktop was lost, and nobody had struck there"

    def _struck(self, before: Held, until: float) -> bool:
        since = before.at - _STRUCK_BEFORE
        return any(
            fault.whom in {before.place, before.session}
            and fault.at <= until
            and fault.until + GRACE >= since
            for fault in self._faults
        )

    def _orphan(self, subject: _Subject) -> Iterator[tuple[str, str]]:
        buried = subject.buried
        for scan in self._scans:
            if subject.session not in scan.sessions:
                continue
            if buried is not None and scan.at > buried.at + _GONE_WITHIN:
                since = scan.at - buried.at
                yield "orphan", f"its desktop ran {since:.0f} s after it had ended"
                return

    def _overdue(self, subject: _Subject) -> Iterator[tuple[str, str]]:
        held = subject.held
        after = subject.buried.at if subject.buried is not None else self._end
        begun: Held | None = None
        for one in (*held, None):
            same = (
                one is not None
                and begun is not None
                and (one.phase, one.restarts) == (begun.phase, begun.restarts)
            )
            if same:
                continue
            if begun is not None and begun.phase in DEADLINES:
                until = one.at if one is not None else after
                most = DEADLINES[begun.phase] + GRACE + self._down(begun.place, begun.at, until)
                if until - begun.at > most:
                    took = until - begun.at
                    yield "overdue", f"it was {begun.phase} for {took:.0f} s, of {most:.0f} at most"
            begun = one

    def _slow(self, subject: _Subject) -> Iterator[tuple[str, str]]:
        """Yield a change that waited although nothing was in its way."""
        done = [(one.mark, one.at) for one in subject.held]
        for call in subject.calls:
            if call.verb != "change" or call.outcome != "accepted" or self._is_forgotten(call):
                continue
            reached = min((at for mark, at in done if mark >= call.mark), default=None)
            if reached is not None and reached - call.until > CHANGED_WITHIN:
                took, struck = reached - call.until, self._broken(call.until, reached)
                if took - struck > CHANGED_WITHIN:
                    yield "overdue", f"change {call.mark} took {took:.0f} s, {struck:.0f} excused"
                    return

    def _broken(self, since: float, until: float) -> float:
        """Return for how long anything was broken in this time, and coming back."""
        return _covered((one for one in self._faults if one.kind not in HARMLESS), since, until)

    def _down(self, place: str, since: float, until: float) -> float:
        """Return for how long a place was struck in this time, and coming back."""
        return _covered((one for one in self._faults if one.whom == place), since, until)

    def _lost(self, subject: _Subject) -> Iterator[tuple[str, str]]:
        if not any(call.outcome == "accepted" for call in subject.calls):
            return
        wanted = self._wanted(subject.calls)
        held, buried, shown = subject.held, subject.buried, subject.shown
        if shown is not None and shown.at < subject.calls[-1].until:
            shown = None  # it was asked before
        if wanted.ended == {True}:
            if held and buried is None:
                yield "lost", "its end was accepted, and it has not ended"
            elif shown is not None and shown.phase != "Terminated":
                yield "lost", f"it has ended, and is shown as {shown.phase}"
            return
        if True in wanted.ended:
            return
        if not held:
            create = next((c for c in subject.calls if c.verb == "create"), None)
            if create is not None and not self._is_doubtful(create):
                yield "lost", "it was accepted, and no place ever had it"
            return
        if buried is not None:
            return
        yield from self._not_as_wanted(subject, held[-1], wanted)

    def _not_as_wanted(
        self, subject: _Subject, last: Held, wanted: _Wanted
    ) -> Iterator[tuple[str, str]]:
        if last.mark not in wanted.marks:
            marks = ", ".join(map(str, sorted(wanted.marks)))
            yield "lost", f"change {marks} was accepted, and {last.mark} is held"
        if last.desired not in wanted.desired:
            yield "lost", f"it should be {'/'.join(wanted.desired)}, and is held to {last.desired}"
        elif wanted.desired == {"Hibernated"} and self._lives(subject.session):
            yield "lost", "it was put to sleep, and its desktop runs"
        elif last.phase == "Running" and self._scans and not self._lives(subject.session):
            yield "lost", "it counts as Running, and no desktop of it runs"
        elif last.phase == "Failed" and last.restarts < _MAY_FAIL_AFTER:
            yield "lost", f"it was given up after {last.restarts} losses"
        elif last.phase in DEADLINES:
            yield "overdue", f"it is {last.phase} in the end, when nothing has been broken for long"
        shown = subject.shown
        if shown is not None and (shown.phase, shown.desired) != (last.phase, last.desired):
            was = f"{last.phase} (wanted: {last.desired})"
            yield "lost", f"it is {was}, and is shown as {shown.phase} (wanted: {shown.desired})"
        if shown is not None and shown.mark != last.mark:
            yield "lost", f"it is held to change {last.mark}, and {shown.mark} is shown"

    def _lives(self, session: str) -> bool:
        return bool(self._scans) and session in self._scans[-1].sessions

    def _wanted(self, calls: Iterable[Call]) -> _Wanted:
        wanted = _Wanted({-1}, {"Running"}, {False})
        for call in calls:
            if call.outcome == "refused":
                continue
            doubt = self._is_doubtful(call)
            match call.verb:
                case "create" | "change":
                    wanted.marks = wanted.marks | {call.mark} if doubt else {call.mark}
                case "hibernate" | "wake":
                    value = "Hibernated" if call.verb == "hibernate" else "Running"
                    wanted.desired = wanted.desired | {value} if doubt else {value}
                case _:
                    wanted.ended = wanted.ended | {True} if doubt else {True}
        return wanted


def _is_left_of(buried: Buried, one: Held | Begun) -> bool:
    """Whether it is only the record of what ended, that who was struck has not taken away yet."""
    return isinstance(one, Held) and one.phase == "Terminating" and one.order <= buried.order


def _covered(faults: Iterable[Fault], since: float, until: float) -> float:
    """Return how many seconds of this time faults cover, each with its grace."""
    total, reached = 0.0, since
    for fault in sorted(faults, key=lambda one: one.at):
        begin, end = max(fault.at, reached), min(fault.until + GRACE, until)
        if end > begin:
            total += end - begin
            reached = end
    return total


def _doubled_starts(subject: _Subject) -> Iterator[tuple[str, str]]:
    """Yield starts without a reason: a loss that was counted, or a rest, since the one before."""
    started_at, restarts, may = None, 0, True
    for one in subject.effects:
        if isinstance(one, Held):
            may = may or one.restarts > restarts or one.phase in _AT_REST
            restarts = one.restarts
        elif isinstance(one, Begun):
            if not may:
                since = one.at - (started_at or 0.0)
                yield "doubled", f"its desktop was started again after {since:.1f} s, for no reason"
                return
            started_at, may = one.at, False
    places = {one.place for one in subject.effects}
    if len(places) > 1:
        yield "doubled", f"it was made in several places: {', '.join(sorted(places))}"
