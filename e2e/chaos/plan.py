"""What is broken when, as a seed says; the same seed and length make the same plan.

A segment begins calm, so that there is a rate to compare with, and ends healed, so that what was
accepted can happen. The five faults that every queue is asked about come alone first, each with a
calm of its own to compare; then comes a storm, in which everything overlaps, they too.
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
    "restored": (4.0, 12.0),
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
    FAILPOINT: (20.0, 20.0),
}
"""Seconds that a fault lasts, from and to; the others are over as soon as they were done. Of what
is restored: how old it is. A failpoint that is not passed within its time is taken away."""
LEAD = 28.0
"""Seconds of calm at the beginning; never more than a quarter of the segment."""
HEALED = 20.0
"""Seconds at the end in which nothing is begun."""
CALM = 8.0
"""Seconds of calm after a classic fault that comes alone; less in a segment that is short."""
_KINDS_A_SECOND = 0.165
_POINTS_A_SECOND = 0.14
"""Of the storm. So two hours have each kind thirty times and each failpoint ten times, and some
more, for not everything can be done that is planned."""


@dataclass(frozen=True)
class Planned:
    """One fault: when (seconds from the beginning), what, for how long, and who is struck.

    `whom` is a number that says whom of those there are; `point`: the failpoint. What comes
    alone is begun before everything else, and everything after it is as much later as it takes.
    """

    at: float
    kind: str
    lasts: float = 0.0
    whom: int = 0
    point: str = ""
    is_alone: bool = False


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
        points: failpoints to choose from.
        kinds: faults to choose from.

    In both lists each segment goes on where another seed's leaves off, so that all of them come
    equally often.
    """
    chance = random.Random(seed)
    at, end = min(LEAD, seconds / 4), seconds - min(HEALED, seconds / 4)
    calm = min(CALM, seconds / 35)
    classic = [kind for kind in CLASSIC if kind in kinds]
    chance.shuffle(classic)
    planned = []
    for kind in classic:
        planned.append(_one(kind, at, chance, is_alone=True))
        at += planned[-1].lasts + calm + 0.1
    storm = max(0.0, end - at)
    dealt = [(kind, "") for kind in _turn(kinds, seed, storm * _KINDS_A_SECOND)]
    dealt += [(FAILPOINT, point) for point in _turn(points, seed, storm * _POINTS_A_SECOND)]
    chance.shuffle(dealt)
    for number, (kind, point) in enumerate(dealt):
        when = at + storm * (number + chance.random()) / len(dealt)
        planned.append(_one(kind, when, chance, point))
    return planned


def _one(
    kind: str, at: float, chance: random.Random, point: str = "", *, is_alone: bool = False
) -> Planned:
    least, most = LASTS.get(kind, (0.0, 0.0))
    lasts = round(chance.uniform(least, most), 2)
    return Planned(round(at, 2), kind, lasts, chance.randrange(1000), point, is_alone)


def _turn(things: Sequence[str], seed: int, share: float) -> Iterator[str]:
    """Yield a share of things in turn, from where the segment of the seed before left off."""
    count = max(1, round(share)) if things else 0
    start = seed * count % len(things) if things else 0
    return islice(cycle(things), start, start + count)
