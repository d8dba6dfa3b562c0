import json
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from httpx2 import AsyncClient
from starlette.requests import HTTPConnection

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import (
    Authentication,
    CurrentPrincipal,
    OptionalPrincipal,
    Principal,
    RequireRoles,
    RequireScopes,
    public,
)
from fastapi_baseline.auth.openapi import (
    document_security,
    make_api_key_scheme,
    make_bearer_scheme,
    make_openid_connect_scheme,
    prepare_documentation_pages,
)
from fastapi_baseline.documentation import add_documentation_pages
from fastapi_baseline.settings import AuthSettings, SessionSettings
from fastapi_baseline.testing import running

ISSUER = "https://id.example"


class Way:
    challenge: str | None = "Bearer"

    def __init__(self, **schemes: dict[str, Any]) -> None:
        self.security_schemes = schemes
        self.scheme_name, self.scheme = next(iter(schemes.items()))

    def is_offered(self, connection: HTTPConnection) -> bool:
        return False

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        return Principal(issuer="self", subject="ada", transport="bearer")


@pytest.fixture
def app() -> FastAPI:
    app = create_app(Settings(environment="test"), configure_logging=False)
    app.state.authentication = Authentication(
        [
            Way(bearer=make_bearer_scheme(), openid=make_openid_connect_scheme(ISSUER)),
            Way(api_key=make_api_key_scheme("X-API-Key")),
            Way(session=make_api_key_scheme("__Host-session", location="cookie")),
        ]
    )
    orders = APIRouter(prefix="/orders", dependencies=[Depends(RequireScopes(all=["orders:read"]))])

    @orders.get("")
    async def list_orders(principal: CurrentPrincipal) -> str:
        return principal.subject

    @orders.post("", dependencies=[Depends(RequireScopes(all=["orders:write"]))])
    async def add_order() -> None: ...

    app.include_router(orders, prefix="/v1")

    @app.delete("/users/{number}", dependencies=[Depends(RequireRoles(all=["admin"]))])
    async def drop_user(number: int) -> None: ...

    @app.get("/prices")
    @public
    async def list_prices() -> None: ...

    @app.get("/page")
    @public
    async def show_page(principal: OptionalPrincipal) -> None: ...

    return app


def document_of(app: FastAPI) -> dict[str, Any]:
    document = app.openapi()
    document_security(app, document)
    return document


def test_the_document_has_a_scheme_for_every_way(app: FastAPI) -> None:
    schemes = document_of(app)["components"]["securitySchemes"]

    assert list(schemes) == ["bearer", "openid", "api_key", "session"]
    assert schemes["openid"]["openIdConnectUrl"] == f"{ISSUER}/.well-known/openid-configuration"


def test_operations_ask_for_what_their_guards_ask_for(app: FastAPI) -> None:
    paths = document_of(app)["paths"]
    names = ("bearer", "openid", "api_key", "session")

    assert {
        f"{method} {path}": operation.get("security")
        for path, operations in paths.items()
        for method, operation in operations.items()
    } == {
        "get /v1/orders": [{name: ["orders:read"]} for name in names],
        "post /v1/orders": [{name: ["orders:read", "orders:write"]} for name in names],
        "delete /users/{number}": [{name: []} for name in names],
        "get /prices": [],
        "get /page": [{}, *({name: []} for name in names)],
    }


def test_what_is_refused_is_a_problem(app: FastAPI) -> None:
    document = document_of(app)

    responses = document["paths"]["/v1/orders"]["get"]["responses"]
    for status in ("400", "401", "403"):
        content = responses[status]["content"]["application/problem+json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert "401" not in document["paths"]["/prices"]["get"]["responses"]


def test_names_that_are_referred_to_exist(app: FastAPI) -> None:
    document = document_of(app)

    named = {
        name
        for operations in document["paths"].values()
        for operation in operations.values()
        for requirement in operation.get("security", ())
        for name in requirement
    }
    assert named == set(document["components"]["securitySchemes"])


async def test_the_pages_get_a_token_with_a_proof() -> None:
    app = FastAPI()
    prepare_documentation_pages(app)
    add_documentation_pages(app, allow_cdn=True, connect_to=[ISSUER])

    async with running(app) as client:
        page = await client.get("/docs")
        redirect = await client.get("/docs/oauth2-redirect")

    settings = page.text.partition('data-settings="')[2].partition('"')[0]
    oauth = json.loads(settings.replace("&quot;", '"'))["oauth"]
    assert oauth == {"usePkceWithAuthorizationCodeGrant": True}
    assert f"connect-src 'self' {ISSUER}" in page.headers["content-security-policy"]
    assert redirect.status_code == 200


async def test_every_operation_answers_as_it_says(app: FastAPI) -> None:
    paths = document_of(app)["paths"]

    async with running(app) as client:
        for path, operations in paths.items():
            for method, operation in operations.items():
                await check(client, method, path, is_open=operation["security"][:1] in ([], [{}]))


async def check(client: AsyncClient, method: str, path: str, *, is_open: bool) -> None:
    response = await client.request(method, path.replace("{number}", "1"))

    assert response.status_code == (200 if is_open else 401), (method, path)


async def test_what_the_settings_name_is_in_the_document_and_on_the_pages() -> None:
    auth = AuthSettings(
        issuer=f"{ISSUER}/realms/shop",
        audience=("https://api.example",),
        sessions=SessionSettings(enabled=True),
    )
    app = create_app(Settings(environment="test", auth=auth), configure_logging=False)

    @app.get("/mine")
    async def show_mine(principal: CurrentPrincipal) -> str:
        return principal.subject

    async with running(app) as client:
        document = (await client.get("/openapi.json")).json()
        page = await client.get("/docs")
        refused = await client.get("/mine")

    schemes = document["components"]["securitySchemes"]
    assert {scheme["type"] for scheme in schemes.values()} == {"http", "openIdConnect", "apiKey"}
    assert document["paths"]["/mine"]["get"]["security"] == [{name: []} for name in schemes]
    assert f"connect-src 'self' {ISSUER};" in page.headers["content-security-policy"]
    assert "usePkceWithAuthorizationCodeGrant" in page.text
    assert refused.status_code == 401
    offered = refused.headers["www-authenticate"]
    assert offered.startswith("Bearer ")
    assert ", Cookie " in offered
    assert "error" not in offered
