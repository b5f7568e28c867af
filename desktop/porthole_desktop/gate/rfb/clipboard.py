"""Cut text, plain and extended: the same in both directions.

A text that is longer than the limit is swallowed rather than made to end the stream: it is
something that people do. In extended form only the announcement of what one side can do
passes to and from somebody who only looks; it carries no text, and without it the
clipboard would be lost for good when they may use the desktop later.
"""

import struct
from typing import Final

from porthole_contract.errors import RemoteProtocolError
from porthole_desktop.gate.rfb.flow import Flow, Grammar

SERVER_CUT_TEXT: Final = 3
CLIENT_CUT_TEXT: Final = 6
LONGEST: Final = 64 * 2**20
"""Bytes; a text that claims to be longer ends the stream."""
_FLAGS: Final = 4
_ANNOUNCES: Final = 1 << 24
_LONGEST_ANNOUNCEMENT: Final = _FLAGS + 16 * 4
"""The flags, and a size for each of sixteen formats."""


def cut_text(
    flow: Flow, kind: int, *, may_use: bool, most: int, fault: type[RemoteProtocolError]
) -> Grammar:
    """Read one cut text after its type; let it pass if it may.

    Args:
        flow: whose grammar this is part of.
        kind: the type that was read.
        may_use: whether texts may pass at all.
        most: bytes; a longer one does not pass.
        fault: what to raise for one that cannot be.
    """
    flow.keep = False
    head = yield 7
    (length,) = struct.unpack(">3xi", head)
    size = abs(length)
    if size > LONGEST:
        raise fault(f"A clipboard of {size} bytes cannot be.")
    passes = may_use and size <= most
    before = bytes((kind,))
    if length < 0:
        if size < _FLAGS:
            raise fault("An extended clipboard message has no flags.")
        before += head
        (flags,) = struct.unpack(">I", (yield _FLAGS))
        size -= _FLAGS
        passes = passes or bool(flags & _ANNOUNCES and size <= _LONGEST_ANNOUNCEMENT - _FLAGS)
    if passes:
        flow.insert = before
        flow.keep = True
    yield -size
