"""Cut text, plain and extended: the same in both directions.

A text that is longer than the limit is swallowed rather than made to end the stream: it is
something that people do. In extended form one side tells that it has something and the other
asks for it: what may not go one way is neither told of nor asked for there. Only what a side can
do passes always; it carries no text, and without it the clipboard would be lost for good for
somebody who may use the desktop later.
"""

import struct
import zlib
from typing import Final

from porthole_contract.errors import RemoteProtocolError
from porthole_desktop.gate.rfb.flow import Flow, Grammar

SERVER_CUT_TEXT: Final = 3
CLIENT_CUT_TEXT: Final = 6
LONGEST: Final = 256 * 2**20
"""Bytes; a text that claims to be longer ends the stream."""
_FLAGS: Final = 4
_CAN, _ASKS, _ASKS_WHETHER, _HAS, _GIVES = (1 << bit for bit in range(24, 29))
_ACTIONS: Final = 0xFF << 24
_LENGTHS: Final = 16 * 4
"""A size for each of sixteen formats."""


def cut_text(
    flow: Flow,
    kind: int,
    *,
    may_give: bool,
    may_ask: bool,
    most: int,
    fault: type[RemoteProtocolError],
) -> Grammar:
    """Read one cut text after its type; let it pass if it may.

    Args:
        flow: whose grammar this is part of.
        kind: the type that was read.
        may_give: whether who says it may hand a text over.
        may_ask: whether who says it may ask for the other's.
        most: bytes; a longer one does not pass.
        fault: what to raise for one that cannot be.
    """
    flow.keep = False
    head = yield 7
    (length,) = struct.unpack(">3xi", head)
    size = abs(length)
    if size > LONGEST:
        raise fault(f"A clipboard of {size} bytes cannot be.")
    before = bytes((kind,)) + head
    if length >= 0:
        if may_give and size <= most:
            flow.insert, flow.keep = before[:1], True
        yield -size
        return
    if size < _FLAGS:
        raise fault("An extended clipboard message has no flags.")
    said = yield _FLAGS
    size -= _FLAGS
    (flags,) = struct.unpack(">I", said)
    if not admits(flags, size, may_give=may_give, may_ask=may_ask, most=most):
        yield -size
    elif flags & _GIVES and not flags & _CAN:
        packed = (yield size) if size else b""
        if fits(packed, most):
            flow.insert = before + said + packed
    else:
        flow.insert, flow.keep = before, True
        yield -size


def admits(flags: int, size: int, *, may_give: bool, may_ask: bool, most: int) -> bool:
    """Return whether an extended message with these flags, and so much after them, may pass."""
    if flags & _CAN:
        return size <= _LENGTHS
    allowed = (_HAS | _GIVES if may_give else 0) | (_ASKS | _ASKS_WHETHER if may_ask else 0)
    actions = flags & _ACTIONS
    longest = most if actions == _GIVES else 0
    return bool(actions) and not actions & ~allowed and size <= longest


def fits(packed: bytes, most: int) -> bool:
    """Return whether what is handed over is no more than this when it is unpacked.

    It is unpacked only as far as that takes: a small message may hold a very long text.
    """
    try:
        plain = zlib.decompressobj().decompress(packed, most + _LENGTHS + 1)
    except zlib.error:
        return False
    return len(plain) <= most + _LENGTHS
