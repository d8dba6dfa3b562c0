"""Spans without the secrets in them."""

from collections.abc import Mapping, Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status
from opentelemetry.util.types import Attributes, AttributeValue

from fastapi_baseline.observability.logging.redaction import REDACTED, Redactor
from fastapi_baseline.observability.tracing.redaction import redact_query, redact_url

# They cannot hold a secret, and are most of what a span has.
_HARMLESS = frozenset(
    {
        "code.function.name",
        "db.namespace",
        "db.operation.batch.size",
        "db.operation.name",
        "db.query.summary",
        "db.response.status_code",
        "db.system.name",
        "error.type",
        "exception.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "network.protocol.name",
        "network.protocol.version",
        "server.address",
        "server.port",
        "url.scheme",
    }
)
_URLS = frozenset({"http.target", "http.url", "url.full"})
_OURS = "fastapi_baseline."


class RedactingSpanExporter(SpanExporter):
    """Takes secrets out of spans, whoever made them, before they leave the process.

    Attributes whose names are those of secrets lose their values; the queries of URLs, messages of
    exceptions and all other texts lose what looks like one.
    """

    def __init__(self, exporter: SpanExporter, *, redactor: Redactor | None = None) -> None:
        """Pass what is left on to `exporter`."""
        self._exporter = exporter
        self._redactor = redactor or Redactor()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export the spans."""
        return self._exporter.export([self._redact_span(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return whether the exporter holds nothing back any more."""
        return self._exporter.force_flush(timeout_millis)

    def _redact_span(self, span: ReadableSpan) -> ReadableSpan:
        # Once: each time it is another view of them.
        before = span.attributes
        attributes = self._redact_attributes(before, keep=_sanitised_by_us(span))
        events = [self._redact_event(event) for event in span.events]
        description = span.status.description
        status = self._redactor.redact(description) if description else description
        if (
            attributes is before
            and status == description
            and all(new is old for new, old in zip(events, span.events, strict=True))
        ):
            return span
        return ReadableSpan(
            name=span.name,
            context=span.get_span_context(),
            parent=span.parent,
            resource=span.resource,
            attributes=attributes,
            events=events,
            links=span.links,
            kind=span.kind,
            status=Status(span.status.status_code, status),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _redact_event(self, event: Event) -> Event:
        before = event.attributes
        attributes = self._redact_attributes(before, keep=None)
        if attributes is before:
            return event
        return Event(event.name, attributes=attributes, timestamp=event.timestamp)

    def _redact_attributes(self, attributes: Attributes, *, keep: str | None) -> Attributes:
        """Return the same object if there is nothing to take out."""
        changed: dict[str, AttributeValue] = {}
        for name, value in (attributes or {}).items():
            if name in _HARMLESS or name == keep or isinstance(value, bool | int | float):
                continue
            cleaned = self._redact_value(name, value)
            if cleaned != value:
                changed[name] = cleaned
        return {**_plain(attributes), **changed} if changed else attributes

    def _redact_value(self, name: str, value: AttributeValue) -> AttributeValue:
        if isinstance(value, str):
            return self._redact_text(name, value)
        if isinstance(value, Sequence):
            items: list[object] = list(value)
            texts = [item for item in items if isinstance(item, str)]
            if len(texts) == len(items):
                return tuple(self._redact_text(name, text) for text in texts)
        return value

    def _redact_text(self, name: str, text: str) -> str:
        if name == "url.query":
            return redact_query(text, redactor=self._redactor)
        if name in _URLS:
            return redact_url(text, redactor=self._redactor)
        return REDACTED if self._redactor.is_secret(name) else self._redactor.redact(text)


def _sanitised_by_us(span: ReadableSpan) -> str | None:
    """Return the attribute that holds no values any more: `password = $1` hides nothing."""
    scope = span.instrumentation_scope
    return "db.query.text" if scope is not None and scope.name.startswith(_OURS) else None


def _plain(attributes: Attributes) -> Mapping[str, AttributeValue]:
    return attributes or {}
