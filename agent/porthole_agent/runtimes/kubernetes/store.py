"""What the cluster has of one kind, as it was last seen.

Fed by lists, by watches and by the answers to our own writes, in whatever order they come:
an older state never replaces a newer one. No I/O, no clock.

What is done about one object never keeps the others from being taken in.
"""

from asyncio import Future, get_running_loop
from collections.abc import Callable, Iterable, Iterator

import structlog

from porthole_contract.cluster import Object
from porthole_kube.objects import Key, key_of, uid_of, version_of

_log = structlog.get_logger(__name__)

Changed = Callable[[Object | None, Object | None], None]
"""Told of each change: the object before it and after it, None where there was or is none."""


def is_older(version: str, other: str) -> bool:
    """Whether one resourceVersion is of an earlier moment than another."""
    if version.isdecimal() and other.isdecimal():
        return int(version) < int(other)
    return False


class Store:
    """The objects of one kind, by namespace and name."""

    def __init__(self, changed: Changed) -> None:
        self._listener = changed
        self._things: dict[Key, Object] = {}
        self._waiting: dict[str, list[Future[None]]] = {}

    def _changed(self, before: Object | None, after: Object | None) -> None:
        try:
            self._listener(before, after)
        except Exception:  # noqa: BLE001 - see above: it is logged, and the others are taken in
            thing = after or before or {}
            _log.exception("change_not_told", name=thing.get("metadata", {}).get("name"))

    def __iter__(self) -> Iterator[Object]:
        return iter(tuple(self._things.values()))

    def get(self, key: Key) -> Object | None:
        """Return one object."""
        return self._things.get(key)

    def put(self, thing: Object) -> None:
        """Take in an object as it was seen."""
        key = key_of(thing)
        before = self._things.get(key)
        if before is not None:
            if version_of(before) == version_of(thing) or is_older(
                version_of(thing), version_of(before)
            ):
                return
            if uid_of(before) != uid_of(thing):
                self.drop(before)
                before = None
        self._things[key] = thing
        self._changed(before, thing)

    def drop(self, thing: Object) -> None:
        """Take in that an object is gone; another one of its name is left alone."""
        key = key_of(thing)
        before = self._things.get(key)
        if before is not None and uid_of(before) == uid_of(thing):
            del self._things[key]
            self._changed(before, None)
        for waiting in self._waiting.pop(uid_of(thing), ()):
            if not waiting.done():
                waiting.set_result(None)

    def replace(self, namespace: str, things: Iterable[Object], version: str) -> None:
        """Take in all that a namespace had at `version`; what is not among it is gone.

        What was seen in a newer state than that is not: it was made since.
        """
        listed = {key_of(thing): thing for thing in things}
        for key, thing in tuple(self._things.items()):
            absent = key[0] == namespace and key not in listed
            if absent and not is_older(version, version_of(thing)):
                self.drop(thing)
        for thing in listed.values():
            self.put(thing)

    async def until_gone(self, uid: str) -> None:
        """Return when the object of that uid is seen to be gone; the caller has the patience."""
        waiting: Future[None] = get_running_loop().create_future()
        self._waiting.setdefault(uid, []).append(waiting)
        try:
            await waiting
        finally:
            waiters = self._waiting.get(uid, [])
            if waiting in waiters:
                waiters.remove(waiting)
                if not waiters:
                    self._waiting.pop(uid, None)
