"""A shop that issues tokens for its own pages and jobs; run by pytest."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import APIRouter, Depends
from httpx2 import BasicAuth

from fastapi_baseline.auth import Principal, RequireScopes
from fastapi_baseline.auth.server import (
    AuthorizationServer,
    ClientDescription,
    RegisteredClient,
    ResourceOwner,
)
from fastapi_baseline.auth.users import UserRecord
from fastapi_baseline.persistence import Base, ReadSession, UUIDPrimaryKey
from fastapi_baseline.testing.issuing import (
    CALLBACK,
    VERIFIER,
    IssuingService,
    open_issuing_service,
)

CHALLENGE = "mg3QoZgnRJxQy_jYdfW7D8wJkoziCuM8Yhos7PwVvsI"

router = APIRouter()


# <start-route>
@router.get("/orders")
async def list_orders(
    asker: Annotated[Principal, Depends(RequireScopes(all=["orders:read"]))],
) -> list[str]:
    return [f"an order of {asker}"]


# <end-route>


# <start-client>
async def add_page(server: AuthorizationServer) -> RegisteredClient:
    """Add the pages of the shop, which run in browsers and can keep no secret."""
    return await server.clients.add(
        ClientDescription(
            name="The Shop",
            client_id="shop",
            auth_method="none",
            grant_types=("authorization_code", "refresh_token"),
            redirect_uris=(CALLBACK,),
            scopes=("openid", "offline_access", "orders:read"),
            is_first_party=True,
        )
    )


# <end-client>


# <start-owners>
class Members:
    """Users who are kept somewhere else."""

    async def find(self, subject: str, *, session: ReadSession) -> ResourceOwner | None:
        del session  # Theirs is another database.
        if subject != "member-1":
            return None
        claims = {"profile": {"name": "Ann"}, "email": {"email": "ann@example.com"}}
        return ResourceOwner(subject=subject, roles=frozenset({"clerk"}), claims=claims)


# <end-owners>


class Client(Base, UUIDPrimaryKey, UserRecord):
    __tablename__ = "issued_tokens_client"


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[IssuingService]:
    async with open_issuing_service(
        Client,
        f"sqlite:///{tmp_path / 'shop.db'}",
        include=lambda app: app.include_router(router),
    ) as shop:
        yield shop


async def test_a_page_gets_tokens_for_its_user_and_each_code_is_good_once(
    shop: IssuingService,
) -> None:
    await add_page(shop.server)
    user = await shop.sign_in(await shop.add_user())
    request = {
        "response_type": "code",
        "client_id": "shop",
        "redirect_uri": CALLBACK,
        "scope": "openid offline_access orders:read",
        "state": "s",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }

    sent_back = (await user.http.get("/oauth2/authorize", params=request)).headers["location"]
    (code,) = parse_qs(urlsplit(sent_back).query)["code"]
    form = {
        "grant_type": "authorization_code",
        "client_id": "shop",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    tokens = (await shop.http.post("/oauth2/token", data=form)).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    orders = await shop.http.get("/orders", headers=bearer)
    replayed = await shop.http.post("/oauth2/token", data=form)
    refreshed = await shop.http.post(
        "/oauth2/token",
        data={
            "grant_type": "refresh_token",
            "client_id": "shop",
            "refresh_token": tokens["refresh_token"],
        },
    )

    assert sorted(tokens) == [
        "access_token",
        "expires_in",
        "id_token",
        "refresh_token",
        "scope",
        "token_type",
    ]
    assert orders.json() == [f"an order of {user.subject}"]
    assert replayed.json()["error"] == refreshed.json()["error"] == "invalid_grant"


async def test_a_job_gets_tokens_for_itself(shop: IssuingService) -> None:
    added = await shop.server.clients.add(
        ClientDescription(
            name="Export", grant_types=("client_credentials",), scopes=("orders:read",)
        )
    )
    assert added.secret is not None

    answer = await shop.http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=BasicAuth(added.client.client_id, added.secret.get_secret_value()),
    )
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    orders = await shop.http.get("/orders", headers=bearer)

    asker = f"{shop.server.issuer}|{added.client.client_id}"
    assert orders.json() == [f"an order of {asker}"]


async def test_users_can_be_somewhere_else(shop: IssuingService) -> None:
    shop.server.owners = Members()

    found = await shop.server.find_owner("member-1")

    assert found is not None
    assert found.claims_for(frozenset({"profile"})) == {"sub": "member-1", "name": "Ann"}
    assert await shop.server.find_owner("nobody") is None
