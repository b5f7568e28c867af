"""Runs a grammar over bytes that arrive in any chunks, and says which of them pass.

A grammar is a generator. What it yields is what it wants next:

    n > 0   these n bytes, whole; they are sent to it
    n < 0   -n bytes to go by without being looked at
    0       nothing: the message is over

What a grammar has read passes when it asks for the next thing, unless `keep` is False by
then; so nothing passes that has not been judged. `keep` is True again in every new
message. `insert` are bytes that go out before what was read last.
"""

from collections.abc import Callable, Generator
from typing import Final

Grammar = Generator[int, bytes, None]
Piece = bytes | memoryview

OVER: Final = 0


class Flow:
    """One direction of one conversation.

    Args:
        grammar: makes the generator; it may set `keep` and `insert` of this flow.
        message: told the number of bytes of each message that is over.
    """

    def __init__(
        self, grammar: Callable[["Flow"], Grammar], message: Callable[[int], None] | None = None
    ) -> None:
        self.keep = True
        self.insert = b""
        self._message = message
        self._size = 0
        self._held = b""
        self._grammar = grammar(self)
        self._want = next(self._grammar)

    @property
    def between(self) -> bool:
        """Whether no message is under way."""
        return self._size == 0 and not self._held

    def feed(  # noqa: C901 - the one loop that all bytes go through, kept in one piece
        self, data: bytes | bytearray | memoryview
    ) -> list[Piece]:
        """Take bytes; return the pieces that pass, in order, as views where they can be.

        The views are into `data`: use them before its buffer is filled again.

        Raises:
            RemoteProtocolError: the grammar does not admit it; the conversation is over.
        """
        view = memoryview(self._held + bytes(data)) if self._held else memoryview(data)
        passed: list[Piece] = []
        end, at, begin, want = len(view), 0, 0, self._want
        send = self._grammar.send
        while True:
            before = at
            if want > 0:
                if end - at < want:
                    break
                at += want
                answer = bytes(view[before:at])
            else:
                at += min(-want, end - at)
                answer = b""
                want += at - before
                if want:
                    self._size += at - before
                    if not self.keep:
                        begin = _cut(passed, view, begin, before, at)
                    break
            self._size += at - before
            want = send(answer)
            if self.insert:
                begin = self._put_in(passed, view, begin, before)
            if not self.keep:
                begin = _cut(passed, view, begin, before, at)
            if want == OVER:
                if self._message is not None:
                    self._message(self._size)
                self._size = 0
                self.keep = True
                want = send(b"")
                if self.insert:
                    begin = self._put_in(passed, view, begin, at)
        _cut(passed, view, begin, at, at)
        self._held = bytes(view[at:])
        self._want = want
        return passed

    def _put_in(self, passed: list[Piece], view: memoryview, begin: int, place: int) -> int:
        begin = _cut(passed, view, begin, place, place)
        passed.append(self.insert)
        self.insert = b""
        return begin


def _cut(passed: list[Piece], view: memoryview, begin: int, end: int, next_begin: int) -> int:
    """Let `view[begin:end]` pass; what follows begins at `next_begin`."""
    if end > begin:
        passed.append(view[begin:end])
    return next_begin
