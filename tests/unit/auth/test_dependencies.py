from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient
from starlette.requests import HTTPConnection

from fastapi_baseline.auth import (
    SELF,
    Authentication,
    CurrentPrincipal,
    OptionalPrincipal,
    Principal,
    get_principal,
)
from fastapi_baseline.auth.errors import CredentialsEndedError
from fastapi_baseline.errors import ConfigurationError, UnauthenticatedError
from fastapi_baseline.middleware.exception_handlers import make_exception_handlers


class Tokens:
    """Knows `Authorization: Bearer ada`, and counts how often it is asked."""

    scheme_name = "bearer"
    scheme: dict[str, Any] = {"type": "http", "scheme": "bearer"}  # noqa: RUF012 -- never changed
    challenge = "Bearer"

    def __init__(self) -> None:
        self.asked = 0

    def is_offered(self, connection: HTTPConnection) -> bool:
        return "authorization" in connection.headers

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        self.asked += 1
        _, _, subject = connection.headers["authorization"].partition(" ")
        if subject == "ended":
            raise CredentialsEndedError("The session has ended.", challenge="Cookie")
        if subject != "ada":
            raise UnauthenticatedError(challenge='Bearer error="invalid_token"')
        return Principal(issuer=SELF, subject=subject, transport="bearer")


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncGenerator[AsyncClient]:
    transport = ASGITransport(app=app)
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def app(tokens: Tokens) -> FastAPI:
    handlers: Any = make_exception_handlers(validation_status=422)
    app = FastAPI(exception_handlers=handlers)
    app.state.authentication = Authentication([tokens])

    @app.get("/me")
    async def show(principal: CurrentPrincipal) -> str:
        return principal.subject

    @app.get("/greeting", dependencies=[Depends(get_principal, use_cache=False)])
    async def greet(again: CurrentPrincipal, perhaps: OptionalPrincipal) -> bool:
        return again is perhaps

    @app.get("/page")
    async def open_page(perhaps: OptionalPrincipal, again: OptionalPrincipal) -> str | None:
        assert perhaps is again
        return None if perhaps is None else perhaps.subject

    return app


async def test_a_route_is_told_who_is_asking(app: FastAPI) -> None:
    async with client_of(app) as client:
        response = await client.get("/me", headers={"Authorization": "Bearer ada"})

    assert (response.status_code, response.json()) == (200, "ada")


async def test_refuses_who_does_not_say(app: FastAPI) -> None:
    async with client_of(app) as client:
        response = await client.get("/me")

    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_request_is_authenticated_once(app: FastAPI, tokens: Tokens) -> None:
    async with client_of(app) as client:
        response = await client.get("/greeting", headers={"Authorization": "Bearer ada"})

    assert response.json() is True
    assert tokens.asked == 1


async def test_nobody_may_be_enough(app: FastAPI, tokens: Tokens) -> None:
    async with client_of(app) as client:
        known = await client.get("/page", headers={"Authorization": "Bearer ada"})
        unknown = await client.get("/page")

    assert (known.json(), unknown.json()) == ("ada", None)
    assert tokens.asked == 1


async def test_bad_credentials_are_not_nobody(app: FastAPI) -> None:
    async with client_of(app) as client:
        response = await client.get("/page", headers={"Authorization": "Bearer eve"})

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_credentials_that_have_ended_are_nobody_where_that_is_enough(
    app: FastAPI, tokens: Tokens
) -> None:
    headers = {"Authorization": "Bearer ended"}

    async with client_of(app) as client:
        page = await client.get("/page", headers=headers)
        mine = await client.get("/me", headers=headers)
        greeting = await client.get("/greeting", headers=headers)

    assert (page.status_code, page.json()) == (200, None)
    assert (mine.status_code, greeting.status_code) == (401, 401)
    assert mine.json()["detail"] == "The session has ended."
    assert mine.headers["www-authenticate"] == "Cookie"
    assert tokens.asked == 3


async def test_without_any_way_nobody_is_let_in(app: FastAPI) -> None:
    app.state.authentication = Authentication([])

    async with client_of(app) as client:
        guarded = await client.get("/me", headers={"Authorization": "Bearer ada"})
        optional = await client.get("/page", headers={"Authorization": "Bearer ada"})

    assert guarded.status_code == 401
    assert guarded.headers["www-authenticate"] == "Cookie"
    assert optional.json() is None


@pytest.mark.parametrize("path", ["/me", "/page"])
async def test_refuses_to_guess_where_nothing_is_set_up(app: FastAPI, path: str) -> None:
    del app.state.authentication
    handlers = app.exception_handlers
    handlers.clear()

    async with client_of(app) as client:
        with pytest.raises(ConfigurationError, match="create_app"):
            await client.get(path)
