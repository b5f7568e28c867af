"""Keys without a meaning are kept for what no key of the layout writes.

An X server that is seen over RFB puts each keysym that is on no key on one that nothing is on,
and never takes it off again: with a layout's media keys there are some twenty of those, and
whoever writes another script than the desktop's has used them up in a sentence. So media keys
are spare as well (who presses one gets it back in the same way), and once half of all are taken
and nothing new has come for a moment, all are cleared.
"""

import asyncio
import struct
from collections.abc import Collection, Sequence
from typing import Final

from .x11 import Display

_MAPPING_NOTIFY: Final = 34
_KEYBOARD: Final = 1
_CHANGE_KEYS: Final = 100
_LOWEST: Final = 136
"""Below it are keys of which some layouts have more than others."""
_MEDIA: Final = range(0x1008FE01, 0x10090000)
_QUIET: Final = 1.0
"""Seconds that programs get to read a key before it means nothing any more."""
Rows = Sequence[Sequence[int]]
"""The keysyms of each key, from the lowest code on, as the core protocol tells them."""


def is_media(row: Sequence[int]) -> bool:
    """Return whether nothing but media keys are on a key."""
    return any(row) and all(keysym in _MEDIA for keysym in row if keysym)


def spare(lowest: int, rows: Rows) -> frozenset[int]:
    """Return the codes of the keys that are there for whatever is typed."""
    return frozenset(
        code
        for code, row in enumerate(rows, lowest)
        if code >= _LOWEST and (not any(row) or is_media(row))
    )


def crowded(rows: Rows) -> bool:
    """Return whether half of the keys are taken."""
    return 2 * sum(any(row) for row in rows) >= len(rows)


def runs(codes: Collection[int]) -> list[range]:
    """Return the stretches without a gap that these codes are."""
    found: list[range] = []
    for code in sorted(codes):
        if found and found[-1].stop == code:
            found[-1] = range(found[-1].start, code + 1)
        else:
            found.append(range(code, code + 1))
    return found


async def clear(display: Display, codes: Collection[int]) -> None:
    """Take everything off these keys."""
    # Every request is news for every program, and window managers take their time for it.
    for run in runs(codes):
        head = struct.pack("<BBxx", run.start, 1)
        display.send(_CHANGE_KEYS, len(run), head + bytes(4 * len(run)))
    await display.sync()


async def keep(display: Display, typing: asyncio.Lock) -> None:
    """Keep spare keys free, for as long as there is an X server.

    Args:
        display: a connection on which nobody else listens.
        typing: held by who types with keys that they have given a meaning.

    Raises:
        XError: the X server is gone.
    """
    changed = asyncio.Event()

    def hear(kind: int, event: bytes) -> None:
        if kind == _MAPPING_NOTIFY and event[4] == _KEYBOARD:
            changed.set()

    display.hear = hear
    lowest = display.keycodes[0]
    codes = spare(lowest, await display.keysyms())
    changed.set()
    while not display.lost.is_set():
        await changed.wait()
        changed.clear()
        rows = dict(enumerate(await display.keysyms(), lowest))
        gone = [code for code in codes if is_media(rows[code])]  # a layout was loaded
        if not gone and crowded([rows[code] for code in codes]):
            await asyncio.sleep(_QUIET)
            gone = [code for code in codes if any(rows[code])]
        if gone:
            async with typing:
                if not changed.is_set():
                    await clear(display, gone)
