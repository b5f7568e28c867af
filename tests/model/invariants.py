"""What always holds, whatever fails: the sentences of `docs/protocol.md`, each with its check.

The page has exactly these sentences (a test compares them), and the model looks at each of
them in every state, or, where a sentence speaks of the end, in every state at rest: one in
which nobody has anything left to do.
"""

from collections.abc import Callable
from dataclasses import dataclass

from porthole_control.commands.rules import OPEN
from tests.model import rules_of_the_queue as queue
from tests.model.world import World


@dataclass(frozen=True)
class Violation:
    """A sentence, its name, and how it is looked at: `holds` tells whether it does."""

    name: str
    sentence: str
    holds: Callable[[World], bool]


def _nothing_lost(world: World) -> bool:
    """Whether each session is what its owner asked for last, unless that was refused."""
    for subject, session in world.db.sessions:
        held = world.kept[subject].held
        newest = max(row.sequence for row in world.db.rows if row.subject == subject)
        refused = any(
            (row.subject, row.sequence, row.state) == (subject, newest, "failed")
            for row in world.db.rows
        )
        wanted = None if session.phase in {"Terminating", "Terminated"} else session.order
        if held != wanted and not refused:
            return False
    return True


def _done_once(world: World) -> bool:
    return all(
        len(orders) == len(set(orders)) for orders in (_lasting(world, one) for one in _all(world))
    )


def _in_order(world: World) -> bool:
    rows = world.db.rows
    return not any(row.state in queue.UNDER_WAY and queue.is_busy(rows, row) for row in rows)


def _old_epochs_write_nothing(world: World) -> bool:
    return all(row.epoch == world.db.epoch for row in world.db.rows if row.state in queue.UNDER_WAY)


def _never_after_its_successor(world: World) -> bool:
    return all(orders == sorted(orders) for orders in (_lasting(world, one) for one in _all(world)))


def _stays_deleted(world: World) -> bool:
    return all(
        kept.held is None or kept.buried is None or kept.held > kept.buried for kept in world.kept
    )


def _ended_means_gone(world: World) -> bool:
    """Whether nothing is left of what counts as ended, but what came after its end."""
    for subject, session in world.db.sessions:
        kept = world.kept[subject]
        is_late = kept.held is not None and kept.buried is not None and kept.held <= kept.buried
        if session.phase == "Terminated" and kept.held is not None and not is_late:
            return False
    return True


def _nobody_waits(world: World) -> bool:
    done = {"Applied", "Refused", "Terminated"}
    return not any(row.state in OPEN for row in world.db.rows) and all(
        session.phase in done for _, session in world.db.sessions
    )


def _all(world: World) -> range:
    return range(1, len(world.kept))


def _lasting(world: World, subject: int) -> list[int]:
    """Return the orders that a session was held to, without those that came after its end."""
    orders: list[int] = []
    late = False
    for what, order in world.kept[subject].effects:
        late = late or what in {"ended", "undone"}
        if what == "held" and not late:
            orders.append(order)
    return orders


NO_WAY_OUT = Violation(
    "nobody waits for ever",
    "When all parts are well again, no command stays pending, sent or received, and no session"
    " in between.",
    _nobody_waits,
)

IN_EVERY_STATE = (
    Violation(
        "nothing is done twice",
        "An order takes effect at its runtime once, however often it is said and whoever says it.",
        _done_once,
    ),
    Violation(
        "order is kept",
        "Of the commands of one subject one is under way at a time, and none before those that"
        " were given earlier have ended.",
        _in_order,
    ),
    Violation(
        "an old epoch writes nothing",
        "What counts as sent was sent, or goes on, in the agent's newest epoch: a link that has"
        " been replaced claims nothing and notes nothing as received.",
        _old_epochs_write_nothing,
    ),
    Violation(
        "the older never follows the newer",
        "What was superseded never takes effect after its successor.",
        _never_after_its_successor,
    ),
    Violation(
        "ended means gone",
        "A session counts as ended only when its runtime has ended it.",
        _ended_means_gone,
    ),
)

AT_REST = (
    Violation(
        "nothing is lost",
        "What was accepted is done, or something newer of the same subject is, or its owner is"
        " told why not.",
        _nothing_lost,
    ),
    Violation(
        "what is deleted stays deleted",
        "What a process was about to make of a session when another one ended it is undone.",
        _stays_deleted,
    ),
    NO_WAY_OUT,
)

SENTENCES = (*IN_EVERY_STATE, *AT_REST)
