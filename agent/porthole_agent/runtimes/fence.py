"""What an order means for a session, by the numbers alone (pure).

Every order about a session has a number, and so have what the runtime holds and the deletion
that it remembers. Both runtimes decide by them, so that whatever comes twice, late or from a
process that has been replaced changes nothing.
"""

from enum import Enum


class Apply(Enum):
    """What an order to make a session something comes to."""

    NOTHING = "nothing"  # it is held already, or something newer is, or it was deleted since
    MAKE = "make"  # there is no such session
    CHANGE = "change"  # it is there, under an older order


class Delete(Enum):
    """What an order to delete a session comes to."""

    NOTHING = "nothing"  # something newer is held, or its end is remembered already
    BURY = "bury"  # there is nothing to end; its end is remembered
    END = "end"  # it is there: its end is remembered, then it is ended


def too_late(order: int, ended: int | None) -> bool:
    """Return whether a session was deleted since `order`; `ended`: by which order, if it was."""
    return ended is not None and order <= ended


def on_apply(order: int, *, held: int | None, ended: int | None) -> Apply:
    """Return what is to be done about an order to make a session something.

    Args:
        order: its number.
        held: the order that the session is held to; None: there is no such session.
        ended: the order of its deletion, if one is remembered.
    """
    if too_late(order, ended):
        return Apply.NOTHING
    if held is None:
        return Apply.MAKE
    return Apply.CHANGE if order > held else Apply.NOTHING


def on_delete(order: int, *, held: int | None, ended: int | None) -> Delete:
    """Return what is to be done about an order to delete a session; see `on_apply`."""
    if held is None:
        return Delete.NOTHING if too_late(order, ended) else Delete.BURY
    return Delete.NOTHING if order < held else Delete.END
