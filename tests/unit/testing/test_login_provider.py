from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from fastapi_baseline.testing import OMIT
from fastapi_baseline.testing.login_provider import (
    TOKEN_PATH,
    USERINFO_PATH,
    LoginProvider,
    half_hash,
    make_transport,
)
from fastapi_baseline.testing.signing_keys import encode_base64url

BACK = "https://shop.test/auth/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
# RFC 7636, appendix B.
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
ASKED = {
    "redirect_uri": BACK,
    "state": "s",
    "nonce": "n",
    "scope": "openid",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@pytest.fixture
def provider() -> LoginProvider:
    return LoginProvider()


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def ask(
    provider: LoginProvider, form: dict[str, str], *, secret: str | None = None
) -> httpx2.Response:
    given = secret or provider.client_secret
    async with provider.client() as client:
        return await client.post(
            provider.url + TOKEN_PATH,
            data={"client_id": provider.client_id, "client_secret": given, **form},
        )


def sign_in(provider: LoginProvider, **changes: str) -> dict[str, str]:
    """Return the form by which a code is exchanged."""
    url = f"{provider.url}/authorize?{urlencode({**ASKED, **changes})}"
    code = query_of(provider.sign_in(url, sid="s-1"))["code"]
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
    }


async def test_gives_tokens_for_a_code(provider: LoginProvider) -> None:
    answer = (await ask(provider, sign_in(provider))).json()

    keys = KeySet.import_key_set({"keys": provider.jwks()["keys"]})
    claims = jwt.decode(answer["id_token"], keys, algorithms=["ES256"]).claims
    assert (claims["sub"], claims["nonce"], claims["sid"]) == ("ann", "n", "s-1")
    assert claims["at_hash"] == half_hash(answer["access_token"])
    assert answer["token_type"] == "Bearer"


async def test_a_code_is_good_once(provider: LoginProvider) -> None:
    form = sign_in(provider)
    await ask(provider, form)

    assert (await ask(provider, form)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "x" * 43},
        {"code_verifier": ""},
        {"redirect_uri": "https://evil.test"},
        {"code": "x"},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_refuses_what_does_not_fit(provider: LoginProvider, changes: dict[str, str]) -> None:
    answer = await ask(provider, {**sign_in(provider), **changes})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_refuses_a_challenge_that_is_its_verifier(provider: LoginProvider) -> None:
    form = sign_in(provider, code_challenge=VERIFIER, code_challenge_method="plain")

    assert (await ask(provider, form)).status_code == 400


async def test_refuses_another_client(provider: LoginProvider) -> None:
    answer = await ask(provider, sign_in(provider), secret="wrong")

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_refresh_token_is_good_once(provider: LoginProvider) -> None:
    first = (await ask(provider, sign_in(provider))).json()
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}

    second = await ask(provider, form)
    third = await ask(provider, form)

    assert (second.status_code, third.status_code) == (200, 400)
    assert list(provider.refresh_tokens) == [second.json()["refresh_token"]]


async def test_tells_about_somebody_by_their_token_only(provider: LoginProvider) -> None:
    token = (await ask(provider, sign_in(provider))).json()["access_token"]
    url = provider.url + USERINFO_PATH
    async with provider.client() as client:
        known = await client.get(url, headers={"Authorization": f"Bearer {token}"})
        unknown = await client.get(url, headers={"Authorization": "Bearer x"})

    assert known.json() == {"sub": "ann", "email": "ann@example.com"}
    assert unknown.status_code == 401


def test_can_refuse_somebody(provider: LoginProvider) -> None:
    back = provider.refuse(f"{provider.url}/authorize?{urlencode(ASKED)}", "login_required")

    assert query_of(back) == {"error": "login_required", "state": "s", "iss": provider.url}


@pytest.mark.parametrize(
    ("changes", "expected"), [({"aud": "other"}, "other"), ({"aud": OMIT}, None)], ids=str
)
async def test_lies_if_it_is_told_to(
    provider: LoginProvider, changes: dict[str, Any], expected: str | None
) -> None:
    provider.id_token_claims = changes
    provider.token_changes = {"refresh_token": OMIT}
    provider.metadata_changes = {"issuer": "https://other.test"}

    answer = (await ask(provider, sign_in(provider))).json()

    keys = KeySet.import_key_set({"keys": provider.jwks()["keys"]})
    assert jwt.decode(answer["id_token"], keys, algorithms=["ES256"]).claims.get("aud") == expected
    assert "refresh_token" not in answer
    assert provider.metadata()["issuer"] == "https://other.test"


def test_a_token_can_be_signed_by_nobody(provider: LoginProvider) -> None:
    provider.id_token_header = {"alg": "none"}

    token = provider.mint_id_token("ann")

    assert token.endswith(".")
    assert token.startswith(encode_base64url(b'{"alg":"none'))


async def test_several_answer_by_their_hosts(provider: LoginProvider) -> None:
    other = LoginProvider("https://other.test")
    async with httpx2.AsyncClient(transport=make_transport(provider, other)) as client:
        answers = [
            await client.get(f"{host}/.well-known/openid-configuration")
            for host in (provider.url, other.url, "https://nobody.test")
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 404]
    assert answers[1].json()["issuer"] == other.url


def test_can_be_asked_over_a_socket() -> None:
    with LoginProvider.serving(audience="shop-2") as provider:
        answer = httpx2.get(f"{provider.url}/.well-known/openid-configuration")

    assert answer.json()["issuer"] == provider.url
    assert provider.client_id == "shop-2"
