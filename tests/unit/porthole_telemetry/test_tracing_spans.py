"""Spans are made where somebody takes them, and the trace goes on where nobody does."""

import pytest

from porthole_contract.trace import Span, Traceparent
from porthole_telemetry import tracing
from porthole_telemetry.exporting import is_wanted
from porthole_telemetry.exposition import Exposition
from porthole_telemetry.tracing import OFF, Tracer, current

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = PARENT[:-1] + "0"


@pytest.fixture
def taken() -> list[Span]:
    return []


def test_a_span_is_a_part_of_what_came_in(taken: list[Span]):
    tracer = Tracer(taken.append)
    with tracer.begin("do", PARENT, "consumer", porthole_order=3) as live:
        pass
    (span,) = taken
    above = Traceparent.read(PARENT)
    assert above is not None
    assert (span.trace, span.parent, span.name, span.kind) == (
        above.trace,
        above.span,
        "do",
        "consumer",
    )
    assert live.traceparent == span.traceparent
    assert span.attributes == {"porthole.order": 3}
    assert span.start <= span.end


def test_a_trace_begins_only_where_it_is_said_to(taken: list[Span]):
    tracer = Tracer(taken.append)
    tracer.begin("lonely", None).end()
    assert taken == []
    live = tracer.begin("request", None, "server", root=True)
    live.end()
    live.end()
    assert [(span.name, span.parent) for span in taken] == [("request", None)]
    assert Traceparent.read(live.traceparent) is not None


def test_what_nobody_collects_is_handed_on_as_it_came(taken: list[Span]):
    assert OFF.begin("do", PARENT, root=True).traceparent == PARENT
    assert OFF.begin("do", "rubbish").traceparent is None
    tracer = Tracer(taken.append)
    live = tracer.begin("do", UNSAMPLED)
    live.end()
    assert str(live.traceparent).endswith("-00")
    assert taken == []


def test_a_sampler_is_asked_where_a_trace_begins(taken: list[Span]):
    tracer = Tracer(taken.append, sample=lambda _: False)
    live = tracer.begin("request", None, root=True)
    tracer.begin("inner", live.traceparent).end()
    live.end()
    assert taken == []
    tracer.begin("inner", PARENT).end()
    assert len(taken) == 1, "who decided elsewhere has decided"


def test_a_failure_is_a_word_in_the_span(taken: list[Span]):
    tracer = Tracer(taken.append)
    with pytest.raises(ValueError, match="broken"), tracer.begin("do", PARENT):
        raise ValueError("broken")
    assert taken[0].error == "ValueError: broken"


def test_what_is_being_done_is_known_in_its_task(taken: list[Span]):
    tracer = Tracer(taken.append)
    assert current() is None
    with tracer.current(tracer.begin("do", PARENT)) as live:
        assert current() == live.traceparent
    assert current() is None


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_spans_are_exported_only_where_a_collector_is_named(
    environment: dict[str, str], wanted: bool
):
    assert is_wanted(environment) is wanted


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /metrics HTTP/1.1\r\nAuthorization: Bearer right\r\n\r\n", b"200"),
        (b"GET /metrics HTTP/1.1\r\nauthorization:Bearer right\r\n\r\n", b"200"),
        (b"GET /metrics HTTP/1.1\r\nAuthorization: Bearer wrong\r\n\r\n", b"401"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", b"401"),
        (b"GET / HTTP/1.1\r\nAuthorization: Bearer right\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\nAuthorization: Bearer right\r\n\r\n", b"404"),
        (b"\xff\xfe\r\n\r\n", b"401"),
    ],
)
def test_metrics_are_told_to_who_has_the_token(head: bytes, status: bytes):
    answer = Exposition(lambda: b"a_metric 1\n", "right")._answer(head)
    assert answer.split(b" ")[1] == status
    assert (b"a_metric" in answer) is (status == b"200")


def test_a_stranger_tells_of_one_trace_and_not_for_ever(
    taken: list[Span], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tracing, "_process", Tracer(taken.append))
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    span = Span(trace=trace, span="1" * 16, name="paint", start=1, end=2)
    strangers = tracing.Strangers(trace)
    strangers.take(span.model_copy(update={"trace": "f" * 32}))
    strangers.take(span.model_copy(update={"start": 3}))
    assert taken == []
    for _ in range(1000):
        strangers.take(span)
    assert len(taken) == 64
    taken.clear()
    tracing.Strangers(None).take(span)
    assert taken == []


def test_the_place_of_a_part_is_the_same_for_the_same_words():
    above = Traceparent.read(PARENT)
    assert above is not None
    assert above.child("one", 0) == above.child("one", 0)
    assert above.child("one", 0) != above.child("one", 1)
    assert above.child("one").trace == above.trace
    assert Traceparent.read(str(above.child("one"))) == above.child("one")
