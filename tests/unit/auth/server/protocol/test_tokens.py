import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fastapi_baseline.auth.server.models import OAuthClient, OAuthGrant
from fastapi_baseline.auth.server.owners import ResourceOwner
from fastapi_baseline.auth.server.protocol.access_tokens import make_access_token
from fastapi_baseline.auth.server.protocol.id_tokens import make_half_hash, make_id_token
from fastapi_baseline.auth.server.protocol.services import ProtocolServices
from fastapi_baseline.settings.auth import AuthorizationServerSettings

NOW = datetime(2026, 1, 1, 12, 0, 0, 999_999, UTC)
SECONDS = 1_767_268_800
OWNER = ResourceOwner(subject="ann", roles=frozenset({"clerk", "admin"}))


class Signer:
    """What signs nothing, and notes what it was given."""

    def __init__(self) -> None:
        self.signed: list[tuple[str, Mapping[str, Any]]] = []

    async def refresh(self) -> None:
        pass

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        self.signed.append((typ, claims))
        return "signed"


@pytest.fixture
def signer() -> Signer:
    return Signer()


@pytest.fixture
def services(signer: Signer) -> ProtocolServices:
    def token_bytes(count: int) -> bytes:
        return b"\x01" * count

    found = SimpleNamespace(
        issuer="https://issuer.example.com",
        audiences=("https://api.example.com",),
        settings=AuthorizationServerSettings(),
        signer=signer,
        token_bytes=token_bytes,
    )
    return cast("ProtocolServices", found)


@pytest.fixture
def client() -> OAuthClient:
    return OAuthClient(client_id="shop", audiences=[], is_first_party=True)


@pytest.fixture
def grant() -> OAuthGrant:
    return OAuthGrant(
        id="g1",
        session_id="s1",
        auth_time=datetime(2026, 1, 1, 11, 0, 0, 999_999, UTC),
        acr="aal2",
        amr=["otp", "pwd"],
    )


def test_an_access_token_of_a_user_says_what_apis_need(
    services: ProtocolServices, signer: Signer, client: OAuthClient, grant: OAuthGrant
) -> None:
    make_access_token(services, client, scopes=["b", "a", "a"], now=NOW, grant=grant, owner=OWNER)

    assert signer.signed == [
        (
            "at+jwt",
            {
                "iss": "https://issuer.example.com",
                "sub": "ann",
                "aud": "https://api.example.com",
                "client_id": "shop",
                "scope": "a b",
                "iat": SECONDS,
                "exp": SECONDS + 300,
                "jti": "01" * 16,
                "grant": "g1",
                "roles": ["admin", "clerk"],
                "auth_time": SECONDS - 3600,
                "acr": "aal2",
                "amr": ["otp", "pwd"],
                "sid": "s1",
            },
        )
    ]


def test_a_program_of_somebody_else_may_not_do_what_its_user_may(
    services: ProtocolServices, signer: Signer, client: OAuthClient, grant: OAuthGrant
) -> None:
    client.is_first_party = False

    make_access_token(services, client, scopes=["a"], now=NOW, grant=grant, owner=OWNER)

    assert signer.signed[0][1]["roles"] == []


def test_one_of_a_client_says_nothing_of_users(
    services: ProtocolServices, signer: Signer, client: OAuthClient
) -> None:
    client.audiences = ["https://one.example", "https://two.example"]

    make_access_token(services, client, scopes=["a"], now=NOW)

    ((_, claims),) = signer.signed
    assert claims["sub"] == claims["client_id"] == "shop"
    assert claims["aud"] == ["https://one.example", "https://two.example"]
    assert not {"grant", "roles", "auth_time", "acr", "amr", "sid"} & claims.keys()


def test_an_id_token_says_who_has_signed_in_and_nothing_more(
    services: ProtocolServices, signer: Signer, client: OAuthClient, grant: OAuthGrant
) -> None:
    grant.acr, grant.amr, grant.session_id = None, [], None

    make_id_token(services, client, grant=grant, owner=OWNER, access_token="at", now=NOW, nonce="n")

    assert signer.signed == [
        (
            "JWT",
            {
                "iss": "https://issuer.example.com",
                "sub": "ann",
                "aud": "shop",
                "iat": SECONDS,
                "exp": SECONDS + 300,
                "at_hash": make_half_hash("at"),
                "auth_time": SECONDS - 3600,
                "nonce": "n",
            },
        )
    ]


def test_without_a_nonce_there_is_none(
    services: ProtocolServices, signer: Signer, client: OAuthClient, grant: OAuthGrant
) -> None:
    make_id_token(services, client, grant=grant, owner=OWNER, access_token="at", now=NOW)

    assert "nonce" not in signer.signed[0][1]


def test_half_a_hash_is_the_left_half() -> None:
    # The example of OpenID Connect Core, appendix A.3.
    token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"

    assert make_half_hash(token) == "77QmUPtjPfzWtF2AnpK9RQ"
    half = hashlib.sha256(token.encode()).digest()[:16]
    assert base64.urlsafe_b64decode(make_half_hash(token) + "==") == half
