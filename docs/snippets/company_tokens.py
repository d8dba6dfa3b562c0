"""A service that verifies the tokens of a company; run by pytest."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from httpx2 import AsyncClient

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import CurrentPrincipal, Principal, RequireScopes
from fastapi_baseline.settings import AuthSettings, IssuerSettings
from fastapi_baseline.testing import TokenIssuer, running


# <start-service>
def make_app(settings: Settings) -> FastAPI:
    """Return a service whose routes know who is asking."""
    app = create_app(settings)

    @app.get("/me")
    async def show_me(principal: CurrentPrincipal) -> str:
        return principal.subject

    @app.get("/orders")
    async def list_orders(
        principal: Annotated[Principal, Depends(RequireScopes(all=["orders:read"]))],
    ) -> str:
        return f"Orders of {principal.subject}, asked for by {principal.client_id}"

    return app


# <end-service>

# <start-issuers>
issuers = (
    IssuerSettings(
        issuer="https://login.example.com/realms/staff",
        audience=("orders-api",),
        preset="keycloak",
    ),
    IssuerSettings(
        issuer="https://customers.eu.auth0.com/",
        audience=("https://api.example.com/orders",),
        preset="auth0",
    ),
)
# <end-issuers>


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    """Give an issuer that can be asked over the network."""
    with TokenIssuer.serving(audience="orders-api") as issuer:
        yield issuer


@pytest.fixture
async def client(issuer: TokenIssuer) -> AsyncIterator[AsyncClient]:
    """Give a client of a service that trusts it."""
    auth = AuthSettings(issuer=issuer.url, audience=("orders-api",), resource="https://orders.test")
    async with running(make_app(Settings(environment="test", auth=auth))) as client:
        yield client


def with_token(token: str) -> dict[str, str]:
    """Return the header that a token is sent in."""
    return {"Authorization": f"Bearer {token}"}


# <start-test>
async def test_shows_orders_to_who_may_read_them(client: AsyncClient, issuer: TokenIssuer) -> None:
    token = issuer.mint("ada", scopes=["orders:read"])

    response = await client.get("/orders", headers=with_token(token))

    assert response.json() == "Orders of ada, asked for by test-client"


async def test_refuses_a_token_without_the_scope(client: AsyncClient, issuer: TokenIssuer) -> None:
    response = await client.get("/orders", headers=with_token(issuer.mint("ada")))

    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")


# <end-test>


async def test_refuses_a_token_for_another_service(
    client: AsyncClient, issuer: TokenIssuer
) -> None:
    token = issuer.mint("ada", claims={"aud": "stock-api"})

    response = await client.get("/me", headers=with_token(token))

    assert (response.status_code, response.json()["code"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_tells_those_without_a_token_where_to_get_one(
    client: AsyncClient, issuer: TokenIssuer
) -> None:
    response = await client.get("/me")
    metadata = await client.get("/.well-known/oauth-protected-resource")

    assert response.headers["www-authenticate"] == (
        'Bearer realm="api", '
        'resource_metadata="https://orders.test/.well-known/oauth-protected-resource"'
    )
    assert metadata.json()["authorization_servers"] == [issuer.url]


def test_trusts_several_issuers() -> None:
    app = make_app(Settings(environment="test", auth=AuthSettings(issuers=issuers)))

    assert "bearer" in app.openapi()["components"]["securitySchemes"]
