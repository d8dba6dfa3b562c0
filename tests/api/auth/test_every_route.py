from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from pydantic import SecretStr
from starlette.websockets import WebSocketDisconnect

from fastapi_baseline import Settings, create_app, install
from fastapi_baseline.access import public
from fastapi_baseline.auth.api_keys.keys import make_key
from fastapi_baseline.auth.dependencies import CurrentPrincipal, OptionalPrincipal
from fastapi_baseline.auth.guards import RequireRoles, RequireScopes
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.route_decisions import find_undecided
from fastapi_baseline.auth.sessions.routes import make_sessions_router
from fastapi_baseline.auth.step_up import require_recent_auth
from fastapi_baseline.auth.users import UserRecord
from fastapi_baseline.auth.users.routes import make_users_router
from fastapi_baseline.persistence import Base, UUIDPrimaryKey
from fastapi_baseline.settings import (
    ApiKeySettings,
    AuthSettings,
    SessionSettings,
    UserSettings,
)
from fastapi_baseline.testing import TokenIssuer, find_open_operations, running
from fastapi_baseline.testing.open_operations import operations_of
from tests.tables import create_tables

# What is for everybody, and nothing else.
PUBLIC = {
    "GET /prices",
    "GET /prices/{number}",
    "GET /greeting",
    "POST /auth/password/forgot",
    "POST /auth/password/reset",
    "POST /auth/register",
    "POST /auth/sign-in",
    "POST /auth/sign-in/second-factor",
    "POST /auth/sign-out",
    "POST /auth/verify-email",
    "POST /auth/verify-email/resend",
}


class Visitor(Base, UUIDPrimaryKey, UserRecord):
    __tablename__ = "every_route_visitor"


@pytest.fixture(scope="module")
def issuer() -> Iterator[TokenIssuer]:
    with TokenIssuer.serving() as issuer:
        yield issuer


@pytest.fixture(params=["created", "installed"])
async def app(
    request: pytest.FixtureRequest, issuer: TokenIssuer, tmp_path: Path
) -> AsyncGenerator[FastAPI]:
    """Give an application with all ways to say who one is, and routes of all kinds."""
    settings = Settings(
        environment="test",
        database_url=SecretStr(f"sqlite:///{tmp_path / 'routes.db'}"),
        auth=AuthSettings(
            issuer=issuer.url,
            audience=(issuer.audience,),
            api_keys=ApiKeySettings(enabled=True),
            sessions=SessionSettings(enabled=True),
            users=UserSettings(page_url="https://shop.test"),
        ),
    )
    is_created = request.param == "created"
    app = create_app(settings, configure_logging=False, package=None) if is_created else FastAPI()
    app.include_router(make_users_router(Visitor))
    app.include_router(make_sessions_router())
    app.include_router(make_public_router())
    app.include_router(make_orders_router())
    if not is_created:
        install(app, settings)
    await create_tables(app.state.database, __name__, "fastapi_baseline")
    async with running(app):
        yield app


def make_public_router() -> APIRouter:
    router = APIRouter()

    @router.get("/prices")
    @public
    async def list_prices() -> list[int]:
        return []

    @router.get("/prices/{number}")
    @public
    async def show_price(number: int) -> int:
        return number

    @router.get("/greeting")
    @public
    async def greet(principal: OptionalPrincipal) -> str:
        return "Hello" if principal is None else f"Hello, {principal.subject}"

    return router


def make_orders_router() -> APIRouter:
    """Return routes that are guarded by themselves, by their router, or by that around it."""
    router = APIRouter(prefix="/orders")

    @router.get("")
    async def list_orders(principal: CurrentPrincipal, limit: int) -> str:
        return f"{principal} {limit}"

    @router.post("")
    async def add_order(
        body: dict[str, Any],
        principal: Annotated[Principal, Depends(RequireScopes(all=["orders:write"]))],
    ) -> str:
        return f"{principal} {body}"

    @router.delete("/{order_id}", dependencies=[Depends(RequireRoles(any=["admin"]))])
    async def delete_order(order_id: UUID) -> str:
        return str(order_id)

    @router.put("/{order_id}/paid", dependencies=[Depends(require_recent_auth(acr="aal2"))])
    async def pay_order(order_id: UUID) -> str:
        return str(order_id)

    inner = APIRouter(prefix="/items")

    @inner.get("/{number}")
    async def show_item(number: int) -> int:
        return number

    @inner.patch("/{number}")
    async def change_item(number: int, body: dict[str, int]) -> int:
        return number + len(body)

    outer = APIRouter(dependencies=[Depends(RequireScopes(any=["items:read", "items:write"]))])
    outer.include_router(inner)
    router.include_router(outer)

    @router.websocket("/live")
    async def watch_orders(socket: WebSocket, principal: CurrentPrincipal) -> None:
        await socket.accept()
        await socket.send_text(str(principal))

    return router


async def test_j26_every_route_asks_who_is_asking_unless_it_is_public(app: FastAPI) -> None:
    asked = [str(one) for one in operations_of(app) if not one.is_public]

    assert await find_open_operations(app) == []
    assert len(asked) > 20


def test_j26_no_other_routes_are_public(app: FastAPI) -> None:
    assert {str(one) for one in operations_of(app) if one.is_public} == PUBLIC
    assert find_undecided(app) == []


BAD_COOKIE = "A" * 43


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer not.a.token"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="},
        {"X-API-Key": "key_0_0_0"},
        {"X-API-Key": make_key("key").text},
        {
            "Cookie": f"__Host-session={BAD_COOKIE}",
            "Origin": "https://testserver",
            "X-Requested-With": "test",
        },
        {"Cookie": f"session={BAD_COOKIE}"},
    ],
    ids=["bearer", "empty", "basic", "malformed key", "unknown key", "cookie", "other cookie"],
)
async def test_j26_credentials_that_are_no_good_open_no_route(
    headers: dict[str, str], app: FastAPI
) -> None:
    assert await find_open_operations(app, headers=headers) == []


async def test_j26_a_token_of_somebody_else_opens_no_route(
    app: FastAPI, issuer: TokenIssuer
) -> None:
    stranger = TokenIssuer(issuer.url)
    elsewhere = issuer.mint(claims={"aud": "https://other.test"})

    for token in (stranger.mint(), elsewhere, issuer.mint_unsigned()):
        headers = {"Authorization": f"Bearer {token}"}
        assert await find_open_operations(app, headers=headers) == []


async def test_j26_a_good_token_opens_routes(app: FastAPI, issuer: TokenIssuer) -> None:
    headers = {"Authorization": f"Bearer {issuer.mint()}"}

    opened = await find_open_operations(app, headers=headers)

    # So it is no accident that all others are refused: a query is missing, or a scope, or a session.
    assert "GET /orders: 422" in opened
    assert "POST /orders: 403" in opened
    assert "GET /auth/session: 403" in opened


def test_j26_a_websocket_is_refused_before_it_is_accepted(
    issuer: TokenIssuer, tmp_path: Path
) -> None:
    settings = Settings(
        environment="test",
        auth=AuthSettings(issuer=issuer.url, audience=(issuer.audience,)),
    )
    app = create_app(settings, configure_logging=False, package=None)
    app.include_router(make_orders_router())
    with TestClient(app) as client:
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/orders/live"):
            pass
        with client.websocket_connect(
            "/orders/live", headers={"Authorization": f"Bearer {issuer.mint()}"}
        ) as socket:
            said = socket.receive_text()

    assert said == f"{issuer.url}|user-1"


def test_the_document_says_what_the_routes_ask_for(app: FastAPI) -> None:
    schemes = set(app.openapi()["components"]["securitySchemes"])

    for operation in operations_of(app):
        named = {name for one in operation.security for name in one}
        if str(operation) == "GET /greeting":
            assert {} in operation.security
        elif operation.is_public:
            assert list(operation.security) == [], operation
        else:
            assert named == schemes, operation
            assert {} not in operation.security, operation


async def test_a_route_that_was_forgotten_is_found(app: FastAPI) -> None:
    @app.post("/forgotten")
    async def forget() -> None:
        return None

    app.openapi_schema = None

    assert await find_open_operations(app) == ["POST /forgotten: 200"]
    assert [route.path for route in find_undecided(app)] == ["/forgotten"]
