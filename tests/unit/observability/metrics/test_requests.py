from collections.abc import Callable
from dataclasses import dataclass

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from fastapi_baseline.observability.metrics import (
    PrometheusMeterProvider,
    RequestMetrics,
    write_metrics,
)

Read = Callable[[], dict[str, float]]
OK = "http_request_method=GET http_response_status_code=200 http_route=/items/{number}"


@dataclass(frozen=True, kw_only=True)
class Exchange:
    method: str = "GET"
    route: str | None = "/items/{number}"
    status: int = 200
    request_bytes: int = 10
    response_bytes: int = 300
    duration_s: float = 0.5


def test_counts_requests_while_they_are_answered(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    requests = RequestMetrics(provider)

    requests.begin("GET")
    requests.begin("POST")
    requests.end(Exchange())

    shown = samples()
    assert shown["http_server_active_requests http_request_method=GET"] == 0
    assert shown["http_server_active_requests http_request_method=POST"] == 1


def test_measures_how_long_requests_took_by_route(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    requests = RequestMetrics(provider)

    requests.end(Exchange(duration_s=0.25))
    requests.end(Exchange(duration_s=0.5))

    shown = samples()
    assert shown[f"http_server_request_duration_seconds_count {OK}"] == 2
    assert shown[f"http_server_request_duration_seconds_sum {OK}"] == 0.75


@pytest.mark.parametrize(
    ("exchange", "labels"),
    [
        (
            Exchange(method="_OTHER", route=None, status=405),
            "http_request_method=_OTHER http_response_status_code=405",
        ),
        (
            Exchange(status=503),
            f"error_type=503 {OK.replace('200', '503')}",
        ),
        (
            Exchange(route=None, status=499),
            "http_request_method=GET http_response_status_code=499",
        ),
    ],
)
def test_says_how_requests_end(
    exchange: Exchange, labels: str, provider: PrometheusMeterProvider, samples: Read
) -> None:
    RequestMetrics(provider).end(exchange)

    assert samples()[f"http_server_request_duration_seconds_count {labels}"] == 1


def test_measures_bodies_if_it_is_asked_to(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    RequestMetrics(provider, body_sizes=True).end(Exchange())

    shown = samples()
    assert shown[f"http_server_request_body_size_bytes_sum {OK}"] == 10
    assert shown[f"http_server_response_body_size_bytes_sum {OK}"] == 300


def test_measures_no_bodies_by_default(provider: PrometheusMeterProvider, samples: Read) -> None:
    RequestMetrics(provider).end(Exchange())

    assert not [name for name in samples() if "body" in name]


def test_points_from_a_duration_to_the_trace() -> None:
    registry = CollectorRegistry()
    requests = RequestMetrics(PrometheusMeterProvider(registry))

    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        requests.end(Exchange())

    shown = write_metrics(registry, is_openmetrics=True).decode()
    assert f'trace_id="{trace.format_trace_id(span.get_span_context().trace_id)}"' in shown
