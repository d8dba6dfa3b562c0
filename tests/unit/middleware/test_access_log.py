import logging
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import ASGITransport, AsyncClient
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline.middleware import AccessLogMiddleware
from fastapi_baseline.middleware.access_log import route_of


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="fastapi_baseline.access")
    return caplog


def _lines(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(line)["fields"] for line in log.records if line.name == "fastapi_baseline.access"]


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    router = APIRouter(prefix="/orders")

    @router.get("/{number}")
    async def get_order(number: int) -> str:
        return "ordered"

    app.include_router(router, prefix="/v1")
    app.add_middleware(AccessLogMiddleware, silent_paths={"/livez", "/v1/orders/2"})
    return app


async def test_says_what_was_asked_and_answered(
    app: FastAPI, log: pytest.LogCaptureFixture
) -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        await client.get("/v1/orders/1?token=hunter2")

    fields = _lines(log)[0]
    assert fields["method"] == "GET"
    assert fields["path"] == "/v1/orders/1"
    assert fields["route"] == "/v1/orders/{number}"
    assert fields["status"] == 200
    assert fields["response_bytes"] == len('"ordered"')
    assert fields["duration_ms"] >= 0
    assert "hunter2" not in str(fields)


async def test_has_no_route_for_what_no_route_answered(
    app: FastAPI, log: pytest.LogCaptureFixture
) -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        await client.get("/nothing")

    assert _lines(log)[0]["route"] is None


async def test_is_silent_about_probes_that_succeed(
    app: FastAPI, log: pytest.LogCaptureFixture
) -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        await client.get("/v1/orders/2")

    assert _lines(log) == []


async def test_is_loud_about_probes_that_fail(app: FastAPI, log: pytest.LogCaptureFixture) -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        await client.get("/livez")

    assert _lines(log)[0]["status"] == 404


async def test_notes_a_client_that_left_before_the_response(
    log: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConnectionResetError

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    with pytest.raises(ConnectionResetError):
        await AccessLogMiddleware(app)(
            {"type": "http", "method": "GET", "path": "/x", "client": None}, receive, send
        )

    assert _lines(log)[0]["status"] == 499


async def test_passes_other_scopes_through(log: pytest.LogCaptureFixture) -> None:
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["type"])

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    await AccessLogMiddleware(app)({"type": "lifespan"}, receive, send)

    assert reached == ["lifespan"]
    assert _lines(log) == []


def test_falls_back_to_the_route_itself() -> None:
    class Route:
        path_format = "/plain/{x}"

    assert route_of({"type": "http", "route": Route()}) == "/plain/{x}"
