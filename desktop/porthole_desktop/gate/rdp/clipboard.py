"""The channel `cliprdr`: whose clipboard passes, which way, how much, and what is said instead.

Messages that carry nothing pass always, so that the clipboard is ready when a viewer may use the
desktop later. A side whose message is swallowed and who waits for an answer gets one from the
gate: a program that pastes would hang otherwise. So it would with a character beyond 0xFFFF in a
text, of which xrdp 0.9 makes nothing; the desktop gets replacements for it. Files do not pass; they
have a channel of their own, so both sides hear that the other cannot do them.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

from porthole_desktop.gate.faults import DesktopFault, ViewerFault
from porthole_desktop.gate.rdp.agreed import Agreed
from porthole_desktop.gate.rdp.virtual import Chunk, Chunks, chunk
from porthole_desktop.gate.ways import Ways

_READY, _FORMATS, _FORMATS_SEEN, _ASK, _GIVE, _CAPABILITIES = 1, 2, 3, 4, 5, 7
_NEVER: Final = frozenset({6, 8, 9, 10, 11})
"""Folders, files and locks on them."""
_OK, _FAIL = 1, 2
_HEAD: Final = struct.Struct("<HHI")
_PADDING: Final = 8
"""Bytes that some write after a message and do not count."""
_UNICODE_TEXT: Final = 13
_FORMAT: Final = struct.Struct("<I")
_HALVES: Final = frozenset(range(0xD8, 0xE0))
"""The high bytes of what two of stand for one character beyond 0xFFFF."""
_LONGEST_FORMATS: Final = 65536
_GENERAL: Final = struct.Struct("<HHHHII")
_LONG_NAMES: Final = 0x2


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of a chunk: `on` goes further on the channel, `back` to who sent it."""

    on: bytes | None = None
    back: bytes | None = None


@dataclass(slots=True)
class _Way:
    chunks: Chunks
    passes: bool = False
    under_way: bool = False
    is_text: bool = False
    at: int = 0
    at_end: Judged = field(default_factory=Judged)


class Clipboard:
    """One conversation's clipboard, both ways.

    Args:
        agreed: says whether the viewer may use the desktop.
        ways: which way it may go, and how much at once.
    """

    def __init__(self, agreed: Agreed, ways: Ways) -> None:
        self._agreed = agreed
        self._rules = ways
        self._asked = 0
        self._ways = {True: _Way(Chunks(ViewerFault)), False: _Way(Chunks(DesktopFault))}

    @property
    def under_way(self) -> bool:
        """Whether somebody's clipboard is on its way, in part."""
        return any(way.under_way and way.passes for way in self._ways.values())

    def judge(self, body: bytes, *, to_desktop: bool) -> Judged:
        """Judge the next chunk of one way.

        Raises:
            RemoteProtocolError: it is none that may come.
        """
        way = self._ways[to_desktop]
        part = way.chunks.read(body)
        if part.first:
            way.passes, way.at_end, instead = self._begin(part, way, to_desktop=to_desktop)
            body = instead or body
            way.at = 0
        if way.is_text:
            begin = len(body) - len(part.data)
            body = _of_whole_characters(body, begin + (_HEAD.size if part.first else 0), way.at)
            way.at += len(part.data)
        way.under_way = not part.last
        if way.passes:
            return Judged(on=body)
        return way.at_end if part.last else Judged()

    def _begin(
        self, part: Chunk, way: _Way, *, to_desktop: bool
    ) -> tuple[bool, Judged, bytes | None]:
        """Return whether a message passes, what is said at its end if not, what passes for it."""
        if len(part.data) < _HEAD.size:
            raise way.chunks.fault("A message about the clipboard has no head.")
        kind, _, length = _HEAD.unpack_from(part.data)
        if not length <= part.total - _HEAD.size <= length + _PADDING:
            raise way.chunks.fault("A message about the clipboard is not as long as it says.")
        may_use, rules = self._agreed.may_use, self._rules
        may_give = may_use and rules.gives(to_desktop=to_desktop)
        may_ask = may_use and rules.asks(to_desktop=to_desktop)
        way.is_text = to_desktop and kind == _GIVE and self._asked == _UNICODE_TEXT
        if kind == _ASK and not to_desktop and len(part.data) >= _HEAD.size + _FORMAT.size:
            (self._asked,) = _FORMAT.unpack_from(part.data, _HEAD.size)
        if kind == _CAPABILITIES:
            return True, Judged(), self._capabilities(part, way)
        if kind in {_READY, _FORMATS_SEEN} and length <= _PADDING:
            return True, Judged(), None
        if kind == _FORMATS:
            seen = Judged(back=_message(_FORMATS_SEEN, _OK))
            return may_give and part.total <= _LONGEST_FORMATS, seen, None
        if kind == _ASK:
            return may_ask, Judged(back=_message(_GIVE, _FAIL)), None
        if kind == _GIVE:
            passes = may_give and length <= rules.most
            return passes, Judged(on=_message(_GIVE, _FAIL)), None
        if kind in _NEVER:
            return False, Judged(), None
        raise way.chunks.fault(f"There is no message {kind} about the clipboard.")

    @staticmethod
    def _capabilities(part: Chunk, way: _Way) -> bytes:
        """Return the capabilities without files."""
        if not part.last or len(part.data) < _HEAD.size + _GENERAL.size:
            raise way.chunks.fault("What a clipboard can do is said in one general set.")
        count, _, kind, length, version, flags = _GENERAL.unpack_from(part.data, _HEAD.size)
        if (count, kind, length) != (1, 1, 12):
            raise way.chunks.fault("What a clipboard can do is said in one general set.")
        general = _GENERAL.pack(count, 0, kind, length, version, flags & _LONG_NAMES)
        return chunk(_HEAD.pack(_CAPABILITIES, 0, _GENERAL.size) + general)


def _of_whole_characters(body: bytes, begin: int, at: int) -> bytes:
    """Return `body` with U+FFFD for each half of a character, from `begin` on.

    What stands there is in UTF-16; it is at `at` in it, which is odd after half of two bytes.
    """
    first = begin + 1 - at % 2
    if _HALVES.isdisjoint(body[first::2]):
        return body
    made = bytearray(body)
    for high in range(first, len(made), 2):
        if made[high] in _HALVES:
            made[high] = 0xFF
            if high > begin:
                made[high - 1] = 0xFD
    return bytes(made)


def _message(kind: int, flags: int) -> bytes:
    return chunk(_HEAD.pack(kind, flags, 0))
