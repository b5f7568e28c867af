"""How far a database has come, to notice that it was set back. Pure.

A backup is put back while we run, or a standby takes over that lacked the last writes. What
agents were told since then nobody remembers but they.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """How much a database server has written.

    Attributes:
        system: which server it is; its copies are the same one.
        written: bytes of its write-ahead log that are safe on disk.
    """

    system: int
    written: int

    def lacks(self, earlier: "Position | None") -> bool:
        """Return whether something is gone that was there `earlier`."""
        if earlier is None:
            return False
        return self.system != earlier.system or self.written < earlier.written
