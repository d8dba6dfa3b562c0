import json
import logging
import random
import re
from collections.abc import Iterator, MutableMapping
from functools import partial
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel
from starlette.types import Scope

from fastapi_baseline import Settings, create_app
from fastapi_baseline.middleware import AccessLogMiddleware, RequestObserver, Stack
from fastapi_baseline.observability import JsonFormatter
from fastapi_baseline.observability.metrics import (
    PrometheusMeterProvider,
    RequestMetrics,
    write_metrics,
)

REQUESTS = 10_000
# What a terminal and a collector of lines read as text, and as nothing else.
PRINTABLE = re.compile(r"[\x20-\x7e]+")
METHODS = {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
TEMPLATES = {
    "/v1/items",
    "/v1/items/{number}",
    "/mounted/thing/{name}",
    "/mounted/{path}",  # Whatever a mounted application does not know.
    "/numbered/{number}/thing/{name}",
    "/numbered/{number}/{path}",
    "/docs",
    "/openapi.json",
}


class Item(BaseModel):
    """What is posted."""

    name: str


class Randomness:
    """Requests as an attacker would make them, the same in every run."""

    def __init__(self) -> None:
        self._random = random.Random(20_261_121)  # noqa: S311 -- reproducible, and no secret

    def _bytes(self, most: int) -> bytes:
        return self._random.randbytes(self._random.randrange(most))

    def _text(self, most: int) -> str:
        points = (self._random.randrange(0x20, 0x2FFF) for _ in range(self._random.randrange(most)))
        return "".join(map(chr, points))

    def _path(self) -> str:
        return self._random.choice(
            [
                f"/{self._text(30)}",
                f"/v1/items/{self._random.randrange(10**12)}",
                f"/v1/items/{self._text(10)}",
                "/v1/items",
                f"/mounted/thing/{self._text(10)}",
                f"/mounted/{self._text(10)}",
                f"/numbered/{self._random.randrange(10**12):020}/thing/{self._text(10)}",
                "/docs",
                "/openapi.json",
            ]
        )

    def _method(self) -> str:
        return self._random.choice(
            [*sorted(METHODS), self._text(12), self._text(12).upper(), "get", "GET\n"]
        )

    def scope(self) -> Scope:
        path = self._path()
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": self._random.choice(["1.0", "1.1", "2", self._text(5)]),
            "method": self._method(),
            "scheme": self._random.choice(["http", "https"]),
            "path": path,
            "raw_path": path.encode("utf-8", "replace"),
            "root_path": "",
            "query_string": quote_from_bytes(self._bytes(40)).encode(),
            "headers": [
                (b"host", self._bytes(20)),
                (b"content-type", self._random.choice([b"application/json", self._bytes(20)])),
                (b"user-agent", self._bytes(40)),
                (self._bytes(10).lower(), self._bytes(40)),
            ],
            "client": (self._text(10), 1),
            "server": ("test", 80),
        }

    def body(self) -> bytes:
        return self._random.choice([b"", b'{"name":"a"}', self._bytes(200)])


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def _measured_by(observer: RequestObserver, layers: Stack) -> Stack:
    """Return the layers, of which one measures into a registry of this test."""
    for layer in layers:
        if layer.cls is AccessLogMiddleware:
            layer.kwargs["observer"] = observer
    return layers


@pytest.fixture
def app(registry: CollectorRegistry) -> FastAPI:
    app = create_app(
        Settings(environment="test"),
        configure_logging=False,
        stack=partial(_measured_by, RequestMetrics(PrometheusMeterProvider(registry))),
    )
    router = APIRouter(prefix="/v1")
    mounted = FastAPI(openapi_url=None)

    @router.get("/items/{number}")
    async def show_item(number: int) -> int:
        return number

    @router.post("/items", status_code=201)
    async def add_item(item: Item) -> Item:
        return item

    @mounted.get("/thing/{name}")
    async def show_thing(name: str) -> str:
        return name

    app.include_router(router)
    app.mount("/mounted", mounted)
    app.mount("/numbered/{number:int}", mounted)
    return app


class Lines(logging.Handler):
    """Keeps the lines as they would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    handler = Lines()
    logger = logging.getLogger("fastapi_baseline")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler.kept
    logger.removeHandler(handler)
    logger.setLevel(before)


async def _send(app: FastAPI, scope: Scope, body: bytes) -> int:
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


async def test_random_requests_make_no_series_outside_of_the_closed_set_and_no_line_of_their_own(
    app: FastAPI, registry: CollectorRegistry, lines: list[str]
) -> None:
    randomness = Randomness()

    statuses = {await _send(app, randomness.scope(), randomness.body()) for _ in range(REQUESTS)}

    assert max(statuses) < 500
    assert len(lines) >= REQUESTS
    assert not [line for line in lines if not PRINTABLE.fullmatch(line)]
    assert all(isinstance(json.loads(line), dict) for line in lines)
    samples = [
        sample
        for family in text_string_to_metric_families(write_metrics(registry).decode())
        for sample in family.samples
    ]
    counted = [s for s in samples if s.name == "http_server_request_duration_seconds_count"]
    assert sum(sample.value for sample in counted) == REQUESTS
    assert {sample.labels.get("http_request_method") for sample in samples} == {*METHODS, "_OTHER"}
    assert {sample.labels["http_route"] for sample in samples if "http_route" in sample.labels} == (
        TEMPLATES
    )
    assert {s.labels.get("http_response_status_code") for s in counted} == set(map(str, statuses))
    assert {name for sample in samples for name in sample.labels} == {
        "http_request_method",
        "http_response_status_code",
        "http_route",
        "le",
    }
    assert "baseline_metrics_dropped_total" not in {sample.name for sample in samples}
