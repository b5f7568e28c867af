"""What a segment did, in figures and tables, and what all segments did together."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.chaos.checker import TOLD_AGAIN_WITHIN, Violation
from e2e.chaos.entries import Buried, Call, Entry, Fault, Held, Note, Restored
from e2e.chaos.plan import CALM, CLASSIC

_SETTLED = 2.0
"""Seconds after a fault until what follows counts as after it."""


@dataclass(frozen=True)
class Rates:
    """Effects a second: while nothing is broken, during a kind of fault, and after it."""

    calm: float
    during: Mapping[str, float]
    after: Mapping[str, float]


def effects(entries: Iterable[Entry]) -> list[float]:
    """Return the moments at which something that was ordered had happened, once for each."""
    seen: set[tuple[str, int, str]] = set()
    moments = []
    for entry in entries:
        match entry:
            case Held(session=session, mark=mark, desired=desired):
                what = session, mark, desired
            case Buried(session=session):
                what = session, -1, "ended"
            case _:
                continue
        if what not in seen:
            seen.add(what)
            moments.append(entry.at)
    return moments


def rates(entries: Sequence[Entry]) -> Rates:
    """Return how much happened a second, and when."""
    moments = effects(entries)
    faults = [entry for entry in entries if isinstance(entry, Fault)]
    calm = next((entry.at for entry in entries if entry == Note(entry.at, "calm")), 0.0)
    first = min((fault.at for fault in faults), default=entries[-1].at if entries else 0.0)
    during: dict[str, list[tuple[float, float]]] = defaultdict(list)
    after: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for fault in faults:
        during[fault.kind].append((fault.at, max(fault.until, fault.at + 1.0)))
        if fault.kind in CLASSIC and _is_alone(fault, faults):
            begin = fault.until + _SETTLED
            after[fault.kind].append((begin, begin + CALM - _SETTLED))
    return Rates(
        calm=_rate(moments, [(calm, first)]),
        during={kind: _rate(moments, spans) for kind, spans in sorted(during.items())},
        after={kind: _rate(moments, spans) for kind, spans in sorted(after.items())},
    )


def _is_alone(fault: Fault, faults: Iterable[Fault]) -> bool:
    """Whether nothing else was broken from the beginning of a fault to the end of its calm."""
    end = fault.until + CALM
    others = (one for one in faults if (one.at, one.kind) != (fault.at, fault.kind))
    return not any(one.until >= fault.at and one.at <= end for one in others)


def _rate(moments: Sequence[float], spans: Sequence[tuple[float, float]]) -> float:
    seconds = sum(until - since for since, until in spans)
    count = sum(since <= one < until for since, until in spans for one in moments)
    return round(count / seconds, 2) if seconds > 0 else 0.0


def summary(
    seed: int, minutes: float, entries: Sequence[Entry], violations: Sequence[Violation]
) -> dict[str, Any]:
    """Return the line of a segment for the log, as JSON has it."""
    calls = [entry for entry in entries if isinstance(entry, Call)]
    # One that strikes two has an entry for each.
    faults = list({(one.at, one.kind): one for one in entries if isinstance(one, Fault)}.values())
    told = rates(entries)
    restored = [entry for entry in entries if isinstance(entry, Restored)]
    spans = [(one.of, one.at + TOLD_AGAIN_WITHIN) for one in restored]
    forgotten = sum(
        any(c.until >= since and c.at <= until for since, until in spans) for c in calls
    )
    return {
        "seed": seed,
        "minutes": minutes,
        "calls": dict(sorted(Counter(c.verb for c in calls if c.outcome == "accepted").items())),
        "refused": sum(call.outcome == "refused" for call in calls),
        "unknown": sum(call.outcome == "unknown" for call in calls),
        "after_a_backup": forgotten,
        "effects": len(effects(entries)),
        "faults": dict(sorted(Counter(fault.kind for fault in faults).items())),
        "failpoints": dict(sorted(Counter(f.point for f in faults if f.point).items())),
        "violations": dict(sorted(Counter(one.kind for one in violations).items())),
        "rates": {"calm": told.calm, "during": dict(told.during), "after": dict(told.after)},
    }


def page(segments: Sequence[Mapping[str, Any]]) -> str:
    """Return what segments did together, as text for a terminal."""
    calls: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    points: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for one in segments:
        calls.update(one["calls"])
        faults.update(one["faults"])
        points.update(one["failpoints"])
        found.update(one["violations"])
    minutes = sum(one["minutes"] for one in segments)
    effects_seen = sum(one["effects"] for one in segments)
    forgotten = sum(one["after_a_backup"] for one in segments)
    head = f"{len(segments)} segments, {minutes:.1f} minutes, {calls.total()} calls accepted"
    lines = [
        f"{head}, {effects_seen} effects, {forgotten} calls after a backup that was put back",
        "calls: " + _counts(calls),
        "",
        f"{'fault':<24}{'times':>6}{'during':>9}{'after':>9}{'recovery':>10}",
        *_fault_lines(segments, faults),
        "",
        f"{'failpoint':<36}{'times':>6}",
        *(f"{name:<36}{count:>6}" for name, count in sorted(points.items())),
        "",
        "violations: " + (_counts(found) or "none"),
    ]
    return "\n".join(lines)


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))


def _fault_lines(segments: Sequence[Mapping[str, Any]], faults: Mapping[str, int]) -> Iterator[str]:
    calm = _mean(one["rates"]["calm"] for one in segments)
    yield f"{'(none)':<24}{'':>6}{calm:>8.1f}/s"
    for kind, count in sorted(faults.items()):
        during = _mean(r["during"][kind] for r in _of(segments) if kind in r["during"])
        line = f"{kind:<24}{count:>6}{during:>8.1f}/s"
        if seen := compared(_of(segments), kind):
            after, calm = _mean(one for one, _ in seen), _mean(one for _, one in seen)
            line += f"{after:>8.1f}/s{after / calm:>9.0%}"
        yield line


def compared(rates: Iterable[Mapping[str, Any]], kind: str) -> list[tuple[float, float]]:
    """Return rates after a fault, each with its segment's while nothing was broken.

    That is before the first fault, and after the others that came alone.
    """
    found = []
    for one in rates:
        calm = [one["calm"], *(rate for other, rate in one["after"].items() if other != kind)]
        if kind in one["after"] and any(calm):
            found.append((one["after"][kind], _mean(calm)))
    return found


def _of(segments: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [one["rates"] for one in segments]


def _mean(values: Iterable[float]) -> float:
    taken = list(values)
    return sum(taken) / len(taken) if taken else 0.0


def told(violation: Violation, begin: float, most: int = 60) -> str:
    """Return a violation with the story of whom it concerns; times from the segment's beginning."""
    lines = [f"{violation.kind}: {violation.session or '(nobody)'}: {violation.sentence}"]
    shown = violation.story[-most:]
    if len(shown) < len(violation.story):
        lines.append(f"    ... {len(violation.story) - len(shown)} earlier lines")
    for entry in shown:
        fields = {k: v for k, v in vars(entry).items() if k not in {"at", "session"} and v != ""}
        words = " ".join(f"{name}={value}" for name, value in fields.items())
        lines.append(f"    {entry.at - begin:8.2f} {type(entry).__name__:<7} {words}")
    return "\n".join(lines)
