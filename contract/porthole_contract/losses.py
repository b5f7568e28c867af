"""When a desktop that ended by itself is begun again: at once, later, or not any more.

One rule for every runtime. The first loss costs no time, later ones 1, 2, 4 ... seconds;
whoever is lost `MOST_LOSSES` times within `WINDOW` has failed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

MOST_LOSSES: Final = 6
WINDOW: Final = timedelta(minutes=10)
FIRST_WAIT: Final = timedelta(seconds=1)
LONGEST_WAIT: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one more loss means.

    `losses`: the moments that still count, this one last. `wait`: how long until it is begun
    again; None is at once. `failed`: it is not begun again.
    """

    losses: tuple[datetime, ...]
    wait: timedelta | None
    failed: bool


def count_loss(losses: Iterable[datetime], now: datetime) -> Verdict:
    """Return what a loss at `now` means after earlier `losses` (oldest first)."""
    counted = tuple(moment for moment in (*losses, now) if now - moment < WINDOW)
    if len(counted) >= MOST_LOSSES:
        return Verdict(counted, None, failed=True)
    if len(counted) == 1:
        return Verdict(counted, None, failed=False)
    wait = min(FIRST_WAIT * 2 ** (len(counted) - 2), LONGEST_WAIT)
    return Verdict(counted, wait, failed=False)
