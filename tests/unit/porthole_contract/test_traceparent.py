"""Traceparents as W3C Trace Context has them; what cannot be read is none."""

import pytest
from pydantic import ValidationError

from porthole_contract.trace import Span, Traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def test_a_traceparent_is_read_as_it_is_written():
    text = f"00-{TRACE}-{SPAN}-01"
    read = Traceparent.read(text)
    assert read == Traceparent(TRACE, SPAN, sampled=True)
    assert str(read) == text
    assert Traceparent.read(f"00-{TRACE}-{SPAN}-00") == Traceparent(TRACE, SPAN, sampled=False)


def test_a_later_version_may_say_more():
    assert Traceparent.read(f"01-{TRACE}-{SPAN}-01-more") == Traceparent(TRACE, SPAN)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "rubbish",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0x",
        "é" * 55,
    ],
)
def test_what_is_none_counts_for_nothing(text: str | None):
    assert Traceparent.read(text) is None


def test_a_span_of_somebody_else_is_bounded():
    good = {"trace": TRACE, "span": SPAN, "name": "draw", "start": 1, "end": 2}
    assert Span.model_validate(good).traceparent == f"00-{TRACE}-{SPAN}-01"
    for wrong in (
        {"trace": "no"},
        {"span": ""},
        {"parent": "g" * 16},
        {"name": "x" * 101},
        {"start": -1},
        {"attributes": {"k": "v" * 257}},
        {"attributes": {str(i): 1 for i in range(17)}},
        {"error": "x" * 501},
    ):
        with pytest.raises(ValidationError):
            Span.model_validate({**good, **wrong})
