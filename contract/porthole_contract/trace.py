"""Traces: which span somebody's work belongs to, and a span as programs hand it on.

A traceparent (W3C Trace Context) travels with an order: in the command, in an annotation of the
Session, in the gate's configuration. Whoever cannot read one does without: no order fails for it.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from porthole_contract.model import NO_NUL, Message

_FORM = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_NONE = re.compile(r"0+")
_SAMPLED = 1

TRACEPARENT_LENGTH = 55
"""Characters of one that we write."""

TraceparentText = Annotated[str, Field(max_length=128, pattern=NO_NUL)]
"""A traceparent as it travels; what cannot be read counts as none."""

Nanoseconds = Annotated[int, Field(ge=0, lt=2**63)]
"""Since the epoch."""


@dataclass(frozen=True, slots=True)
class Traceparent:
    """A place in a trace.

    Attributes:
        trace: 32 lower hexadecimal digits.
        span: 16 of them.
        sampled: whether anybody collects this trace.
    """

    trace: str
    span: str
    sampled: bool = True

    @classmethod
    def read(cls, text: str | None) -> "Traceparent | None":
        """Return what a traceparent says; None if it is none, or says nothing."""
        match = _FORM.fullmatch(text or "")
        if match is None or text is None or text.startswith("ff"):
            return None
        trace, span, flags = match.groups()
        if _NONE.fullmatch(trace) or _NONE.fullmatch(span):
            return None
        if text.startswith("00") and len(text) != TRACEPARENT_LENGTH:
            return None
        return cls(trace, span, bool(int(flags, 16) & _SAMPLED))

    def child(self, *words: object) -> "Traceparent":
        """Return the place of a part whose name is its id: the same for the same words.

        So a part can be told of before it ends, and by whoever sees it end.
        """
        text = "/".join((self.trace, self.span, *map(str, words)))
        return Traceparent(self.trace, hashlib.sha256(text.encode()).hexdigest()[:16], self.sampled)

    def __str__(self) -> str:
        return f"00-{self.trace}-{self.span}-{int(self.sampled):02x}"


class Span(Message):
    """Something that was done, from when to when, and what it was a part of.

    `error` is why it failed, in a sentence; empty: it did not.
    """

    type: Literal["span"] = "span"
    trace: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    span: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    parent: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None
    name: Annotated[str, Field(min_length=1, max_length=100)]
    kind: Literal["internal", "server", "client", "producer", "consumer"] = "internal"
    start: Nanoseconds
    end: Nanoseconds
    attributes: Annotated[
        dict[
            Annotated[str, Field(max_length=64)],
            bool | int | float | Annotated[str, Field(max_length=256)],
        ],
        Field(max_length=16),
    ] = {}  # noqa: RUF012 - frozen with its model, which copies it
    error: Annotated[str, Field(max_length=500)] = ""

    @property
    def traceparent(self) -> str:
        """What a part of it carries on."""
        return str(Traceparent(self.trace, self.span))
