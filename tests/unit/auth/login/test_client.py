import base64
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from fastapi_baseline.auth.login.client import ProviderClient
from fastapi_baseline.auth.login.errors import (
    InvalidUserinfoError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from fastapi_baseline.auth.login.providers import make_provider
from fastapi_baseline.settings.auth import LoginProviderSettings, TokenSettings
from fastapi_baseline.testing import OMIT, ManualClock, make_signing_key
from fastapi_baseline.testing.issuer_endpoints import JWKS_PATH, OPENID_PATH
from fastapi_baseline.testing.login_provider import TOKEN_PATH, USERINFO_PATH, LoginProvider

BACK = "https://shop.test/auth/callback"
VERIFIER = "v" * 43


@pytest.fixture(scope="module")
def rsa() -> RSAKey:
    return RSAKey.generate_key(2048, parameters={"kid": "shop-1"})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def provider(clock: ManualClock) -> LoginProvider:
    return LoginProvider(clock=clock)


@asynccontextmanager
async def asking(provider: LoginProvider, **settings: Any) -> AsyncGenerator[ProviderClient]:
    given = {
        "issuer": provider.url,
        "client_id": provider.client_id,
        "client_secret": provider.client_secret,
        **settings,
    }
    client = ProviderClient(
        make_provider(LoginProviderSettings.model_validate(given)),
        settings=TokenSettings(),
        clock=provider.clock,
        make_transport=provider.make_transport,
    )
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def client(provider: LoginProvider) -> AsyncGenerator[ProviderClient]:
    async with asking(provider) as made:
        yield made


async def sign_in(client: ProviderClient, provider: LoginProvider) -> Any:
    url = await client.make_authorization_url(
        redirect_uri=BACK, state="s", nonce="n", verifier=VERIFIER, parameters={}
    )
    code = parse_qs(urlsplit(provider.sign_in(url)).query)["code"][0]
    return await client.fetch_tokens(code=code, verifier=VERIFIER, redirect_uri=BACK)


def answering(status: int, **options: Any) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _: httpx2.Response(status, **options)


async def test_sends_a_browser_with_a_challenge_and_no_verifier(client: ProviderClient) -> None:
    url = await client.make_authorization_url(
        redirect_uri=BACK, state="s", nonce="n", verifier=VERIFIER, parameters={"prompt": "login"}
    )

    asked = parse_qs(urlsplit(url).query)
    assert url.startswith("https://login.test/authorize?")
    assert asked["scope"] == ["openid profile email offline_access"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["prompt"] == ["login"]
    assert VERIFIER not in url


async def test_keeps_the_query_of_an_endpoint(
    client: ProviderClient, provider: LoginProvider
) -> None:
    provider.metadata_changes = {"authorization_endpoint": "https://login.test/authorize?p=b2c"}

    url = await client.make_authorization_url(
        redirect_uri=BACK, state="s", nonce="n", verifier=VERIFIER, parameters={}
    )

    assert parse_qs(urlsplit(url).query)["p"] == ["b2c"]


async def test_fetches_tokens(client: ProviderClient, provider: LoginProvider) -> None:
    tokens = await sign_in(client, provider)

    assert tokens.expires_at == provider.clock.now() + timedelta(minutes=5)
    assert tokens.access_token in provider.access_tokens
    assert provider.forms[0]["redirect_uri"] == BACK
    assert "client_secret" not in provider.forms[0]


async def test_refreshes_with_the_scopes_that_there_were(
    client: ProviderClient, provider: LoginProvider
) -> None:
    tokens = await sign_in(client, provider)

    new = await client.refresh(tokens.refresh_token)

    assert new.access_token != tokens.access_token
    assert new.refresh_token in provider.refresh_tokens
    assert provider.forms[1] == {
        "grant_type": "refresh_token",
        "refresh_token": tokens.refresh_token,
    }


async def test_an_old_refresh_token_goes_on_if_there_is_no_new_one(
    client: ProviderClient, provider: LoginProvider
) -> None:
    tokens = await sign_in(client, provider)
    provider.token_changes = {"refresh_token": OMIT}

    new = await client.refresh(tokens.refresh_token)

    assert new.refresh_token in {None, tokens.refresh_token}


async def test_says_that_a_refresh_token_is_worth_nothing_any_more(
    client: ProviderClient, provider: LoginProvider
) -> None:
    tokens = await sign_in(client, provider)
    await client.refresh(tokens.refresh_token)

    with pytest.raises(ProviderRefusedError) as caught:
        await client.refresh(tokens.refresh_token)

    assert caught.value.error == "invalid_grant"


async def test_encodes_what_no_header_can_have_as_it_is() -> None:
    provider = LoginProvider(
        clock=ManualClock(), client_id="a:b c", client_secret="sécret: 100%+/ü€"
    )
    async with asking(provider) as client:
        assert await sign_in(client, provider)


async def test_sends_the_secret_in_the_form_where_no_header_is_accepted(
    client: ProviderClient, provider: LoginProvider
) -> None:
    provider.metadata_changes = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}

    await sign_in(client, provider)

    assert provider.forms[0]["client_secret"] == provider.client_secret


async def test_sends_no_secret_where_none_is_accepted(
    client: ProviderClient, provider: LoginProvider
) -> None:
    provider.metadata_changes = {"token_endpoint_auth_methods_supported": ["tls_client_auth"]}

    with pytest.raises(ProviderUnavailableError):
        await sign_in(client, provider)

    assert provider.forms == []


async def test_proves_who_it_is_with_a_key(provider: LoginProvider, rsa: RSAKey) -> None:
    key = json.dumps(rsa.as_dict(private=True))
    async with asking(provider, client_secret=None, private_key=key) as client:
        tokens = await sign_in(client, provider)
        await client.refresh(tokens.refresh_token)

    first, second = (
        jwt.decode(form["client_assertion"], rsa, algorithms=["RS256"]) for form in provider.forms
    )
    now = int(provider.clock.now().timestamp())
    assert first.header == {"alg": "RS256", "typ": "JWT", "kid": "shop-1"}
    assert first.claims["iss"] == first.claims["sub"] == "shop"
    assert first.claims["aud"] == "https://login.test/token"
    assert (first.claims["iat"], first.claims["exp"]) == (now, now + 60)
    assert first.claims["jti"] != second.claims["jti"]
    assert "client_secret" not in provider.forms[0]


async def test_a_key_may_be_of_a_curve(provider: LoginProvider) -> None:
    key = ECKey.generate_key("P-256")
    pem = key.as_pem(private=True).decode()
    async with asking(provider, client_secret=None, private_key=pem) as client:
        await sign_in(client, provider)

    assertion = provider.forms[0]["client_assertion"]
    assert jwt.decode(assertion, key, algorithms=["ES256"]).header["alg"] == "ES256"


async def test_reads_what_the_provider_says_of_somebody(
    client: ProviderClient, provider: LoginProvider
) -> None:
    tokens = await sign_in(client, provider)

    claims = await client.fetch_userinfo(tokens.access_token, subject="ann")

    assert claims == {"sub": "ann", "email": "ann@example.com"}


async def test_refuses_what_it_says_of_somebody_else(
    client: ProviderClient, provider: LoginProvider
) -> None:
    tokens = await sign_in(client, provider)

    with pytest.raises(InvalidUserinfoError):
        await client.fetch_userinfo(tokens.access_token, subject="eve")


async def test_sends_a_token_to_no_other_address(
    client: ProviderClient, provider: LoginProvider
) -> None:
    tokens = await sign_in(client, provider)
    provider.endpoints.answers[USERINFO_PATH] = answering(302, headers={"Location": "/elsewhere"})

    with pytest.raises(ProviderUnavailableError):
        await client.fetch_userinfo(tokens.access_token, subject="ann")

    assert "/elsewhere" not in provider.endpoints.requests


async def test_knows_where_to_sign_out(client: ProviderClient) -> None:
    url = await client.find_logout_url(
        id_token="a.b.c", return_url="https://shop.test/", state="x y"
    )

    assert url is not None
    assert parse_qs(urlsplit(url).query) == {
        "id_token_hint": ["a.b.c"],
        "post_logout_redirect_uri": ["https://shop.test/"],
        "state": ["x y"],
        "client_id": ["shop"],
    }


async def test_there_may_be_nowhere_to_sign_out(
    client: ProviderClient, provider: LoginProvider
) -> None:
    provider.metadata_changes = {"end_session_endpoint": OMIT}

    assert await client.find_logout_url(id_token=None, return_url=None, state=None) is None


async def test_keys_that_have_moved_are_looked_for_again(
    client: ProviderClient, provider: LoginProvider, clock: ManualClock
) -> None:
    tokens = await sign_in(client, provider)
    await client.id_tokens.verify(tokens.id_token, nonce="n")
    provider.endpoints.answers["/keys"] = provider.endpoints.answers.pop(JWKS_PATH)
    provider.metadata_changes = {"jwks_uri": "https://login.test/keys"}
    provider.rotate(keeps_old=False)
    with pytest.raises(ProviderUnavailableError):
        await client.id_tokens.verify(provider.mint_id_token("ann", nonce="n"), nonce="n")
    clock.advance(timedelta(minutes=1))

    found = await client.id_tokens.verify(provider.mint_id_token("ann", nonce="n"), nonce="n")

    assert found.subject == "ann"
    assert provider.endpoints.count(OPENID_PATH) == 2


async def test_keys_that_cannot_be_used_let_nobody_in(
    client: ProviderClient, provider: LoginProvider
) -> None:
    tokens = await sign_in(client, provider)
    provider.keys = [make_signing_key("ES256").with_jwk(use="enc")]

    with pytest.raises(ProviderUnavailableError):
        await client.id_tokens.verify(tokens.id_token, nonce="n")


async def test_no_keys_are_to_be_had_without_metadata(
    client: ProviderClient, provider: LoginProvider
) -> None:
    provider.endpoints.answers[OPENID_PATH] = answering(500)

    with pytest.raises(ProviderUnavailableError):
        await client.id_tokens.verify(provider.mint_id_token("ann", nonce="n"), nonce="n")

    assert provider.endpoints.count(JWKS_PATH) == 0


async def test_asks_over_a_socket(clock: ManualClock) -> None:
    with LoginProvider.serving(clock=clock) as served:
        client = ProviderClient(
            make_provider(
                LoginProviderSettings.model_validate(
                    {
                        "issuer": served.url,
                        "client_id": served.client_id,
                        "client_secret": served.client_secret,
                    }
                )
            ),
            settings=TokenSettings(),
            clock=clock,
        )
        tokens = await sign_in(client, served)
        found = await client.id_tokens.verify(tokens.id_token, nonce="n")
        await client.refresh(tokens.refresh_token)
        await client.close()

    assert found.subject == "ann"


async def test_nothing_secret_is_logged(
    client: ProviderClient, provider: LoginProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = await sign_in(client, provider)
    await client.refresh(tokens.refresh_token)
    provider.endpoints.answers[TOKEN_PATH] = answering(200, text=tokens.access_token)
    with pytest.raises(ProviderUnavailableError):
        await client.refresh(tokens.refresh_token)

    pair = f"shop:{provider.client_secret}"
    for secret in (
        VERIFIER,
        tokens.access_token,
        tokens.refresh_token,
        tokens.id_token,
        provider.client_secret,
        base64.b64encode(pair.encode()).decode(),
    ):
        assert secret not in caplog.text


def test_authlib_says_nothing_of_what_it_does() -> None:
    assert not logging.getLogger("authlib.integrations.base_client.sync_app").isEnabledFor(
        logging.DEBUG
    )
