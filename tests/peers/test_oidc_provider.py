"""Tokens of oidc-provider, which is certified: those for this service, and all of its others."""

import base64
import hashlib
import html
import re
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from httpx2 import AsyncClient, Client
from joserfc import jwt
from joserfc.jwk import ECKey
from pydantic import SecretStr

from fastapi_baseline.settings.auth import AuthSettings, IssuerSettings
from fastapi_baseline.testing import ManualClock, ServerProcess

SIGNED = {"RS256": "https://api.example.com", "ES256": "https://curves.example.com"}
OPAQUE = "https://opaque.example.com"
CLIENT = ("service", "a-secret-of-the-service-that-is-long-enough")
CALLBACK = "https://app.example.com/callback"
Serving = Callable[[AuthSettings], AbstractAsyncContextManager[AsyncClient]]


@pytest.mark.parametrize("algorithm", SIGNED)
async def test_lets_in_a_program_with_a_token_of_its_own(
    algorithm: str, serving: Serving, oidc_provider: ServerProcess
) -> None:
    audience = SIGNED[algorithm]
    token = granted(oidc_provider, audience)

    async with serving(trusting(oidc_provider, audience)) as client:
        answer = await ask(client, token)

    assert answer.status_code == 200
    assert answer.json() == {
        "issuer": oidc_provider.base_url,
        "subject": "service",
        "client": "service",
        "scopes": ["orders:read"],
    }


async def test_answers_403_to_a_token_with_another_scope(
    serving: Serving, oidc_provider: ServerProcess
) -> None:
    token = granted(oidc_provider, SIGNED["RS256"], scope="orders:write")

    async with serving(trusting(oidc_provider)) as client:
        answer = await ask(client, token)

    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


async def test_refuses_a_token_for_another_service(
    serving: Serving, oidc_provider: ServerProcess
) -> None:
    token = granted(oidc_provider, SIGNED["ES256"])

    async with serving(trusting(oidc_provider)) as client:
        answer = await ask(client, token)

    assert answer.status_code == 401


@pytest.mark.parametrize("algorithm", SIGNED)
async def test_refuses_every_token_that_was_altered(
    algorithm: str,
    serving: Serving,
    oidc_provider: ServerProcess,
    altered: Callable[[str], Mapping[str, str]],
) -> None:
    token = granted(oidc_provider, SIGNED[algorithm])
    tokens = altered(token)

    async with serving(trusting(oidc_provider, SIGNED[algorithm])) as client:
        found = {name: (await ask(client, tokens[name])).status_code for name in tokens}
        good = await ask(client, token)

    assert found == dict.fromkeys(tokens, 401)
    assert good.status_code == 200


@pytest.mark.parametrize("algorithm", SIGNED)
async def test_follows_it_through_a_rotation_of_its_keys(
    algorithm: str, serving: Serving, clock: ManualClock, oidc_provider: ServerProcess
) -> None:
    audience = SIGNED[algorithm]
    old = granted(oidc_provider, audience)

    async with serving(trusting(oidc_provider, audience)) as client:
        before = await ask(client, old)
        clock.advance(timedelta(seconds=31))
        httpx2.post(f"{oidc_provider.base_url}/peer/rotate").raise_for_status()
        new = granted(oidc_provider, audience)
        at_once, still = await ask(client, new), await ask(client, old)
        httpx2.post(f"{oidc_provider.base_url}/peer/retire").raise_for_status()
        clock.advance(timedelta(minutes=11))
        after, gone = await ask(client, new), await ask(client, old)

    statuses = [one.status_code for one in (before, at_once, still, after, gone)]
    assert statuses == [200, 200, 200, 200, 401]


async def test_asks_it_about_opaque_tokens(
    serving: Serving, clock: ManualClock, oidc_provider: ServerProcess
) -> None:
    token: str = signed_in(oidc_provider, "johndoe", resource=OPAQUE)["access_token"]

    async with serving(asking(oidc_provider)) as client:
        good = await ask(client, token)
        unknown = await ask(client, token[:-1] + ("a" if token[-1] != "a" else "b"))
        revoked = httpx2.post(
            f"{oidc_provider.base_url}/token/revocation", data={"token": token}, auth=CLIENT
        )
        clock.advance(timedelta(seconds=31))
        gone = await ask(client, token)

    assert revoked.is_success
    assert [one.status_code for one in (good, unknown, gone)] == [200, 401, 401]
    assert good.json() == {
        "issuer": oidc_provider.base_url,
        "subject": "johndoe",
        "client": "service",
        "scopes": ["orders:read"],
    }


async def test_refuses_an_opaque_token_of_which_it_does_not_say_who_has_it(
    serving: Serving, oidc_provider: ServerProcess
) -> None:
    # What it says of a program that asks for itself has no `sub`, which RFC 7662 leaves open.
    token = granted(oidc_provider, OPAQUE)

    async with serving(asking(oidc_provider)) as client:
        answer = await ask(client, token)

    assert answer.status_code == 401


async def test_refuses_an_opaque_token_for_another_service(
    serving: Serving, oidc_provider: ServerProcess
) -> None:
    token: str = signed_in(oidc_provider, "johndoe", resource=OPAQUE)["access_token"]

    async with serving(asking(oidc_provider, SIGNED["RS256"])) as client:
        answer = await ask(client, token)

    assert answer.status_code == 401


async def test_refuses_a_token_that_is_bound_to_a_key(
    serving: Serving, oidc_provider: ServerProcess
) -> None:
    endpoint = f"{oidc_provider.base_url}/token"
    key = ECKey.generate_key("P-256")
    header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
    now = int(time.time())  # noqa: TID251 - that of the machine, as the peer has it
    claims = {"htm": "POST", "htu": endpoint, "iat": now, "jti": uuid.uuid4().hex}
    token = granted(
        oidc_provider, SIGNED["RS256"], headers={"dpop": jwt.encode(header, claims, key)}
    )

    async with serving(trusting(oidc_provider)) as client:
        answer = await ask(client, token)

    assert answer.status_code == 401


async def test_lets_in_a_user_who_has_signed_in_and_refuses_the_id_token(
    serving: Serving, oidc_provider: ServerProcess
) -> None:
    tokens = signed_in(oidc_provider, "johndoe")

    async with serving(trusting(oidc_provider)) as client:
        access = await ask(client, tokens["access_token"])
        identity = await ask(client, tokens["id_token"])

    assert (access.status_code, identity.status_code) == (200, 401)
    assert access.json()["subject"] == "johndoe"
    assert access.json()["client"] == "service"


async def test_refuses_the_id_token_though_it_is_for_the_same_audience(
    serving: Serving, oidc_provider: ServerProcess
) -> None:
    tokens = signed_in(oidc_provider, "johndoe")

    async with serving(trusting(oidc_provider, CLIENT[0])) as client:
        answer = await ask(client, tokens["id_token"])

    assert answer.status_code == 401


def trusting(server: ServerProcess, audience: str = SIGNED["RS256"]) -> AuthSettings:
    return AuthSettings(issuer=server.base_url, audience=(audience,))


def asking(server: ServerProcess, audience: str = OPAQUE) -> AuthSettings:
    issuer = IssuerSettings(
        issuer=server.base_url,
        audience=(audience,),
        introspection_url=f"{server.base_url}/token/introspection",
        client_id=CLIENT[0],
        client_secret=SecretStr(CLIENT[1]),
    )
    return AuthSettings(issuers=(issuer,))


def granted(
    server: ServerProcess,
    resource: str,
    *,
    scope: str = "orders:read",
    headers: Mapping[str, str] | None = None,
) -> str:
    """Return a token of the client itself."""
    form = {"grant_type": "client_credentials", "resource": resource, "scope": scope}
    answer = httpx2.post(
        f"{server.base_url}/token", data=form, auth=CLIENT, headers=dict(headers or {})
    )
    token: str = answer.raise_for_status().json()["access_token"]
    return token


def signed_in(
    server: ServerProcess, user: str, *, resource: str = SIGNED["RS256"]
) -> dict[str, Any]:
    """Return the tokens of a user who has gone through the pages of the server."""
    verifier = uuid.uuid4().hex * 2
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "client_id": CLIENT[0],
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "nonce": uuid.uuid4().hex,
        "redirect_uri": CALLBACK,
        "resource": resource,
        "response_type": "code",
        "scope": "openid orders:read",
    }
    with Client(base_url=server.base_url) as browser:
        answer = browser.get("/auth", params=asked)
        while not (where := answer.headers.get("location", "")).startswith(CALLBACK):
            answer = browser.get(where) if where else submit(browser, answer.text, user)
        (code,) = parse_qs(urlsplit(where).query)["code"]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": CALLBACK,
        }
        found: dict[str, Any] = (
            browser.post("/token", data=form, auth=CLIENT).raise_for_status().json()
        )
        return found


def submit(browser: Client, page: str, user: str) -> httpx2.Response:
    """Send the form of a page, as the user who signs in and agrees."""
    action = re.search(r'<form[^>]* action="([^"]+)"', page)
    prompt = re.search(r'name="prompt" value="(\w+)"', page)
    assert action is not None
    assert prompt is not None
    form = {"prompt": prompt[1], "login": user, "password": "any"}
    return browser.post(html.unescape(action[1]), data=form)


async def ask(client: AsyncClient, token: str) -> httpx2.Response:
    return await client.get("/orders", headers={"authorization": f"Bearer {token}"})
