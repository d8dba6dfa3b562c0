"""Tokens of oauth2-mock-server: good ones, and such as a hook of its own has spoilt."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from httpx2 import AsyncClient

from fastapi_baseline.settings.auth import AuthSettings, TokenSettings
from fastapi_baseline.testing import ManualClock, ServerProcess

AUDIENCE = "https://api.example.com"
Serving = Callable[[AuthSettings], AbstractAsyncContextManager[AsyncClient]]

PURPOSES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "typ JWT, as it is by default": {"header": {"typ": "JWT"}},
    "an ID token": {"header": {"typ": "JWT"}, "payload": {"nonce": "n", "at_hash": "h"}},
    "a logout token": {"header": {"typ": "logout+jwt"}},
    "for another service": {"payload": {"aud": "https://other.example.com"}},
    "for what begins with this service": {"payload": {"aud": f"{AUDIENCE}.evil.example"}},
    "for nobody": {"payload": {"aud": []}},
    "of another issuer": {"payload": {"iss": "https://issuer.example.com"}},
    "of this issuer with a slash": {"payload": {"iss": "{issuer}/"}},
    "past": {"payload": {"exp": -600}},
    "not yet": {"payload": {"nbf": 600}},
    "issued in the future": {"payload": {"iat": 600}},
    "for nobody in particular": {"payload": {"sub": ""}},
    "bound to a key": {"payload": {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}},
}


def test_the_table_has_one_reason_each() -> None:
    assert len(PURPOSES) >= 13


async def test_lets_in_whom_its_tokens_are_for(
    serving: Serving, oauth2_mock_server: ServerProcess
) -> None:
    token = forged(oauth2_mock_server)

    async with serving(trusting(oauth2_mock_server)) as client:
        answer = await ask(client, token)

    assert answer.status_code == 200
    assert answer.json() == {
        "issuer": oauth2_mock_server.base_url,
        "subject": "johndoe",
        "client": "a-client",
        "scopes": ["orders:read"],
    }


async def test_answers_403_to_a_token_with_another_scope(
    serving: Serving, oauth2_mock_server: ServerProcess
) -> None:
    token = forged(oauth2_mock_server, payload={"scope": "orders:readonly"})

    async with serving(trusting(oauth2_mock_server)) as client:
        answer = await ask(client, token)

    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_refuses_what_it_has_signed_for_something_else(
    purpose: str, serving: Serving, oauth2_mock_server: ServerProcess
) -> None:
    given = PURPOSES[purpose]
    payload = {
        name: filled(name, value, oauth2_mock_server)
        for name, value in given.get("payload", {}).items()
    }
    token = forged(oauth2_mock_server, header=given.get("header", {}), payload=payload)

    async with serving(trusting(oauth2_mock_server)) as client:
        answer = await ask(client, token)
        good = await ask(client, forged(oauth2_mock_server))

    assert (answer.status_code, good.status_code) == (401, 200)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_refuses_every_token_that_was_altered(
    serving: Serving,
    oauth2_mock_server: ServerProcess,
    altered: Callable[[str], Mapping[str, str]],
) -> None:
    token = forged(oauth2_mock_server)
    tokens = altered(token)

    async with serving(trusting(oauth2_mock_server)) as client:
        found = {name: (await ask(client, tokens[name])).status_code for name in tokens}
        good = await ask(client, token)

    assert found == dict.fromkeys(tokens, 401)
    assert good.status_code == 200


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_follows_it_through_a_rotation_of_its_keys(
    algorithm: str, serving: Serving, clock: ManualClock, oauth2_mock_server: ServerProcess
) -> None:
    old = forged(oauth2_mock_server)

    async with serving(trusting(oauth2_mock_server)) as client:
        before = await ask(client, old)
        clock.advance(timedelta(seconds=31))
        told(oauth2_mock_server, "rotate", algorithm=algorithm)
        new = forged(oauth2_mock_server)
        at_once, still = await ask(client, new), await ask(client, old)
        told(oauth2_mock_server, "retire")
        clock.advance(timedelta(minutes=11))
        after, gone = await ask(client, new), await ask(client, old)

    statuses = [one.status_code for one in (before, at_once, still, after, gone)]
    assert statuses == [200, 200, 200, 200, 401]


async def test_refuses_an_algorithm_that_is_not_named(
    serving: Serving, oauth2_mock_server: ServerProcess
) -> None:
    told(oauth2_mock_server, "rotate", algorithm="PS256")
    other = forged(oauth2_mock_server)
    told(oauth2_mock_server, "rotate", algorithm="RS256")

    async with serving(trusting(oauth2_mock_server)) as client:
        refused, good = await ask(client, other), await ask(client, forged(oauth2_mock_server))

    assert (refused.status_code, good.status_code) == (401, 200)


def trusting(server: ServerProcess) -> AuthSettings:
    tokens = TokenSettings(keys_cooldown=timedelta(seconds=30), keys_max_age=timedelta(minutes=10))
    return AuthSettings(issuer=server.base_url, audience=(AUDIENCE,), tokens=tokens)


def forged(
    server: ServerProcess,
    *,
    header: Mapping[str, Any] | None = None,
    payload: Mapping[str, Any] | None = None,
) -> str:
    """Return a token that the server has signed, as RFC 9068 has it but for what is given."""
    claims = {
        "aud": AUDIENCE,
        "sub": "johndoe",
        "client_id": "a-client",
        "jti": "a-token",
        "scope": "orders:read",
    }
    token: str = told(
        server,
        "forge",
        header={"typ": "at+jwt", **(header or {})},
        payload={**claims, **(payload or {})},
    )["token"]
    return token


def told(server: ServerProcess, what: str, **body: Any) -> dict[str, Any]:
    answer = httpx2.post(f"{server.base_url}/{what}", json=body)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def filled(name: str, value: Any, server: ServerProcess) -> Any:
    """Return what a claim is: times are written as seconds from now."""
    if name in {"exp", "iat", "nbf"}:
        return int(time.time()) + int(value)  # noqa: TID251 - that of the machine, as the peer has it
    return value.replace("{issuer}", server.base_url) if isinstance(value, str) else value


async def ask(client: AsyncClient, token: str) -> httpx2.Response:
    return await client.get("/orders", headers={"authorization": f"Bearer {token}"})
