"""How a program is seen from outside: its metrics served, its spans handed to a collector.

The programs decide what is counted and what is a span; this is the way out, the same for all
of them. `exposition` answers who collects metrics, `tracing` makes spans, and `exporting`, which
alone knows OpenTelemetry's library, sends them where `OTEL_EXPORTER_OTLP_ENDPOINT` says. Without
that nothing of it is imported and no span is made.
"""
