"""What a gate tells of its start: nothing without a trace, two spans with one, once."""

import pytest

from porthole_contract.trace import Traceparent
from porthole_desktop.gate.spans import Spans

ABOVE = Traceparent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


def test_two_spans_are_told_once_there_is_a_picture():
    spans = Spans(str(ABOVE))
    assert spans.take() == []
    spans.supervised()
    spans.drawn()
    spans.drawn()
    (gate, desktop) = spans.take()
    assert (gate.trace, gate.parent) == (ABOVE.trace, ABOVE.span)
    assert desktop.parent == gate.span
    assert gate.start <= desktop.start <= desktop.end == gate.end
    assert spans.take() == []
    spans.drawn()
    assert spans.take() == []


@pytest.mark.parametrize(
    "traceparent", [None, "rubbish", str(Traceparent(ABOVE.trace, ABOVE.span, sampled=False))]
)
def test_nothing_is_told_where_nobody_collects(traceparent: str | None):
    spans = Spans(traceparent)
    spans.supervised()
    spans.drawn()
    assert spans.take() == []


def test_a_picture_without_a_supervisors_word_has_a_length_all_the_same():
    spans = Spans(str(ABOVE))
    spans.drawn()
    assert all(span.start <= span.end for span in spans.take())
