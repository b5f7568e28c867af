"""Which key and which shift makes a keysym; pure.

What the keyboard's layout has not, gets a key that nothing is on: so any character can be
typed under any layout. There are few such keys, and whoever looks at a screen may need
some of them too, so only some are taken, and each is given anew when it was used longest
ago.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

SHIFT: Final = 0xFFE1
MOST_TAKEN: Final = 24
"""Keys without a meaning that are used at the most."""
_SHARE: Final = 2
"""Of those there are, every second is left to others."""
_GROUP: Final = 2
"""Columns of the core map that belong to one group: plain and shifted."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """A key, and whether Shift has to be held for it."""

    code: int
    shifted: bool


class Keyboard:
    """What is on the keys.

    Args:
        lowest: the code of the first key.
        table: the keysyms of each key, as the core protocol tells them.
        taken: keys that were given a keysym before, longest ago first.
    """

    def __init__(
        self, lowest: int, table: Sequence[Sequence[int]], taken: Iterable[int] = ()
    ) -> None:
        self._lowest = lowest
        self._table = [list(row) for row in table]
        free = [code for code, row in enumerate(self._table, lowest) if not any(row)]
        # The first ones are where other programs look first.
        most = min(MOST_TAKEN, max(1, len(free) // _SHARE))
        still = [code for code in taken if 0 <= code - lowest < len(self._table)]
        self._spare = [*free[::-1][: max(0, most - len(still))], *still]

    @property
    def spare(self) -> tuple[int, ...]:
        """Keys that can be given a keysym, longest unused first."""
        return tuple(self._spare)

    def stroke(self, keysym: int, *, group: int = 0, shift: bool = False) -> Stroke | None:
        """Return what makes a keysym; None if no key does.

        Args:
            keysym: what is wanted.
            group: which of the layouts is switched on.
            shift: somebody holds Shift, whatever is done.
        """
        first = group * _GROUP if any(len(row) > group * _GROUP + 1 for row in self._table) else 0
        for column in (first, first + 1, 0, 1):
            for code, row in enumerate(self._table, self._lowest):
                if column >= len(row) or row[column] != keysym:
                    continue
                shifted = column % _GROUP == 1
                if shifted or not shift or row[column + 1 : column + 2] == [keysym]:
                    return Stroke(code, shifted=shifted)
        return None

    def give(self, keysym: int) -> int | None:
        """Put a keysym on a spare key and return the key; None if there are no spare keys."""
        if not self._spare:
            return None
        code = self._spare.pop(0)
        self._spare.append(code)
        row = self._table[code - self._lowest]
        row[:] = [keysym, keysym, *[0] * (len(row) - 2)]
        return code

    def used(self, code: int) -> None:
        """Remember that a spare key is in use."""
        if code in self._spare:
            self._spare.remove(code)
            self._spare.append(code)


def of_character(character: str) -> int:
    """Return the keysym of a character; a line feed is Return, a tab is Tab."""
    special = {"\n": 0xFF0D, "\r": 0xFF0D, "\t": 0xFF09}.get(character)
    if special is not None:
        return special
    point = ord(character)
    return point if point < 0x100 else 0x1000000 + point  # noqa: PLR2004 - Latin-1
