"""What people write that no key of theirs says: RDP's Unicode input.

Input methods, dead keys that are composed, on-screen keyboards and some clients for everything
tell characters instead of keys, each as one or two units of UTF-16, pressed and released. xrdp
0.9 drops those that its layout has not; so they are taken out of what goes to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from porthole_contract.stream import drive

_HIGH: Final = range(0xD800, 0xDC00)
_LOW: Final = range(0xDC00, 0xE000)
_CONTROLS: Final = frozenset([*range(0x20), *range(0x7F, 0xA0)])
_KEYS: Final = {"\b": 0xFF08, "\x1b": 0xFF1B, "\x7f": 0xFFFF}
"""Controls that are keys, besides those that a text may have."""


class Keys(bytes):
    """A PDU of keys and pointer: it goes after the text that was written before it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Text:
    """Characters that somebody wrote; nothing of it may be logged."""

    text: str = field(repr=False)


class Characters:
    """Puts one viewer's characters together."""

    def __init__(self) -> None:
        self._high = 0

    def take(self, unit: int) -> str:
        """Take a unit of UTF-16; return the character that is whole now, or nothing.

        A half alone is dropped, and so are controls that no key says.
        """
        high, self._high = self._high, 0
        if unit in _HIGH:
            self._high = unit
            return ""
        if unit in _LOW:
            return chr(0x10000 + (high - _HIGH[0] << 10) + unit - _LOW[0]) if high else ""
        character = "\n" if unit == ord("\r") else chr(unit)
        is_typed = unit not in _CONTROLS or character in "\t\n" or character in _KEYS
        return character if is_typed else ""


def actions(text: str) -> tuple[drive.Action, ...]:
    """Return what writes a text that `Characters` has put together."""
    done: list[drive.Action] = []
    for run in _runs(text):
        if run in _KEYS:
            done.append(drive.PressKeys(do="tap", keys=(_KEYS[run],)))
        else:
            done.append(drive.TypeText(text=run))
    return tuple(done)


def _runs(text: str) -> Iterable[str]:
    """Yield the parts of a text between which there are keys, and these."""
    begin = 0
    for at, character in enumerate(text):
        if character in _KEYS:
            if begin < at:
                yield text[begin:at]
            yield character
            begin = at + 1
    if begin < len(text):
        yield text[begin:]
