"""Which spans are kept, what they say of the service, and where they go."""

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME, SERVICE_VERSION

from fastapi_baseline._extras import optional
from fastapi_baseline.observability.logging.redaction import Redactor
from fastapi_baseline.observability.tracing.destination import (
    find_traces_endpoint,
    variable_of_sdk,
)
from fastapi_baseline.observability.tracing.span_redaction import RedactingSpanExporter
from fastapi_baseline.observability.tracing.untrusted import UntrustingTracerProvider
from fastapi_baseline.settings import Settings

# To encode a batch holds up requests. The SDK's 512 take long enough to be seen in their latency.
_SPANS_IN_A_BATCH = 64
_ENVIRONMENT = "deployment.environment.name"


def make_tracer_provider(
    settings: Settings, *, version: str | None = None, exporter: SpanExporter | None = None
) -> TracerProvider | None:
    """Return what makes the tracers of a service, or `None` if its traces go nowhere.

    They go to `exporter`, or over OTLP/HTTP to the endpoint of the settings, in batches, by a
    thread; a batch has at most 64 spans, unless the environment bounds batches or the queue. The
    variables of OpenTelemetry's specification count more than the settings: `OTEL_SERVICE_NAME`,
    `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`, `OTEL_EXPORTER_OTLP_HEADERS`
    and the like. It is not made the global provider, and not flushed at the end of the process: see
    `make_tracing_lifespan`.

    Raises:
        ConfigurationError: If the endpoint cannot be used, or the extra `otlp` is missing.
    """
    if exporter is None:
        endpoint = find_traces_endpoint(settings)
        if endpoint is None:
            return None
        exporter = _make_otlp_exporter(endpoint)
    kind = TracerProvider if settings.tracing.trust_parent else UntrustingTracerProvider
    provider = kind(
        sampler=_find_sampler(settings),
        resource=_make_resource(settings, version),
        shutdown_on_exit=False,
    )
    redactor = Redactor(settings.log.redact)
    provider.add_span_processor(
        BatchSpanProcessor(
            RedactingSpanExporter(exporter, redactor=redactor),
            max_export_batch_size=_find_batch_size(),
        )
    )
    return provider


def _find_batch_size() -> int | None:
    """Return `None` if the SDK is to read its own variables, one of which bounds the other."""
    names = ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_MAX_QUEUE_SIZE")
    return None if any(map(variable_of_sdk, names)) else _SPANS_IN_A_BATCH


def _make_otlp_exporter(endpoint: str) -> SpanExporter:
    # Only a service that sends traces pays for the import.
    with optional("opentelemetry", extra="otlp"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
    return OTLPSpanExporter(endpoint=endpoint)


def _find_sampler(settings: Settings) -> Sampler | None:
    """Return `None` if the SDK is to read its own variables."""
    if variable_of_sdk("OTEL_TRACES_SAMPLER") is not None:
        return None
    ratio = settings.trace_ratio
    return ParentBased(ALWAYS_ON if ratio >= 1 else TraceIdRatioBased(ratio))


def _make_resource(settings: Settings, version: str | None) -> Resource:
    attributes = {SERVICE_NAME: settings.service_name, _ENVIRONMENT: settings.environment}
    if version is not None:
        attributes[SERVICE_VERSION] = version
    # The environment once more, since what is passed to `create` wins over it.
    return Resource.create(attributes).merge(OTELResourceDetector().detect())
