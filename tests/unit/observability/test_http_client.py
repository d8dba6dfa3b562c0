from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import pytest
from httpx2 import AsyncClient, ConnectError, MockTransport, Request, Response
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.observability.http_client import instrument_http_client

DURATION = "http.client.request.duration"
Points = Callable[[str], dict[tuple[object, ...], Any]]
Spans = Callable[[], list[ReadableSpan]]


class Internet:
    """Answers by path, and keeps the headers that it was sent."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []

    async def answer(self, request: Request) -> Response:
        self.seen.append(dict(request.headers))
        if request.url.path == "/away":
            raise ConnectError("https://me:hush@nowhere.example")
        if request.url.path == "/moved":
            return Response(302, headers={"Location": "https://other.example/there"})
        return Response(500 if request.url.path == "/broken" else 200)


@pytest.fixture
def internet() -> Internet:
    return Internet()


@pytest.fixture
async def client(internet: Internet) -> AsyncGenerator[AsyncClient]:
    transport = MockTransport(internet.answer)
    async with AsyncClient(transport=transport, follow_redirects=True) as client:
        yield client


@pytest.fixture
def answered_request() -> Generator[RequestContext]:
    request = RequestContext(request_id="an-id-for-tests")
    token = request_context.set(request)
    yield request
    request_context.reset(token)


async def test_measures_requests(
    client: AsyncClient, meter_provider: MeterProvider, points: Points
) -> None:
    instrument_http_client(client, meter_provider=meter_provider)

    await client.get("https://api.example/a")
    await client.get("https://api.example/b?c=d")
    await client.post("https://api.example/broken")

    assert points(DURATION) == {
        (200, "GET", "api.example"): 2,
        (500, "500", "POST", "api.example"): 1,
    }


async def test_makes_a_span_without_secrets_inside_of_one_that_is_recording(
    client: AsyncClient, tracer_provider: TracerProvider, spans: Spans
) -> None:
    instrument_http_client(client, tracer_provider=tracer_provider)

    with tracer_provider.get_tracer("test").start_as_current_span("request") as request:
        await client.get("https://me:hush@api.example/a?token=hush&page=2")

    (span,) = spans()
    assert span.name == "GET"
    assert span.kind is SpanKind.CLIENT
    assert span.parent == request.get_span_context()
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "api.example",
        "server.port": 443,
        "url.full": "https://[redacted]@api.example/a?token=[redacted]&page=2",
    }


async def test_passes_its_span_on_as_the_parent(
    client: AsyncClient, internet: Internet, tracer_provider: TracerProvider, spans: Spans
) -> None:
    instrument_http_client(client, tracer_provider=tracer_provider)

    with tracer_provider.get_tracer("test").start_as_current_span("request"):
        await client.get("https://api.example/a")

    context = spans()[0].get_span_context()
    assert context is not None
    assert internet.seen[0]["traceparent"] == (
        f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    )


async def test_passes_the_trace_on_if_it_is_not_sampled(
    client: AsyncClient, internet: Internet, tracer_provider: TracerProvider, spans: Spans
) -> None:
    instrument_http_client(client, tracer_provider=tracer_provider)
    unsampled = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("test")

    with unsampled.start_as_current_span("request") as request:
        await client.get("https://api.example/a")

    context = request.get_span_context()
    assert spans() == []
    assert internet.seen[0]["traceparent"].startswith(f"00-{context.trace_id:032x}-")
    assert not int(internet.seen[0]["traceparent"][-2:], 16) & 1


async def test_passes_the_identifier_of_the_request_on(
    client: AsyncClient, internet: Internet, answered_request: RequestContext
) -> None:
    instrument_http_client(client)

    await client.get("https://api.example/a")
    await client.get("https://api.example/a", headers={"X-Request-ID": "one-of-its-own"})

    identifiers = [headers["x-request-id"] for headers in internet.seen]
    assert identifiers == [answered_request.request_id, "one-of-its-own"]


async def test_adds_nothing_outside_of_a_request(client: AsyncClient, internet: Internet) -> None:
    instrument_http_client(client)

    await client.get("https://api.example/a")

    assert "x-request-id" not in internet.seen[0]
    assert "traceparent" not in internet.seen[0]


@pytest.mark.parametrize(
    ("host", "is_told"),
    [
        ("api.example", True),
        ("API.example", True),
        ("a.b.internal", True),
        ("internal", False),
        ("evil.example", False),
        ("notinternal", False),
        ("api.example.evil", False),
    ],
)
async def test_tells_only_the_hosts_that_it_may(
    client: AsyncClient,
    internet: Internet,
    answered_request: RequestContext,
    host: str,
    is_told: bool,
) -> None:
    instrument_http_client(client, propagate_to=["api.example", "*.Internal"])

    await client.get(f"https://{host}/a")

    assert ("x-request-id" in internet.seen[0]) is is_told


async def test_each_redirect_is_a_request_of_its_own(
    client: AsyncClient,
    internet: Internet,
    answered_request: RequestContext,
    tracer_provider: TracerProvider,
    spans: Spans,
) -> None:
    instrument_http_client(client, propagate_to=["api.example"], tracer_provider=tracer_provider)

    with tracer_provider.get_tracer("test").start_as_current_span("request"):
        await client.get("https://api.example/moved")

    assert [(span.attributes or {})["server.address"] for span in spans()] == [
        "api.example",
        "other.example",
    ]
    assert "traceparent" in internet.seen[0]
    assert "traceparent" not in internet.seen[1]
    assert "x-request-id" not in internet.seen[1]


async def test_says_that_a_request_failed_without_what_was_in_it(
    client: AsyncClient,
    meter_provider: MeterProvider,
    tracer_provider: TracerProvider,
    points: Points,
    spans: Spans,
) -> None:
    instrument_http_client(client, meter_provider=meter_provider, tracer_provider=tracer_provider)

    tracer = tracer_provider.get_tracer("test")
    with tracer.start_as_current_span("request"), pytest.raises(ConnectError):
        await client.get("https://api.example/away")

    assert points(DURATION) == {("ConnectError", "GET", "api.example"): 1}
    assert spans()[0].status.status_code is StatusCode.ERROR
    assert "hush" not in spans()[0].to_json()


async def test_an_answer_with_an_error_is_one(
    client: AsyncClient, tracer_provider: TracerProvider, spans: Spans
) -> None:
    instrument_http_client(client, tracer_provider=tracer_provider)

    with tracer_provider.get_tracer("test").start_as_current_span("request"):
        await client.get("https://api.example/broken")

    assert spans()[0].status.status_code is StatusCode.ERROR
    assert (spans()[0].attributes or {})["error.type"] == "500"


async def test_hosts_and_methods_from_data_make_no_end_of_series(
    client: AsyncClient, meter_provider: MeterProvider, points: Points
) -> None:
    instrument_http_client(client, meter_provider=meter_provider)

    for number in range(60):
        await client.get(f"https://hook-{number}.example/")
    for number in range(10):
        await client.request(f"METHOD{number}", "https://hook-0.example/")

    series = points(DURATION)
    assert len(series) == 52
    assert series[200, "GET", "_OTHER"] == 10
    assert series[200, "_OTHER", "hook-0.example"] == 10


async def test_counts_nothing_twice(
    client: AsyncClient, meter_provider: MeterProvider, points: Points
) -> None:
    for _ in range(2):
        instrument_http_client(client, meter_provider=meter_provider)

    await client.get("https://api.example/a")

    assert points(DURATION) == {(200, "GET", "api.example"): 1}


async def test_measures_the_transports_of_single_hosts_too(
    internet: Internet, meter_provider: MeterProvider, points: Points
) -> None:
    mounts = {"all://api.example": MockTransport(internet.answer), "all://direct.example": None}
    async with AsyncClient(mounts=mounts) as client:
        instrument_http_client(client, meter_provider=meter_provider)
        await client.get("https://api.example/a")

    assert points(DURATION) == {(200, "GET", "api.example"): 1}


def test_refuses_what_is_no_such_client() -> None:
    stranger: Any = object()

    with pytest.raises(TypeError, match="object is no AsyncClient"):
        instrument_http_client(stranger)
