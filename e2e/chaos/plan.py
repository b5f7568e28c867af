"""What is broken when, as a seed says; the same seed and length make the same plan.

A segment begins calm, so that there is a rate to compare with, and ends healed, so that what was
accepted can happen. The five faults that every queue is asked about come alone once, followed by
a calm of their own; everything else overlaps.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

CLASSIC = ("postgres-restart", "backends-killed", "pool-exhausted", "replica-kill", "kills")
"""Restart, backend kill, pool exhaustion, crash, repeated kills."""
DATABASE = ("postgres-crash", "connections-exhausted", "read-only", "restored")
PROCESSES = ("agent-kill", "agent-stopped", "replica-stopped", "replicas-rolled", "desktop-kill")
LINKS = ("link-cut", "link-drop", "link-double", "link-delay", "link-half-open", "link-late")
OTHERS = ("clock-agent", "clock-replica", "twin", "doorbells")
KINDS = (*CLASSIC, *DATABASE, *PROCESSES, *LINKS, *OTHERS)
"""Every kind of fault but the failpoints."""
FAILPOINT = "failpoint"

LASTS = {
    "pool-exhausted": (3.0, 6.0),
    "connections-exhausted": (3.0, 6.0),
    "read-only": (3.0, 6.0),
    "kills": (5.0, 7.0),
    "agent-stopped": (2.0, 20.0),
    "replica-stopped": (2.0, 20.0),
    "link-drop": (2.0, 5.0),
    "link-double": (2.0, 5.0),
    "link-delay": (3.0, 8.0),
    "link-half-open": (5.0, 18.0),
    "link-late": (2.0, 5.0),
    "clock-agent": (4.0, 10.0),
    "clock-replica": (4.0, 10.0),
    "twin": (4.0, 8.0),
    "doorbells": (4.0, 28.0),
    FAILPOINT: (8.0, 8.0),
}
"""Seconds that a fault lasts, from and to; the others are over as soon as they were done. A
failpoint that is not passed within its time is taken away."""
LEAD = 20.0
"""Seconds of calm at the beginning; never more than a quarter of the segment."""
HEALED = 25.0
"""Seconds at the end in which nothing is begun."""
CALM = 7.0
"""Seconds of calm after a classic fault that comes alone; less in a segment that is short."""
_GAP = 2.5
_SHARE_OF_FAILPOINTS = 0.45


@dataclass(frozen=True)
class Planned:
    """One fault: when (seconds from the beginning), what, for how long, and who is struck.

    `whom` is a number that says whom of those there are; `point`: the failpoint.
    """

    at: float
    kind: str
    lasts: float = 0.0
    whom: int = 0
    point: str = ""


def plan(
    seed: int,
    seconds: float,
    *,
    points: Sequence[str] = (),
    kinds: Sequence[str] = KINDS,
) -> list[Planned]:
    """Return the faults of a segment, in the order of time.

    Args:
        seed: makes it this one.
        seconds: how long the segment is.
        points: failpoints to choose from; each segment goes on in the list where another seed's
            leaves off, so that all of them come equally often.
        kinds: faults to choose from.
    """
    chance = random.Random(seed)
    at, end = min(LEAD, seconds / 4), seconds - min(HEALED, seconds / 4)
    calm = min(CALM, seconds / 40)
    classic = [kind for kind in CLASSIC if kind in kinds]
    others = _dealt(kinds, chance)
    named = _turn(points, seed, round(seconds / _GAP * _SHARE_OF_FAILPOINTS))
    chance.shuffle(classic)
    planned: list[Planned] = []
    # As many breaks as there are classic faults, spread over the segment.
    breaks = [at + (end - at) * (number + 0.5) / max(1, len(classic)) for number in range(9)]
    while at < end:
        if classic and at >= breaks[0]:
            breaks.pop(0)
            busy = max((one.at + one.lasts for one in planned), default=at)
            at = max(at, busy) + calm / 2
            one = _one(classic.pop(), at, chance)
            planned.append(one)
            at += one.lasts + calm + 0.1
            continue
        is_point = points and (not kinds or chance.random() < _SHARE_OF_FAILPOINTS)
        if is_point:
            planned.append(_one(FAILPOINT, at, chance, next(named)))
        elif kinds and (kind := next(others, None)) is not None:
            planned.append(_one(kind, at, chance))
        at += chance.uniform(0.4 * _GAP, 1.6 * _GAP)
    return [one for one in planned if one.at < end]


def _one(kind: str, at: float, chance: random.Random, point: str = "") -> Planned:
    least, most = LASTS.get(kind, (0.0, 0.0))
    lasts = round(chance.uniform(least, most), 2)
    return Planned(round(at, 2), kind, lasts, chance.randrange(1000), point)


def _dealt(kinds: Sequence[str], chance: random.Random) -> Iterator[str]:
    """Deal kinds like cards: none comes again before all others came."""
    while kinds:
        pack = list(kinds)
        chance.shuffle(pack)
        yield from pack


def _turn(points: Sequence[str], seed: int, share: int) -> Iterator[str]:
    """Yield failpoints in turn, from where the segment of the seed before left off."""
    start = seed * share % len(points) if points else 0
    return islice(cycle(points), start, None)
