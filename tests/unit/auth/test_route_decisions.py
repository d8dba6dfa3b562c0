import logging
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router

from fastapi_baseline.access import deciding, public
from fastapi_baseline.auth import (
    SELF,
    Authentication,
    CurrentPrincipal,
    Principal,
    RequireScopes,
    get_principal,
)
from fastapi_baseline.auth.dependencies import authentication_of
from fastapi_baseline.auth.route_decisions import (
    check_authenticators,
    check_route_decisions,
    find_guarded_public,
    find_undecided,
    prepare_mounted_apps,
)
from fastapi_baseline.errors import BaselineError, ConfigurationError


class Anyone:
    scheme_name = "anyone"
    scheme: dict[str, Any] = {"type": "http", "scheme": "bearer"}  # noqa: RUF012 -- never changed
    challenge = "Bearer"

    def is_offered(self, connection: HTTPConnection) -> bool:
        return True

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        return Principal(issuer=SELF, subject="ada", transport="bearer")


async def answer() -> None: ...


async def plain(request: object) -> Response:
    return PlainTextResponse("ok")


def request_for(app: Starlette) -> HTTPConnection:
    return HTTPConnection({"type": "http", "headers": [], "app": app})


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    app.get("/guarded", dependencies=[Depends(get_principal)])(answer)

    @app.get("/public")
    @public
    async def show() -> None: ...

    return app


def add_forgotten_routes(app: FastAPI) -> None:
    router = APIRouter(prefix="/orders")
    router.get("")(answer)
    router.post("")(answer)
    router.websocket("/feed")(answer)
    app.include_router(router, prefix="/v1")


def test_every_route_has_decided(app: FastAPI) -> None:
    assert find_undecided(app) == []


def test_forgotten_routes_are_found(app: FastAPI) -> None:
    add_forgotten_routes(app)

    assert [(route.methods, route.path) for route in find_undecided(app)] == [
        (("GET",), "/v1/orders"),
        (("POST",), "/v1/orders"),
        ((), "/v1/orders/feed"),
    ]


def test_refuses_to_start_with_forgotten_routes(app: FastAPI) -> None:
    add_forgotten_routes(app)

    with pytest.raises(ConfigurationError) as caught:
        check_route_decisions(app, refuse=True)

    assert caught.value.message.startswith("3 routes do not say who may use it")
    for route in find_undecided(app):
        assert f"\n  {route}" in caught.value.message


def test_warns_once_of_forgotten_routes(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    add_forgotten_routes(app)

    check_route_decisions(app, refuse=False)

    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "GET /v1/orders" in record.getMessage()
    assert "WEBSOCKET /v1/orders/feed" in record.getMessage()


def test_says_nothing_if_nothing_was_forgotten(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    check_route_decisions(app, refuse=True)
    check_route_decisions(app, refuse=False)

    assert caplog.records == []


def test_warns_of_public_routes_that_are_guarded(caplog: pytest.LogCaptureFixture) -> None:
    router = APIRouter(dependencies=[Depends(get_principal)])

    @router.get("/prices")
    @public
    async def list_prices() -> None: ...

    app = FastAPI()
    app.include_router(router)

    check_route_decisions(app, refuse=True)

    [route] = find_guarded_public(app)
    assert route.path == "/prices"
    [record] = caplog.records
    assert record.getMessage().startswith("1 route is marked as public, and guarded")
    assert str(route) in record.getMessage()


@pytest.mark.parametrize("refuse", [True, False])
def test_refuses_scopes_that_nothing_checks(*, refuse: bool) -> None:
    app = FastAPI()

    @app.get("/a")
    async def a(
        principal: Annotated[Principal, Security(get_principal, scopes=["a:b"])],
    ) -> None: ...

    with pytest.raises(ConfigurationError, match=r"RequireScopes(.|\n)*GET /a .*: a:b"):
        check_route_decisions(app, refuse=refuse)


@pytest.mark.parametrize("authentication", [None, Authentication([])])
def test_refuses_guards_that_nobody_can_pass(
    app: FastAPI, authentication: Authentication | None, caplog: pytest.LogCaptureFixture
) -> None:
    if authentication is not None:
        app.state.authentication = authentication

    with pytest.raises(ConfigurationError, match="AUTH__ISSUER"):
        check_authenticators(app, refuse=True)
    check_authenticators(app, refuse=False)

    [record] = caplog.records
    assert record.getMessage().startswith("1 route asks who is asking")


def test_guards_that_can_be_passed_are_right(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    app.state.authentication = Authentication([Anyone()])

    check_authenticators(app, refuse=True)
    check_authenticators(app, refuse=False)

    assert caplog.records == []


def test_a_service_that_never_asks_who_needs_no_way_to_say_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @deciding
    async def check_signature() -> None: ...

    app = FastAPI(dependencies=[Depends(check_signature)])
    app.get("/hook")(answer)

    check_authenticators(app, refuse=True)

    assert caplog.records == []


def test_mounted_applications_share_what_guards_need(app: FastAPI) -> None:
    async def respond(request: object, error: Exception) -> Response:
        return PlainTextResponse("ours")

    async def respond_otherwise(request: object, error: Exception) -> Response:
        return PlainTextResponse("theirs")

    inner, own = FastAPI(), Starlette()
    own_authentication = Authentication([Anyone()])
    own.state.authentication = own_authentication
    own.exception_handlers[BaselineError] = respond_otherwise
    inner.mount("/own", own)
    app.mount("/inner", inner)
    app.mount("/router", Router([Route("/x", plain)]))
    app.state.authentication = Authentication([Anyone()])
    app.exception_handlers[BaselineError] = respond

    prepare_mounted_apps(app)

    assert authentication_of(request_for(inner)) is app.state.authentication
    assert inner.exception_handlers[BaselineError] is respond
    assert authentication_of(request_for(own)) is own_authentication
    assert own.exception_handlers[BaselineError] is respond_otherwise


def test_there_may_be_nothing_to_share(app: FastAPI) -> None:
    inner = FastAPI()
    app.mount("/inner", inner)

    prepare_mounted_apps(app)

    with pytest.raises(ConfigurationError):
        authentication_of(request_for(inner))
    assert BaselineError not in inner.exception_handlers


def test_what_is_shared_is_what_there_is_at_the_moment(app: FastAPI) -> None:
    inner = FastAPI()
    app.mount("/inner", inner)
    prepare_mounted_apps(app)

    app.state.authentication = Authentication([Anyone()])

    assert authentication_of(request_for(inner)) is app.state.authentication


def test_a_guard_of_a_parameter_is_one(app: FastAPI) -> None:
    @app.get("/mine")
    async def list_mine(principal: CurrentPrincipal) -> None: ...

    @app.get("/all")
    async def list_all(
        principal: Annotated[Principal, Depends(RequireScopes(all=["orders:read"]))],
    ) -> None: ...

    assert find_undecided(app) == []
