"""Traces of a service that anybody may call."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, Span, SpanKind, Tracer
from opentelemetry.util.types import Attributes


class UntrustingTracerProvider(TracerProvider):
    """Begins a trace of its own for each request, and links it to the one that the caller named.

    Whoever may choose the trace also chooses what is sampled, which costs money, and may put its
    requests into the traces of others. Spans of messages and jobs keep their parents: those were
    stored by the service itself.
    """

    def get_tracer(  # noqa: PLR0917 -- OpenTelemetry's signature
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> Tracer:
        """Return a tracer that does so."""
        tracer = super().get_tracer(
            instrumenting_module_name, instrumenting_library_version, schema_url, attributes
        )
        return _UntrustingTracer(tracer)


class _UntrustingTracer(Tracer):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start_span(  # noqa: PLR0917 -- OpenTelemetry's signature
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: FBT001, FBT002 -- OpenTelemetry's signature
        set_status_on_exception: bool = True,  # noqa: FBT001, FBT002 -- OpenTelemetry's signature
    ) -> Span:
        context, links = _own_root(context, kind, links)
        return self._tracer.start_span(
            name,
            context,
            kind,
            attributes,
            links,
            start_time,
            record_exception,
            set_status_on_exception,
        )

    def start_as_current_span(  # noqa: PLR0917 # pyright: ignore[reportIncompatibleMethodOverride] -- OpenTelemetry's is made by a private decorator
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: FBT001, FBT002 -- OpenTelemetry's signature
        set_status_on_exception: bool = True,  # noqa: FBT001, FBT002 -- OpenTelemetry's signature
        end_on_exit: bool = True,  # noqa: FBT001, FBT002 -- OpenTelemetry's signature
    ) -> AbstractContextManager[Span]:
        context, links = _own_root(context, kind, links)
        return self._tracer.start_as_current_span(
            name,
            context,
            kind,
            attributes,
            links,
            start_time,
            record_exception,
            set_status_on_exception,
            end_on_exit,
        )


def _own_root(
    context: Context | None, kind: SpanKind, links: Sequence[Link] | None
) -> tuple[Context | None, Sequence[Link] | None]:
    if kind is not SpanKind.SERVER:
        return context, links
    parent = trace.get_current_span(context).get_span_context()
    if not parent.is_valid or not parent.is_remote:
        return context, links
    rootless = trace.set_span_in_context(trace.INVALID_SPAN, context)
    return rootless, [*(links or ()), Link(parent)]
