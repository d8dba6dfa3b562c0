import importlib
import inspect
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeGuard

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, SecretStr
from starlette.middleware import Middleware
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline import ConflictError, Settings, context, create_app
from fastapi_baseline.app.parts import INTERNAL_PATHS
from fastapi_baseline.middleware import SecurityHeadersMiddleware, TrustedProxiesMiddleware
from fastapi_baseline.observability import JsonFormatter
from fastapi_baseline.settings import (
    LogSettings,
    ManagementSettings,
    SecurityHeadersSettings,
    TracingSettings,
)
from fastapi_baseline.testing import running

DOCS = Path(__file__).parents[2] / "docs"
NO_TIME = timedelta(microseconds=1)
TOKEN = "a token that is long enough for the test"
# Those whose `__all__` is what others may use; the data layer has a test of its own.
PACKAGES = (
    "app",
    "caching",
    "caching.compat",
    "documentation",
    "health",
    "idempotency",
    "lifecycle",
    "middleware",
    "observability.logging",
    "observability.metrics",
    "observability.sqlalchemy",
    "observability.tracing",
    "rate_limiting",
    "redis",
    "settings",
)


def page(path: str) -> str:
    return (DOCS / path).read_text(encoding="utf-8")


def first_cells(text: str) -> list[str]:
    """Return the names in the first cells of all tables."""
    cells = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
    return [
        name.rpartition(".")[2] if name.startswith("~") else name
        for cell in cells
        for name in re.findall(r"`([^`]+)`", cell)
    ]


def with_everything() -> FastAPI:
    # Its layer is there for services that cache something.
    importlib.import_module("fastapi_baseline.caching")
    settings = Settings(
        environment="test",
        cors_origins=("https://shop.example",),
        trusted_hosts=("testserver",),
    )
    return create_app(settings, configure_logging=False)


def name_of(layer: Middleware) -> str:
    return getattr(layer.cls, "__name__", "")


def test_the_stack_has_the_layers_and_the_order_of_its_page() -> None:
    told = [name for name in first_cells(page("explanation/http-stack.md")) if "Middle" in name]

    built = [name_of(layer) for layer in with_everything().user_middleware]

    assert told == [TrustedProxiesMiddleware.__name__, *built]


async def test_the_page_of_headers_has_all_that_a_response_has() -> None:
    told = {name.lower() for name in first_cells(page("reference/headers.md"))}

    async with running(with_everything()) as client:
        response = await client.get("/openapi.json")

    assert set(response.headers) - {"content-length", "content-type"} <= told


async def test_the_page_of_headers_has_the_values_of_the_security_headers() -> None:
    sent: list[Message] = []
    settings = SecurityHeadersSettings(hsts_max_age=timedelta(0))
    layer = SecurityHeadersMiddleware(_answer_nothing, settings=settings)

    async def send(message: Message) -> None:
        sent.append(message)

    await layer({"type": "http", "path": "/"}, _receive_nothing, send)

    text = page("reference/headers.md").lower()
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    missing = [
        name for name, value in headers.items() if f"| `{name}` | `{value.lower()}`" not in text
    ]
    assert len(headers) >= 8
    assert missing == []


async def _answer_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def _receive_nothing() -> Message:
    return {"type": "http.disconnect"}


async def test_the_page_of_logs_has_every_field_of_an_access_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="fastapi_baseline.access")
    settings = Settings(
        environment="test",
        log=LogSettings(slow_request=NO_TIME),
        tracing=TracingSettings(repeated_statements=1),
    )
    app = create_app(settings, configure_logging=False)

    @app.get("/orders")
    async def list_orders() -> None:
        request = context.current()
        assert request is not None
        request.statements.record("SELECT 1", 0.1)
        request.statements.record("SELECT 1", 0.1)
        raise ConflictError

    async with running(app) as client:
        await client.get("/orders")

    (record,) = [line for line in caplog.records if line.name == "fastapi_baseline.access"]
    line: dict[str, Any] = json.loads(JsonFormatter().format(record))
    assert {"slow", "db_repeated", "code"} <= line.keys()
    assert line.keys() <= set(first_cells(page("reference/logs.md")))


def test_the_page_of_endpoints_has_all_of_them() -> None:
    told = set(first_cells(page("reference/endpoints.md")))

    assert set(INTERNAL_PATHS) <= told


@pytest.mark.parametrize(
    ("environment", "token", "sends_token", "status"),
    [
        ("test", None, False, 200),
        ("test", TOKEN, False, 401),
        ("test", TOKEN, True, 200),
        ("production", None, False, 404),
        ("production", TOKEN, False, 401),
        ("production", TOKEN, True, 200),
    ],
)
async def test_operators_are_let_in_as_the_page_of_endpoints_says(
    environment: Any, token: str | None, sends_token: bool, status: int
) -> None:
    settings = Settings(
        environment=environment,
        management=ManagementSettings(token=SecretStr(token) if token else None),
    )
    headers = {"Authorization": f"Bearer {TOKEN}"} if sends_token else {}

    async with running(create_app(settings, configure_logging=False)) as client:
        answers = [await client.get(path, headers=headers) for path in ("/metrics", "/info")]

    assert [answer.status_code for answer in answers] == [status, status]


def test_every_setting_that_a_page_names_exists() -> None:
    pages = [path for path in DOCS.rglob("*.md") if "_generated" not in path.parts]
    texts = [path.read_text(encoding="utf-8") for path in pages]

    named = {name for text in texts for name in re.findall(r"\b[A-Z][A-Z_]+__[A-Z_]+[A-Z]\b", text)}

    assert len(named) > 40
    # One page shows what is said of a name that is misspelt.
    assert named - set(_variables(Settings, prefix="")) == {"LOG__LEVLE"}


def _variables(model: type[BaseModel], *, prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}".upper()
        kind = field.annotation
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            yield from _variables(kind, prefix=f"{prefix}{name}__")


@pytest.mark.parametrize("name", PACKAGES)
def test_the_page_of_names_has_what_a_package_exports(name: str) -> None:
    package = importlib.import_module(f"fastapi_baseline.{name}")
    shown = re.findall(
        r"^\.\. automodule:: (\S+)\n(?!   :no-members:)", page("reference/api.md"), re.MULTILINE
    )

    # Types of annotations and constants are shown where they are used.
    exported = [getattr(package, export) for export in package.__all__]
    made = [found for found in exported if _is_made(found)]
    unseen = [
        found.__name__
        for found in made
        if package.__name__ not in shown
        and not any(f"{found.__module__}.".startswith(f"{module}.") for module in shown)
    ]

    assert made
    assert unseen == []


def _is_made(value: object) -> TypeGuard[Callable[..., object]]:
    return inspect.isclass(value) or inspect.isfunction(value)
