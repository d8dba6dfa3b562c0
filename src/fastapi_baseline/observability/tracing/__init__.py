"""Traces: what happened to a request, step by step, sent to a collector over OTLP.

Only if an endpoint is configured. The spans of requests are FastAPI's own; this is where they go,
which of them are kept, and what is taken out of them.
"""

from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily

if TYPE_CHECKING:
    from fastapi_baseline.observability.tracing.destination import find_traces_endpoint
    from fastapi_baseline.observability.tracing.flushing import flush, make_tracing_lifespan
    from fastapi_baseline.observability.tracing.provider import make_tracer_provider
    from fastapi_baseline.observability.tracing.redaction import redact_query, redact_url
    from fastapi_baseline.observability.tracing.span_redaction import RedactingSpanExporter
    from fastapi_baseline.observability.tracing.untrusted import UntrustingTracerProvider

__all__ = [
    "RedactingSpanExporter",
    "UntrustingTracerProvider",
    "find_traces_endpoint",
    "flush",
    "make_tracer_provider",
    "make_tracing_lifespan",
    "redact_query",
    "redact_url",
]

_HOMES = {
    "RedactingSpanExporter": "span_redaction",
    "UntrustingTracerProvider": "untrusted",
    "find_traces_endpoint": "destination",
    "flush": "flushing",
    "make_tracer_provider": "provider",
    "make_tracing_lifespan": "flushing",
    "redact_query": "redaction",
    "redact_url": "redaction",
}

# Only a service that traces pays for the import of OpenTelemetry's SDK.
__getattr__, __dir__ = export_lazily(__name__, _HOMES)
