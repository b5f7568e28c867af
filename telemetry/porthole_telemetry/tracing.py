"""Spans, made where the work is done and handed to whoever exports them.

A span's ids are made when it begins, so that what it belongs to can be sent on before it ends.
Who exports nothing makes none, and hands on what came in: the trace goes on elsewhere.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Literal, Self

from porthole_contract.trace import Span, Traceparent

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = bool | int | float | str

_MOST = 256
_MOST_OF_A_STRANGER = 64

_current: ContextVar[str | None] = ContextVar("porthole_traceparent", default=None)


def current() -> str | None:
    """Return the traceparent of what is being done in this task."""
    return _current.get()


class Live:
    """A span that has begun.

    Attributes:
        traceparent: what its parts carry on; what came in, if nobody collects it.
    """

    def __init__(self, tracer: "Tracer", span: Span | None, traceparent: str | None) -> None:
        self._tracer = tracer
        self._span = span
        self.traceparent = traceparent

    def end(self, error: str = "", *, name: str | None = None, **attributes: Value) -> None:
        """Note that it is over; a second end counts for nothing.

        Args:
            error: why it failed, in a sentence.
            name: what it turned out to be; None: what it was begun as.
            attributes: what is known of it by now.
        """
        span, self._span = self._span, None
        if span is not None:
            self._tracer.record(
                span.model_copy(
                    update={
                        "name": (name or span.name)[:100],
                        "end": max(time.time_ns(), span.start),
                        "error": error[:500],
                        "attributes": {**span.attributes, **_short(attributes)},
                    }
                )
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        self.end("" if error is None else f"{type(error).__name__}: {error}")


class Tracer:
    """Makes spans for one program.

    Args:
        export: takes spans that are over; None: nobody does.
        sample: whether a trace that begins here is collected, by its id.
        close: sends what was not sent yet.
    """

    def __init__(
        self,
        export: Callable[[Span], None] | None = None,
        *,
        sample: Callable[[str], bool] = lambda _: True,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._export = export
        self._sample = sample
        self._close = close

    @property
    def on(self) -> bool:
        """Whether anybody takes spans."""
        return self._export is not None

    def begin(
        self,
        name: str,
        parent: str | None,
        kind: Kind = "internal",
        *,
        root: bool = False,
        start: int | None = None,
        **attributes: Value,
    ) -> Live:
        """Begin a span.

        Args:
            name: what is done; few different ones.
            parent: the traceparent of what it is a part of.
            kind: OpenTelemetry's.
            root: whether it begins a trace where there is no parent; otherwise there is no span.
            start: when it began, in nanoseconds since the epoch; None: now.
            attributes: what is known of it.
        """
        above = Traceparent.read(parent)
        if self._export is None or (above is None and not root):
            return Live(self, None, None if above is None else parent)
        if above is None:
            trace = secrets.token_hex(16)
            above = Traceparent(trace, "", self._sample(trace))
        place = Traceparent(above.trace, secrets.token_hex(8), above.sampled)
        if not above.sampled:
            return Live(self, None, str(place))
        began = time.time_ns() if start is None else start
        span = Span(
            trace=place.trace,
            span=place.span,
            parent=above.span or None,
            name=name,
            kind=kind,
            start=began,
            end=began,
            attributes=_short(attributes),
        )
        return Live(self, span, str(place))

    def tell(
        self,
        name: str,
        order: Traceparent | None,
        place: Traceparent | None,
        begun: datetime,
        ended: datetime,
        **attributes: Value,
    ) -> None:
        """Hand on a part that is over, whose place was told to others before it ended.

        Args:
            name: what was done.
            order: what it is a part of; None: of nothing that anybody collects.
            place: its own.
            begun: when it began.
            ended: when it was seen to be over, on whatever clock there is by then.
            attributes: what is known of it.
        """
        if order is None or place is None or not place.sampled:
            return
        self.record(
            Span(
                trace=place.trace,
                span=place.span,
                parent=order.span,
                name=name,
                start=int(begun.timestamp() * 1e9),
                end=int(max(begun, ended).timestamp() * 1e9),
                attributes=_short(attributes),
            )
        )

    def record(self, span: Span) -> None:
        """Hand on a span that is over, made here or by a program that cannot itself."""
        if self._export is not None:
            self._export(span)

    @contextmanager
    def current(self, live: Live) -> Iterator[Live]:
        """Have `live` be what is being done in this task while the block runs."""
        token = _current.set(live.traceparent)
        try:
            yield live
        finally:
            _current.reset(token)

    def close(self) -> None:
        """Send what was not sent yet; takes two seconds at the most."""
        self._close()


OFF = Tracer()
"""Makes no spans."""

_process = OFF


def process() -> Tracer:
    """Return what makes the spans of this process."""
    return _process


def use(tracer: Tracer) -> None:
    """Have this process's spans made by `tracer` from now on."""
    global _process  # noqa: PLW0603 - one for the process, as its metrics are
    _process = tracer


class Strangers:
    """Takes spans of a program that is not believed: of one trace, and only so many.

    Args:
        trace: the trace that it belongs to; None: nothing is taken.
    """

    def __init__(self, trace: str | None) -> None:
        self._trace = trace
        self._left = _MOST_OF_A_STRANGER

    def take(self, span: Span) -> None:
        """Hand on a span, if it may be one of its."""
        if self._left > 0 and span.trace == self._trace and span.start <= span.end:
            self._left -= 1
            process().record(span)


def _short(attributes: Mapping[str, Value]) -> dict[str, Value]:
    """Return attributes by their names, `porthole_order` for `porthole.order`."""
    return {
        name.replace("_", ".", 1): value[:_MOST] if isinstance(value, str) else value
        for name, value in attributes.items()
    }
