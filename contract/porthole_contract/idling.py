"""When somebody who looks at an idle desktop is told that it is about to sleep, or to go.

One rule for every runtime: the session is then `Running` with the reason `Idle`, until it is
used again or its time is over.
"""

from datetime import datetime, timedelta
from typing import Final, Literal

LONGEST_WARNING: Final = timedelta(minutes=2)
"""Before the end of its idle time; of a short one it is the last quarter."""


def warned_at(end: datetime, after: timedelta) -> datetime:
    """Return when to warn of an idle time of `after` that is over at `end`."""
    return end - min(LONGEST_WARNING, after / 4)


def warning(after: timedelta, action: Literal["Hibernate", "Delete"]) -> str:
    """Return the sentence for whoever looks at it meanwhile."""
    seconds = max(1, round(min(LONGEST_WARNING, after / 4).total_seconds()))
    within = f"{seconds} seconds" if seconds < LONGEST_WARNING.seconds else "2 minutes"
    fate = "is put to sleep" if action == "Hibernate" else "ends"
    return f"Nobody uses it: it {fate} within {within}, unless somebody does."


USED_AGAIN: Final = "Somebody uses it again."
