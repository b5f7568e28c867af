"""Keys and pointer: what a person does, in both of RDP's ways to say it."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from porthole_desktop.gate.faults import ViewerFault
from porthole_desktop.gate.rdp import share
from porthole_desktop.gate.rdp.agreed import Agreed
from porthole_desktop.gate.rdp.framing import head_of_fast
from porthole_desktop.gate.rdp.reader import Reader
from porthole_desktop.gate.rdp.writing import Characters, Text

INPUT: Final = 28
"""The kind of a data PDU that holds events."""
_RELEASED, _EXTENDED = 0x8000, 0x0300
_POINTER_DOWN: Final = 0x8000
_BUTTONS: Final = 0x7000
_WHEELS: Final = 0x0600
_EXTRA_BUTTONS: Final = 0x0003
_EVENT: Final = struct.Struct("<IHHHH")
_SYNC, _UNUSED, _KEY, _UNICODE, _MOVE, _EXTRA = 0, 2, 4, 5, 0x8001, 0x8002
_FAST_KEY, _FAST_MOVE, _FAST_EXTRA, _FAST_SYNC, _FAST_UNICODE = range(5)
_FAST_SIZES: Final = {_FAST_KEY: 1, _FAST_MOVE: 6, _FAST_EXTRA: 6, _FAST_SYNC: 0, _FAST_UNICODE: 2}
"""Bytes of each kind after its first."""
_MOST_IN_HEAD: Final = 15
_MOST_HELD: Final = 64
"""Keys that one viewer may hold down and that are remembered."""


class Kind(Enum):
    """What an event is about."""

    KEY = auto()
    TEXT = auto()
    POINTER = auto()
    EXTRA = auto()  # the buttons beside the usual three
    LOCKS = auto()  # which of the keys that lock are on; no one has done anything


@dataclass(frozen=True, slots=True)
class Event:
    """One event, in the words of the slow path: flags, then a key, or x and y.

    `said` is what the viewer said, in the words of the way that it came by.
    """

    kind: Kind
    flags: int = 0
    x: int = 0
    y: int = 0
    said: bytes = b""


def read_fast(pdu: bytes) -> list[Event]:
    """Return the events of a fast-path PDU.

    Raises:
        ViewerFault: it holds something else.
    """
    reader = Reader(pdu[head_of_fast(pdu) :], ViewerFault, "A fast-path PDU of input")
    count = pdu[0] >> 2 & 0x0F or reader.u8()
    events = [_fast(reader) for _ in range(count)]
    reader.end()
    return events


def write_fast(events: Sequence[Event]) -> bytes:
    """Return the fast-path PDUs of events that came so."""
    pdus = b""
    for at in range(0, len(events), _MOST_IN_HEAD):  # xrdp 0.9 ends when one has more
        part = events[at : at + _MOST_IN_HEAD]
        body = b"".join(event.said for event in part)
        pdus += bytes((len(part) << 2, len(body) + 2)) + body
    return pdus


def read_slow(reader: Reader) -> list[Event]:
    """Return the events of a data PDU of input, after its head.

    Raises:
        ViewerFault: it holds something else.
    """
    count, _ = reader.u16(), reader.u16()
    events = []
    for _ in range(count):
        said = reader.take(_EVENT.size)
        _, kind, flags, x, y = _EVENT.unpack(said)
        if kind not in _SLOW_KINDS:
            raise ViewerFault(f"There is no input of the kind {kind:#06x}.")
        events.append(Event(_SLOW_KINDS[kind], flags, x, y, said))
    reader.end()
    return events


def write_slow(events: Sequence[Event], agreed: Agreed) -> bytes:
    """Return the PDU of events that came in a data PDU."""
    return _slow([event.said for event in events], agreed)


def turns(events: Sequence[Event], characters: Characters) -> Iterator[Sequence[Event] | Text]:
    """Yield what somebody did in its order: text, and what else there was between."""
    run: list[Event] = []
    text = ""
    for event in events:
        if event.kind is Kind.TEXT:
            if run:
                yield run
                run = []
            if not event.flags & _RELEASED:
                text += characters.take(event.x)
        else:
            if text:
                yield Text(text)
                text = ""
            run.append(event)
    if text:
        yield Text(text)
    if run:
        yield run


class Held:
    """What one viewer holds down, so that it can be let go of when it may not any more."""

    def __init__(self) -> None:
        self._keys: set[tuple[int, int]] = set()
        self._buttons: set[tuple[Kind, int]] = set()
        self._place = (0, 0)

    def take(self, event: Event) -> bool:
        """Note an event that passes; return whether somebody really did something."""
        if event.kind is Kind.KEY:
            return self._key(event.flags & _EXTENDED, event.x, event.flags)
        if event.kind is Kind.TEXT:
            return True
        if event.kind is Kind.LOCKS:
            return False
        buttons = event.flags & (_BUTTONS if event.kind is Kind.POINTER else _EXTRA_BUTTONS)
        moved = (event.x, event.y) != self._place
        self._place = event.x, event.y
        for bit in (1 << n for n in range(16) if buttons & 1 << n):
            change = self._buttons.add if event.flags & _POINTER_DOWN else self._buttons.discard
            change((event.kind, bit))
        wheel = event.kind is Kind.POINTER and event.flags & _WHEELS
        return moved or bool(buttons or wheel)

    def release(self, agreed: Agreed) -> bytes:
        """Return the PDU that lets go of all; it is let go of by that."""
        x, y = self._place
        events = [
            _EVENT.pack(0, _KEY, _RELEASED | extended, code, 0)
            for extended, code in sorted(self._keys)
        ]
        for kind, bit in sorted(self._buttons, key=lambda button: button[1]):
            number = _MOVE if kind is Kind.POINTER else _EXTRA
            events.append(_EVENT.pack(0, number, bit, x, y))
        self._keys.clear()
        self._buttons.clear()
        return _slow(events, agreed) if events else b""

    def _key(self, extended: int, code: int, flags: int) -> bool:
        key = extended, code
        if flags & _RELEASED:
            held = key in self._keys  # some programs let go of keys that nobody has pressed
            self._keys.discard(key)
            return held
        if len(self._keys) < _MOST_HELD:
            self._keys.add(key)
        return True


def _slow(said: Sequence[bytes], agreed: Agreed) -> bytes:
    payload = struct.pack("<HH", len(said), 0) + b"".join(said)
    return share.data(agreed, INPUT, payload, to_desktop=True)


def _fast(reader: Reader) -> Event:
    head = reader.u8()
    kind, flags = head >> 5, head & 0x1F
    if kind not in _FAST_SIZES:
        raise ViewerFault(f"There is no input of the kind {kind} by fast-path.")
    body = reader.take(_FAST_SIZES[kind])
    said = bytes((head,)) + body
    released = _RELEASED if flags & 1 else 0
    if kind == _FAST_KEY:
        return Event(Kind.KEY, released | (flags & 6) << 7, body[0], 0, said)
    if kind == _FAST_UNICODE:
        return Event(Kind.TEXT, released, int.from_bytes(body, "little"), said=said)
    if kind == _FAST_SYNC:
        return Event(Kind.LOCKS, said=said)
    about = Kind.POINTER if kind == _FAST_MOVE else Kind.EXTRA
    flags, x, y = struct.unpack("<HHH", body)
    return Event(about, flags, x, y, said)


_SLOW_KINDS: Final = {
    _SYNC: Kind.LOCKS,
    _UNUSED: Kind.LOCKS,
    _KEY: Kind.KEY,
    _UNICODE: Kind.TEXT,
    _MOVE: Kind.POINTER,
    _EXTRA: Kind.EXTRA,
}
