"""Tests that are somebody, and tests with tokens."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import pytest
from fastapi import APIRouter, Depends, FastAPI
from httpx2 import AsyncClient
from starlette.testclient import TestClient

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import (
    CurrentPrincipal,
    Principal,
    RequireRoles,
    RequireScopes,
    require_recent_auth,
)
from fastapi_baseline.clock import SystemClock
from fastapi_baseline.settings import AuthSettings
from fastapi_baseline.testing import (
    OMIT,
    TokenIssuer,
    acting_as,
    as_service,
    as_user,
    make_signing_key,
    running,
)

router = APIRouter()


@router.get("/orders", dependencies=[Depends(RequireScopes(all=["orders:read"]))])
async def list_orders(asker: CurrentPrincipal) -> str:
    """Say whose orders these are."""
    return asker.subject


@router.delete("/orders", dependencies=[Depends(RequireRoles(any=["manager"]))], status_code=204)
async def remove_orders() -> None:
    """Remove all orders."""


@router.post(
    "/payments", dependencies=[Depends(require_recent_auth(timedelta(minutes=5)))], status_code=204
)
async def pay() -> None:
    """Pay."""


# <start-fixtures>
@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    with TokenIssuer.serving(audience="orders") as issuer:
        yield issuer


@pytest.fixture
def app(issuer: TokenIssuer) -> FastAPI:
    settings = Settings(
        environment="test", auth=AuthSettings(issuer=issuer.url, audience=("orders",))
    )
    app = create_app(settings)
    app.include_router(router)  # A service does without: its domains are found.
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with running(app) as client:
        yield client


# <end-fixtures>


# <start-users>
async def test_users_do_what_they_may(app: FastAPI) -> None:
    async with (
        as_user(app, "ann", scopes=["orders:read"]) as ann,
        as_user(app, "bob", roles=["manager"]) as bob,
        as_service(app, "billing", scopes=["orders:read"]) as billing,
    ):
        assert (await ann.get("/orders")).json() == "ann"
        assert (await ann.delete("/orders")).status_code == 403
        assert (await bob.get("/orders")).status_code == 403
        assert (await bob.delete("/orders")).status_code == 204
        assert (await billing.get("/orders")).json() == "billing"


async def test_nobody_does_nothing(app: FastAPI, client: AsyncClient) -> None:
    async with as_user(app, "ann", scopes=["orders:read"]):
        assert (await client.get("/orders")).status_code == 401


# <end-users>


# <start-step-up>
async def test_who_signed_in_long_ago_does_so_again(app: FastAPI) -> None:
    long_ago = SystemClock().now() - timedelta(hours=1)

    async with as_user(app, "ann") as ann, as_user(app, "ann", auth_time=long_ago) as old:
        assert (await ann.post("/payments")).status_code == 204
        assert (await old.post("/payments")).status_code == 401


# <end-step-up>


# <start-headers>
def test_clients_of_another_kind_are_somebody_too(app: FastAPI) -> None:
    ann = Principal(
        issuer="self", subject="ann", transport="bearer", scopes=frozenset({"orders:read"})
    )

    with acting_as(app, ann) as headers, TestClient(app, headers=dict(headers)) as client:
        assert client.get("/orders").json() == "ann"


# <end-headers>


# <start-tokens>
async def test_accepts_a_token(issuer: TokenIssuer, client: AsyncClient) -> None:
    token = issuer.mint("ann", scopes=["orders:read"])

    answer = await client.get("/orders", headers={"Authorization": f"Bearer {token}"})

    assert answer.json() == "ann"


WRONG: dict[str, Callable[[TokenIssuer], str]] = {
    "expired": lambda issuer: issuer.mint(lifetime=-timedelta(hours=1)),
    "for another service": lambda issuer: issuer.mint(claims={"aud": "prices"}),
    "for no service": lambda issuer: issuer.mint(claims={"aud": OMIT}),
    "an ID token": lambda issuer: issuer.mint(header={"typ": "JWT"}),
    "by a stranger": lambda issuer: issuer.mint(key=make_signing_key(kid=issuer.signing_key.kid)),
    "not signed": lambda issuer: issuer.mint_unsigned(),
    "signed with a public key": lambda issuer: issuer.mint(key=issuer.signing_key.as_hmac()),
}


@pytest.mark.parametrize("name", WRONG)
async def test_refuses_a_token_that_is(name: str, issuer: TokenIssuer, client: AsyncClient) -> None:
    token = WRONG[name](issuer)

    answer = await client.get("/orders", headers={"Authorization": f"Bearer {token}"})

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


# <end-tokens>


# <start-rotation>
async def test_follows_a_change_of_keys(issuer: TokenIssuer, client: AsyncClient) -> None:
    codes: list[int] = []
    for _ in range(2):
        token = issuer.mint("ann", scopes=["orders:read"])
        answer = await client.get("/orders", headers={"Authorization": f"Bearer {token}"})
        codes.append(answer.status_code)
        issuer.rotate()

    assert codes == [200, 200]


# <end-rotation>
