import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, HTTPException, Query, Request, Response  # noqa: TID251 -- as services do
from fastapi.responses import PlainTextResponse
from httpx2 import ASGITransport, AsyncClient
from pydantic import BaseModel, Field
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_baseline import (
    ConfigurationError,
    ConflictError,
    FieldError,
    Settings,
    __version__,
    create_app,
)
from fastapi_baseline.testing import running

SETTINGS = Settings(service_name="shop", cors_origins=("https://a.example",))
FROM_A = {"Origin": "https://a.example"}


class Order(BaseModel):
    customer_id: str = Field(alias="customerID", min_length=2)
    count: int = 1


def _app(**options: Any) -> FastAPI:
    app = create_app(SETTINGS, configure_logging=False, **options)

    @app.post("/orders")
    async def place_order(order: Order) -> None:
        taken = FieldError(path=("customer_id",), detail="is taken", code="unique")
        raise ConflictError(fields=[taken])

    @app.get("/orders")
    async def list_orders(limit: Annotated[int, Query(le=100)] = 20) -> int:
        return limit

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("the password is hunter2")

    @app.get("/status/{status}")
    async def answer(status: int) -> None:
        raise HTTPException(status, {"any": "thing"} if status == 418 else None, {"X-Why": "so"})

    return app


def _client(app: ASGIApp) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url="http://test")


async def test_makes_a_problem_of_every_error() -> None:
    async with _client(_app()) as client:
        answers = [
            await client.get("/nothing"),
            await client.delete("/orders"),
            await client.post("/orders", json={}),
            await client.post("/orders", json={"customerID": "C1"}),
            await client.get("/crash"),
        ]

    assert [answer.status_code for answer in answers] == [404, 405, 422, 409, 500]
    for answer in answers:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem.keys() >= {"type", "title", "status", "detail", "instance", "code"}
        assert problem["status"] == answer.status_code
        assert problem["request_id"] == answer.headers["x-request-id"]


async def test_keeps_the_headers_of_an_error() -> None:
    async with _client(_app()) as client:
        not_allowed = await client.delete("/orders")
        custom = await client.get("/status/418")

    assert not_allowed.headers["allow"] == "POST, GET"
    assert custom.headers["x-why"] == "so"
    assert custom.json()["detail"] == "I'm a Teapot"


async def test_sends_no_body_where_there_may_be_none() -> None:
    async with _client(_app()) as client:
        answer = await client.get("/status/304")

    assert (answer.status_code, answer.content) == (304, b"")


async def test_keeps_all_headers_on_an_error_that_nobody_foresaw() -> None:
    async with _client(_app()) as client:
        answer = await client.get("/crash", headers=FROM_A)

    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert "hunter2" not in answer.text


async def test_answers_a_preflight_with_the_identifier() -> None:
    async with _client(_app()) as client:
        answer = await client.options(
            "/orders", headers={**FROM_A, "Access-Control-Request-Method": "POST"}
        )

    assert answer.status_code == 200
    assert "x-request-id" in answer.headers


async def test_points_at_each_field_that_is_wrong() -> None:
    async with _client(_app()) as client:
        body = await client.post("/orders", json={"customerID": "x", "count": "many"})
        query = await client.get("/orders?limit=1000")

    assert [(e["in"], e["pointer"], e["code"]) for e in body.json()["errors"]] == [
        ("body", "#/customerID", "string_too_short"),
        ("body", "#/count", "int_parsing"),
    ]
    assert [(e["in"], e["pointer"]) for e in query.json()["errors"]] == [("query", "#/limit")]


async def test_names_a_field_of_the_code_as_it_is_called_on_the_wire() -> None:
    async with _client(_app()) as client:
        answer = await client.post("/orders", json={"customerID": "C1"})

    assert answer.json()["errors"][0]["pointer"] == "#/customerID"


async def test_answers_400_to_what_does_not_validate_if_told() -> None:
    async with _client(_app(validation_status=400)) as client:
        answer = await client.post("/orders", json={})

    assert answer.status_code == answer.json()["status"] == 400
    assert answer.json()["code"] == "validation_failed"


async def test_documents_problems_for_every_operation() -> None:
    async with _client(_app()) as client:
        document = (await client.get("/openapi.json")).json()

    responses = document["paths"]["/orders"]["post"]["responses"]
    assert responses["default"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }
    assert "422" not in responses
    assert document["components"]["schemas"]["Problem"]["properties"].keys() >= {"code", "errors"}
    assert document["components"]["schemas"]["ProblemField"]["properties"].keys() >= {"in"}


async def test_lets_a_service_decide_about_errors_that_nobody_foresaw() -> None:
    app = _app()

    @app.exception_handler(Exception)
    async def own(request: Request, error: Exception) -> Response:
        return PlainTextResponse("sorry", status_code=500)

    async with _client(app) as client:
        answer = await client.get("/crash", headers=FROM_A)

    assert answer.text == "sorry"
    assert answer.headers["access-control-allow-origin"] == "https://a.example"


async def test_asks_a_handler_that_is_no_coroutine_too() -> None:
    app = _app()

    @app.exception_handler(500)
    def own(request: Request, error: Exception) -> Response:
        return PlainTextResponse("sorry", status_code=500)

    async with _client(app) as client:
        assert (await client.get("/crash")).text == "sorry"


async def test_puts_middleware_of_the_service_inside_of_the_layers() -> None:
    class Failing:
        def __init__(self, app: ASGIApp) -> None:
            self._app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            raise RuntimeError

    async with _client(_app(middleware=[Middleware(Failing)])) as client:
        answer = await client.get("/orders", headers=FROM_A)

    assert answer.json()["code"] == "internal_error"
    assert "access-control-allow-origin" in answer.headers


async def test_enters_the_lifespan_of_the_service_and_keeps_its_state() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, str]]:
        events.append("start")
        yield {"greeting": "hello"}
        events.append("stop")

    app = _app(lifespan=lifespan)

    @app.get("/greeting")
    async def greet(request: Request) -> str:
        return request.state.greeting

    async with running(app) as client:
        assert (await client.get("/greeting")).json() == "hello"
    assert events == ["start", "stop"]


async def test_serves_the_domains_of_the_package_that_its_settings_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = tmp_path / "bakery" / "domains" / "rolls"
    domain.mkdir(parents=True)
    for folder in (domain, domain.parent, domain.parent.parent):
        (folder / "__init__.py").touch()
    (domain / "router.py").write_text(
        "from fastapi import APIRouter\n"
        "router = APIRouter()\n"
        "@router.get('/rolls')\n"
        "async def list_rolls() -> list[str]:\n"
        "    return ['rye']\n"
    )
    (tmp_path / "bakery" / "settings.py").write_text(
        "from fastapi_baseline import Settings as BaselineSettings\n"
        "class Settings(BaselineSettings): ...\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    settings = __import__("bakery.settings").settings.Settings()

    async with _client(create_app(settings, configure_logging=False)) as client:
        assert (await client.get("/rolls")).json() == ["rye"]


def test_takes_its_title_from_the_settings_unless_told() -> None:
    assert _app().title == "shop"
    assert _app(title="Shop").title == "Shop"


def test_takes_its_version_from_the_distribution() -> None:
    app = create_app(Settings(), package="fastapi_baseline", configure_logging=False)

    assert app.version == __version__


def test_refuses_settings_that_contradict_each_other() -> None:
    settings = Settings.model_validate({"cors_origins": ["*"], "cors": {"allow_credentials": True}})

    with pytest.raises(ConfigurationError, match="CORS_ORIGINS"):
        create_app(settings)
