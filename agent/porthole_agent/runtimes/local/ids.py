"""Which uids a session's two containers run as (pure).

A uid is in use as long as a record names it. A freed one is not given out again before all
others have been, so that a file which somebody forgot belongs to nobody for a long time.
"""

from collections.abc import Collection
from uuid import UUID

from porthole_contract.errors import Refused

BLOCK = 10_000
"""How many uids one runtime has for itself."""


def block(runtime: UUID, first: int, count: int) -> range:
    """Return the uids of a runtime: one block of those that there are, chosen by its id."""
    blocks = max(1, count // BLOCK)
    start = first + (runtime.int % blocks) * BLOCK
    return range(start, start + min(BLOCK, count))


def take(uids: range, used: Collection[int], last: int | None) -> int:
    """Return a uid that is not in `used`, looking behind `last` first.

    Raises:
        Refused: `no_uids_left`.
    """
    start = uids.index(last) + 1 if last is not None and last in uids else 0
    for step in range(len(uids)):
        uid = uids[(start + step) % len(uids)]
        if uid not in used:
            return uid
    raise Refused("no_uids_left", "Every uid that desktops may run as is in use.")
