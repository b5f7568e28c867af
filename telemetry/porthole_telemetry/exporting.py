"""Spans on their way to a collector, by OpenTelemetry's own library.

Its `OTEL_...` variables say where to, with which headers, and how many; nothing of it is imported
unless they name a collector. Sending is done by a thread of the library, in batches; what a
collector does not take is dropped there, and nobody waits for it.
"""

import os
import threading
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

import structlog

from porthole_contract.trace import Span
from porthole_telemetry.tracing import OFF, Tracer

_log = structlog.get_logger(__name__)

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_CLOSED_WITHIN: Final = 2.0


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Return whether these variables name a collector and nothing says not to use it."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return False
    return any(environment.get(name) for name in _ENDPOINTS)


def tracer(service: str) -> Tracer:
    """Return what makes the spans of a program, as the environment says.

    Args:
        service: what the program is called, unless OTEL_SERVICE_NAME says otherwise.
    """
    if not is_wanted(os.environ):
        return OFF
    try:
        return _exporting(service)
    except ImportError:
        _log.warning("traces_off", why="Install porthole[traces] for OTEL_... to be of use.")
        return OFF


def _exporting(service: str) -> Tracer:
    # Megabytes that nobody needs who has no collector.
    from opentelemetry import trace as api  # noqa: PLC0415 - see above
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - see above
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - see above
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider  # noqa: PLC0415 - see above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - see above
    from opentelemetry.sdk.trace.sampling import Decision  # noqa: PLC0415 - see above
    from opentelemetry.sdk.util.instrumentation import (  # noqa: PLC0415 - see above
        InstrumentationScope,
    )

    named = os.environ.get("OTEL_SERVICE_NAME") or service
    resource = Resource.create({"service.name": named, "service.version": version("porthole")})
    sampler = TracerProvider(resource=resource, shutdown_on_exit=False).sampler
    processor = BatchSpanProcessor(OTLPSpanExporter())
    scope = InstrumentationScope("porthole", version("porthole"))
    kinds = {kind.name.lower(): kind for kind in api.SpanKind}

    def context(trace: str, span: str) -> api.SpanContext:
        return api.SpanContext(
            int(trace, 16), int(span, 16), is_remote=False, trace_flags=api.TraceFlags(1)
        )

    def export(span: Span) -> None:
        processor.on_end(
            ReadableSpan(
                span.name,
                context=context(span.trace, span.span),
                parent=None if span.parent is None else context(span.trace, span.parent),
                resource=resource,
                attributes=dict(span.attributes),
                kind=kinds[span.kind],
                status=api.Status(api.StatusCode.ERROR, span.error) if span.error else api.Status(),
                start_time=span.start,
                end_time=span.end,
                instrumentation_scope=scope,
            )
        )

    def sample(trace: str) -> bool:
        return (
            sampler.should_sample(None, int(trace, 16), "").decision is Decision.RECORD_AND_SAMPLE
        )

    def close() -> None:
        # A collector that is away must not keep the program from ending.
        ending = threading.Thread(target=processor.shutdown, daemon=True)
        ending.start()
        ending.join(_CLOSED_WITHIN)

    return Tracer(export, sample=sample, close=close)
