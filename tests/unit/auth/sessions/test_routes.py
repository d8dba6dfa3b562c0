from collections.abc import AsyncGenerator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from starlette.requests import HTTPConnection

from fastapi_baseline.auth import Authentication, Principal
from fastapi_baseline.auth.sessions import (
    MemorySessionStore,
    SessionAuthenticator,
    Sessions,
    SessionsUnavailableError,
    make_sessions_router,
)
from fastapi_baseline.middleware.exception_handlers import make_exception_handlers

PATHS = {
    ("/auth/session", "get"): {"200", "401", "403", "503"},
    ("/auth/sessions", "get"): {"200", "401", "403", "503"},
    ("/auth/sessions", "delete"): {"204", "401", "403", "422", "503"},
    ("/auth/sessions/{session_id}", "delete"): {"204", "401", "403", "404", "422", "503"},
    ("/auth/sign-out", "post"): {"204", "403", "503"},
}


class Program:
    """Lets everybody in as a program."""

    scheme_name = "program"
    challenge = "Program"

    @property
    def scheme(self) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer"}

    def is_offered(self, connection: HTTPConnection) -> bool:
        return "x-program" in connection.headers

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        del connection
        return Principal(issuer="self", subject="anna", transport="bearer", session_id="1")


class Broken(MemorySessionStore):
    """Does not answer."""

    async def find(self, *_: Any, **__: Any) -> None:
        raise SessionsUnavailableError

    async def remove(self, digest: str) -> None:
        del digest
        raise SessionsUnavailableError


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    for kind, handler in make_exception_handlers(validation_status=422).items():
        app.add_exception_handler(kind, handler)
    app.include_router(make_sessions_router())
    sessions = Sessions(MemorySessionStore())
    app.state.sessions = sessions
    app.state.authentication = Authentication([SessionAuthenticator(sessions), Program()])
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncGenerator[AsyncClient]:
    async with AsyncClient(
        transport=ASGITransport(app=app), base_url="https://shop.example"
    ) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "method"), [key for key in PATHS if key != ("/auth/sign-out", "post")]
)
async def test_a_token_is_not_for_sessions(path: str, method: str, client: AsyncClient) -> None:
    answer = await client.request(method, path, headers={"X-Program": "x"})

    assert (answer.status_code, answer.json()["code"]) == (403, "session_required")


def test_says_how_it_answers(app: FastAPI) -> None:
    described = app.openapi()["paths"]

    assert {
        (path, method): set(operation["responses"])
        for path, operations in described.items()
        for method, operation in operations.items()
    } == PATHS


def test_can_be_elsewhere() -> None:
    app = FastAPI()
    app.include_router(make_sessions_router(prefix="/konto", tags=["konto"]))

    assert "/konto/sign-out" in app.openapi()["paths"]
    assert app.openapi()["paths"]["/konto/sign-out"]["post"]["tags"] == ["konto"]


@pytest.mark.parametrize(("path", "method"), [("/auth/session", "get"), ("/auth/sign-out", "post")])
async def test_nobody_is_let_in_or_out_while_the_store_does_not_answer(
    path: str, method: str, app: FastAPI, client: AsyncClient
) -> None:
    app.state.sessions.store = Broken()
    headers = {
        "Cookie": f"__Host-session={'A' * 43}",
        "Origin": "https://shop.example",
        "X-Requested-With": "x",
    }

    answer = await client.request(method, path, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (503, "sessions_unavailable")
    assert "set-cookie" not in answer.headers
