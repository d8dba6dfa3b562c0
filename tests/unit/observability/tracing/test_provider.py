import sys
from collections.abc import Mapping, Sequence

import pytest
from opentelemetry import propagate
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from fastapi_baseline.errors import MissingExtraError
from fastapi_baseline.observability.tracing import make_tracer_provider
from fastapi_baseline.settings import LogSettings, Settings, TracingSettings

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOT_SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def _make(
    exporter: InMemorySpanExporter, settings: Settings | None = None, *, version: str | None = None
) -> TracerProvider:
    provider = make_tracer_provider(settings or Settings(), version=version, exporter=exporter)
    assert provider is not None
    return provider


def _sampled(provider: TracerProvider, *, count: int = 200, parent: str | None = None) -> int:
    context = propagate.extract({"traceparent": parent} if parent else {})
    tracer = provider.get_tracer("somebody")
    spans = [tracer.start_span("request", context, SpanKind.SERVER) for _ in range(count)]
    return sum(span.get_span_context().trace_flags.sampled for span in spans)


def test_there_is_none_unless_an_endpoint_is_configured() -> None:
    assert make_tracer_provider(Settings()) is None


def test_there_is_one_if_an_endpoint_is_configured() -> None:
    settings = Settings(otel_exporter_otlp_endpoint="http://127.0.0.1:9")

    provider = make_tracer_provider(settings)

    assert provider is not None
    provider.shutdown()


def test_says_which_service_it_is(exporter: InMemorySpanExporter) -> None:
    settings = Settings(service_name="shop", environment="staging")

    resource = _make(exporter, settings, version="1.2.3").resource.attributes or {}

    assert resource["service.name"] == "shop"
    assert resource["service.version"] == "1.2.3"
    assert resource["deployment.environment.name"] == "staging"
    assert resource["service.instance.id"]


def test_the_variables_of_the_specification_count_more(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "other")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=9,team=blue")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")

    provider = _make(exporter, Settings(service_name="shop"), version="1.2.3")

    resource = provider.resource.attributes or {}
    assert resource["service.name"] == "other"
    assert resource["service.version"] == "9"
    assert resource["team"] == "blue"
    assert _sampled(provider) == 0


def test_samples_all_in_development(exporter: InMemorySpanExporter) -> None:
    assert _sampled(_make(exporter)) == 200


def test_samples_one_of_ten_in_production(exporter: InMemorySpanExporter) -> None:
    provider = _make(exporter, Settings(environment="production"))

    assert 0 < _sampled(provider, count=2_000) < 1_000


@pytest.mark.parametrize(("ratio", "share"), [(0.0, 0), (1.0, 200)])
def test_samples_what_it_is_told_to(
    exporter: InMemorySpanExporter, ratio: float, share: int
) -> None:
    settings = Settings(tracing=TracingSettings(sample_ratio=ratio))

    assert _sampled(_make(exporter, settings)) == share


@pytest.mark.parametrize(("parent", "share"), [(SAMPLED, 200), (NOT_SAMPLED, 0)])
def test_follows_the_decision_of_a_caller_that_it_trusts(
    exporter: InMemorySpanExporter, parent: str, share: int
) -> None:
    settings = Settings(tracing=TracingSettings(sample_ratio=0.5))

    assert _sampled(_make(exporter, settings), parent=parent) == share


@pytest.mark.parametrize("parent", [SAMPLED, NOT_SAMPLED])
def test_decides_itself_if_it_trusts_no_caller(exporter: InMemorySpanExporter, parent: str) -> None:
    settings = Settings(tracing=TracingSettings(sample_ratio=0.5, trust_parent=False))

    assert 0 < _sampled(_make(exporter, settings), count=1_000, parent=parent) < 1_000


def test_takes_out_what_the_settings_say_must_not_be_logged(exporter: InMemorySpanExporter) -> None:
    provider = _make(exporter, Settings(log=LogSettings(redact=("diagnosis",))))

    provider.get_tracer("somebody").start_span("x", attributes={"diagnosis": "flu"}).end()
    provider.force_flush()

    (span,) = exporter.get_finished_spans()
    assert (span.attributes or {})["diagnosis"] == "[redacted]"


def test_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    settings = Settings(otel_exporter_otlp_endpoint="http://127.0.0.1:9")

    with pytest.raises(MissingExtraError, match=r"fastapi-baseline\[otlp\]"):
        make_tracer_provider(settings)


class _Batches(InMemorySpanExporter):
    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.sizes.append(len(spans))
        return super().export(spans)


@pytest.mark.parametrize(
    ("variables", "largest"), [({}, 64), ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "7"}, 7)]
)
def test_sends_few_spans_at_a_time_unless_told_otherwise(
    variables: Mapping[str, str], largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    batches = _Batches()
    provider = _make(batches)

    _end_all(provider, 150)

    assert sum(batches.sizes) == 150
    assert max(batches.sizes) == largest


def test_takes_a_queue_that_is_shorter_than_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "32")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")
    batches = _Batches()

    _end_all(_make(batches), 10)

    assert batches.sizes == [10]


def _end_all(provider: TracerProvider, count: int) -> None:
    tracer = provider.get_tracer("somebody")
    for _ in range(count):
        tracer.start_span("request").end()
    provider.force_flush()
    provider.shutdown()
