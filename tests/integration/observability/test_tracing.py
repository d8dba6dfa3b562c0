"""Traces as they arrive at a collector, which reads them as the official protobuf."""

import gzip
import json
import logging
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from google.protobuf.json_format import MessageToDict
from httpx2 import ASGITransport, AsyncClient, get
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from sqlalchemy import text

from fastapi_baseline import Settings, create_app
from fastapi_baseline.observability import JsonFormatter
from fastapi_baseline.observability.http_client import instrument_http_client
from fastapi_baseline.observability.sqlalchemy import instrument_engine
from fastapi_baseline.observability.tracing import make_tracer_provider
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings import TracingSettings
from fastapi_baseline.testing import running, uvicorn_server

CALLERS_TRACE = "0af7651916cd43dd8448eb211c80319c"
SERVER, CLIENT = 2, 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedSpan:
    """A span as it came over the wire; identifiers are in hexadecimal."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    linked_to: list[str]
    attributes: dict[str, Any]
    resource: dict[str, Any]
    is_error: bool


class Receiver:
    """What was received, and where to send it to."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.paths: list[str] = []
        self.content_types: list[str] = []
        self._spans: list[ReceivedSpan] = []
        self._lock = threading.Lock()

    def take(self, path: str, content_type: str, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        spans = [
            _read(span, _values(resource.resource.attributes))
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self.paths.append(path)
            self.content_types.append(content_type)
            self._spans.extend(spans)

    @property
    def spans(self) -> list[ReceivedSpan]:
        with self._lock:
            return list(self._spans)

    def named(self, name: str) -> ReceivedSpan:
        (span,) = [span for span in self.spans if span.name == name]
        return span


@pytest.fixture
def receiver() -> Generator[Receiver]:
    """Give a collector that listens on the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.take(self.path, self.headers["Content-Type"], body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- its name
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _read(span: Any, resource: dict[str, Any]) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        linked_to=[link.trace_id.hex() for link in span.links],
        attributes=_values(span.attributes),
        resource=resource,
        is_error=span.status.code == 2,
    )


def _values(attributes: Any) -> dict[str, Any]:
    """Return what has one value each as Python has it."""
    return {
        attribute.key: next(iter(MessageToDict(attribute.value).values()), "")
        for attribute in attributes
    }


class Lines(logging.Handler):
    """Keeps what is logged, as the lines that it would be written as."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def lines() -> Generator[list[dict[str, Any]]]:
    handler = Lines()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.lines
    logger.removeHandler(handler)


def make_service(receiver: Receiver, folder: Path, **tracing: Any) -> FastAPI:
    """Return a service with a database, which calls itself."""
    settings = Settings(
        service_name="shop",
        environment="test",
        otel_exporter_otlp_endpoint=receiver.endpoint,
        tracing=TracingSettings(**tracing),
    )
    provider = make_tracer_provider(settings, version="1.2.3")
    assert provider is not None
    database = Database(f"sqlite:///{folder / 'test.db'}")
    for engine in database.engines.values():
        instrument_engine(engine, tracer_provider=provider)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        yield
        await database.dispose()

    app = create_app(settings, configure_logging=False, lifespan=lifespan, tracer_provider=provider)

    @app.get("/items/{number}")
    async def read_item(number: int) -> str:
        logger.info("Reading")
        async with database.read_transaction() as session:
            await session.execute(text("SELECT :number").columns(), {"number": number})
        return "an item"

    @app.get("/orders")
    async def read_orders() -> str:
        async with connected(app) as client:
            instrument_http_client(client, tracer_provider=provider)
            response = await client.get("/items/7?token=hush")
        return response.headers["x-request-id"]

    return app


def connected(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url="http://shop.test")


async def test_the_spans_of_a_request_arrive_as_one_trace(
    receiver: Receiver, tmp_path: Path
) -> None:
    app = make_service(receiver, tmp_path)

    async with running(app), connected(app) as client:
        await client.get("/items/7")

    request, query = receiver.named("GET /items/{number}"), receiver.named("SELECT")
    assert set(receiver.paths) == {"/v1/traces"}
    assert set(receiver.content_types) == {"application/x-protobuf"}
    assert (request.kind, query.kind) == (SERVER, CLIENT)
    assert request.attributes["http.route"] == "/items/{number}"
    assert (query.trace_id, query.parent_id) == (request.trace_id, request.span_id)
    assert query.attributes["db.query.text"] == "SELECT ?"
    assert request.resource["service.name"] == "shop"
    assert request.resource["service.version"] == "1.2.3"
    assert request.resource["deployment.environment.name"] == "test"


async def test_lines_of_the_log_and_the_response_have_the_identifiers_of_the_span(
    receiver: Receiver, tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    app = make_service(receiver, tmp_path)

    async with running(app), connected(app) as client:
        response = await client.get("/items/7")

    request = receiver.named("GET /items/{number}")
    (line,) = lines
    assert line["trace_id"] == request.trace_id
    assert line["span_id"] == request.span_id
    assert line["request_id"] == request.trace_id
    assert response.headers["x-request-id"] == request.trace_id


async def test_a_call_to_another_service_is_a_part_of_the_trace(
    receiver: Receiver, tmp_path: Path
) -> None:
    app = make_service(receiver, tmp_path)

    async with running(app), connected(app) as client:
        response = await client.get("/orders", headers={"X-Request-ID": "an-id-of-the-caller"})

    outer, call = receiver.named("GET /orders"), receiver.named("GET")
    inner = receiver.named("GET /items/{number}")
    assert call.parent_id == outer.span_id
    assert inner.parent_id == call.span_id
    assert {outer.trace_id} == {call.trace_id, inner.trace_id}
    assert response.json() == "an-id-of-the-caller"


async def test_secrets_in_a_url_do_not_leave_the_process(
    receiver: Receiver, tmp_path: Path
) -> None:
    app = make_service(receiver, tmp_path)

    async with running(app), connected(app) as client:
        await client.get("/orders")

    assert "hush" not in repr(receiver.spans)
    assert receiver.named("GET /items/{number}").attributes["url.query"] == "token=[redacted]"


async def test_continues_the_trace_of_a_caller(receiver: Receiver, tmp_path: Path) -> None:
    app = make_service(receiver, tmp_path)
    headers = {"traceparent": f"00-{CALLERS_TRACE}-b7ad6b7169203331-01"}

    async with running(app), connected(app) as client:
        await client.get("/items/7", headers=headers)

    assert {span.trace_id for span in receiver.spans} == {CALLERS_TRACE}


async def test_links_to_the_trace_of_a_caller_that_is_not_trusted(
    receiver: Receiver, tmp_path: Path
) -> None:
    app = make_service(receiver, tmp_path, trust_parent=False)
    headers = {"traceparent": f"00-{CALLERS_TRACE}-b7ad6b7169203331-00"}

    async with running(app), connected(app) as client:
        await client.get("/items/7", headers=headers)

    request, query = receiver.named("GET /items/{number}"), receiver.named("SELECT")
    assert request.trace_id != CALLERS_TRACE
    assert request.linked_to == [CALLERS_TRACE]
    assert query.parent_id == request.span_id


async def test_a_request_that_is_not_sampled_sends_nothing(
    receiver: Receiver, tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    app = make_service(receiver, tmp_path, sample_ratio=0)

    async with running(app), connected(app) as client:
        response = await client.get("/orders")

    assert response.status_code == 200
    assert receiver.spans == []
    assert lines[0]["trace_id"] == response.headers["x-request-id"]


async def test_probes_are_not_traced(receiver: Receiver, tmp_path: Path) -> None:
    app = make_service(receiver, tmp_path)

    async with running(app), connected(app) as client:
        await client.get("/livez")

    assert receiver.spans == []


async def test_an_application_that_is_started_again_traces_again(
    receiver: Receiver, tmp_path: Path
) -> None:
    app = make_service(receiver, tmp_path)

    for _ in range(2):
        async with running(app), connected(app) as client:
            await client.get("/items/7")

    assert [span.name for span in receiver.spans].count("GET /items/{number}") == 2


SERVICE = """
from fastapi_baseline import Settings, create_app
from fastapi_baseline.persistence import ReadTransaction
from opentelemetry import trace
from sqlalchemy import text

tracer = trace.get_tracer(__name__)
app = create_app(Settings.load())


@app.get("/items/{number}")
async def read_item(number: int, session: ReadTransaction) -> str:
    with tracer.start_as_current_span("own"):
        await session.execute(text("SELECT 1").columns())
    return "an item"
"""


def test_the_environment_is_all_that_a_service_needs(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "traced_service.py").write_text(SERVICE, encoding="utf-8")
    env = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=from-the-environment",
    }
    with uvicorn_server("traced_service:app", cwd=tmp_path, ready_path="/livez", env=env) as server:
        answer = get(f"{server.base_url}/items/7")
        server.terminate()

    own, query = receiver.named("own"), receiver.named("SELECT")
    assert answer.headers["x-request-id"] == own.trace_id
    assert query.parent_id == own.span_id
    assert own.parent_id == receiver.named("GET /items/{number}").span_id
    assert own.resource["service.name"] == "from-the-environment"
    lines = [json.loads(line) for line in server.stdout if line.startswith("{")]
    (access,) = [line for line in lines if line["logger"] == "fastapi_baseline.access"]
    assert access["trace_id"] == own.trace_id
    assert access["db_statements"] == 1
