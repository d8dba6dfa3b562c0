import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.observability.tracing import find_traces_endpoint
from fastapi_baseline.settings import Settings

BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
OWN = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


def _found(endpoint: str | None = None) -> str | None:
    return find_traces_endpoint(Settings(otel_exporter_otlp_endpoint=endpoint))


def test_sends_nothing_anywhere_unless_it_is_told_to() -> None:
    assert _found() is None
    assert _found("  ") is None


@pytest.mark.parametrize("base", ["http://collector:4318", "http://collector:4318/"])
def test_adds_the_path_of_the_signal_to_the_common_endpoint(base: str) -> None:
    assert _found(base) == "http://collector:4318/v1/traces"


def test_takes_the_endpoint_of_the_signal_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OWN, "https://tempo.example/otlp")

    assert _found("http://collector:4318") == "https://tempo.example/otlp"


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_SDK_DISABLED", "True"), ("OTEL_TRACES_EXPORTER", "none")]
)
def test_is_turned_off_by_the_variables_of_the_specification(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert _found("http://collector:4318") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
    ],
)
def test_refuses_what_it_cannot_do(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=name):
        _found("http://collector:4318")


def test_the_protocol_of_the_signal_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")

    assert _found("http://collector:4318") == "http://collector:4318/v1/traces"


@pytest.mark.parametrize(
    "endpoint", ["tempo:4318", "grpc://me:hush@host:4317", "https://", "http://[hush", "http://a:b"]
)
def test_refuses_what_is_no_http_url_without_repeating_it(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match=BASE) as refusal:
        _found(endpoint)

    assert endpoint not in refusal.value.message
    assert "hush" not in refusal.value.message
