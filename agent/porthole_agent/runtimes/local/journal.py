"""What this runtime did, in order, one JSON object a line, on disk before the next step.

For each (session, order, restarts) there is exactly one `started`, one `lost` if that was
lost, one `ended` if it was deleted; saying any of them again changes nothing. That is how a
test, or a person, can count starts without believing the program that made them.
"""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

Event = Literal["started", "lost", "stopped", "gate_mended", "network_mended", "ended"]

_ONCE: Final = frozenset({"started", "lost", "ended"})
_ROTATE: Final = 16 * 2**20
"""Bytes at which the journal is put aside when the runtime is opened; the last one is kept."""


class Journal:
    """The append-only file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: set[tuple[str, str, int, int]] = set()
        self._fd = -1

    def open(self) -> None:
        """Read what was said before; a line that a kill cut short is dropped."""
        if self._path.exists() and self._path.stat().st_size > _ROTATE:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self._path, flags, 0o600)
        text = self._path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole != len(text):
            os.ftruncate(self._fd, whole)
        for line in text[:whole].splitlines():
            said = json.loads(line)
            if said["event"] in _ONCE:
                self._seen.add(
                    _key(said["event"], said["session"], said["order"], said["restarts"])
                )

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def say(
        self,
        event: Event,
        session: UUID,
        order: int,
        restarts: int,
        at: datetime,
        **more: Any,
    ) -> bool:
        """Write one line; on disk when this returns. False: it had been said before."""
        key = _key(event, str(session), order, restarts)
        if event in _ONCE and key in self._seen:
            return False
        line = {
            "at": at.isoformat(),
            "event": event,
            "session": str(session),
            "order": order,
            "restarts": restarts,
            **more,
        }
        os.write(self._fd, json.dumps(line, separators=(",", ":")).encode() + b"\n")
        os.fdatasync(self._fd)
        if event in _ONCE:
            self._seen.add(key)
        return True

    def was_said(self, event: Event, session: UUID, order: int, restarts: int) -> bool:
        """Whether a `started`, `lost` or `ended` of these is in the journal."""
        return _key(event, str(session), order, restarts) in self._seen


def _key(event: str, session: str, order: int, restarts: int) -> tuple[str, str, int, int]:
    return event, session, order, restarts
