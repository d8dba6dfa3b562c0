import html
import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from joserfc import jwt
from joserfc.jwk import JWKRegistry
from joserfc.jws import extract_compact
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.auth.server.clients import RegisteredClient
from fastapi_baseline.auth.server.protocol.pkce import make_challenge
from fastapi_baseline.auth.users import UserRecord
from fastapi_baseline.auth.users.sign_in_pages import make_sign_in_pages_router
from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey
from fastapi_baseline.testing.issuing import (
    CALLBACK,
    ORIGIN,
    PASSWORD,
    VERIFIER,
    IssuingService,
    open_issuing_service,
)

AUTHORIZE, USERINFO = "/oauth2/authorize", "/oauth2/userinfo"
METADATA = "/.well-known/openid-configuration"
ANN = "ann@example.com"
HOME = "https://client.example.com/bye"
GOOD = {
    "client_id": "shop",
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "openid",
    "state": "a-state",
    "nonce": "a-nonce",
    "code_challenge": make_challenge(VERIFIER),
    "code_challenge_method": "S256",
}
_FIELD = re.compile(r'<input [^>]*name="(\w+)"[^>]*?(?: value="([^"]*)")?[ >]')


class Reader(Base, UUIDPrimaryKey, Timestamps, UserRecord):
    """A user of whom a client may know the name."""

    name: Mapped[str] = mapped_column(default="Ann Example")


@dataclass(frozen=True)
class Arrival:
    """Where a user came to: back to the client, or to an answer that leads nowhere."""

    said: Mapping[str, str]
    answer: Response
    pages: int

    @property
    def code(self) -> str:
        assert "code" in self.said, (self.answer.status_code, self.said, self.answer.text)
        return self.said["code"]


class Flow:
    """A user in front of their browser, and the client that sends them to the server."""

    def __init__(self, service: IssuingService, browser: AsyncClient) -> None:
        self.service = service
        self.browser = browser
        self.client: RegisteredClient | None = None

    async def go(self, method: str = "GET", **changed: str | None) -> Arrival:
        """Come with a request of the client, and sign in where that is asked for."""
        asked = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
        sent: dict[str, Any] = {"params" if method == "GET" else "data": asked}
        answer = await self.browser.request(method, AUTHORIZE, **sent)
        for pages in range(3):
            while "location" in answer.headers:
                where = urljoin(str(answer.url), answer.headers["location"])
                if not where.startswith(ORIGIN):
                    return Arrival(dict(parse_qsl(urlsplit(where).query)), answer, pages)
                answer = await self.browser.get(where)
            if "<form" not in answer.text:
                return Arrival({}, answer, pages)
            answer = await self.browser.post(
                str(answer.url.copy_with(query=None)), data=fill(answer)
            )
        raise AssertionError(answer.text)

    async def redeem(self, code: str, **form: str) -> Response:
        assert self.client is not None
        return await self.service.redeem(self.client, code, **form)

    async def sign_in(self, method: str = "GET", **changed: str | None) -> dict[str, Any]:
        """Return the tokens that the client has in the end."""
        answer = await self.redeem((await self.go(method, **changed)).code)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def claims(self, **changed: str | None) -> dict[str, Any]:
        """Return what the ID token says in the end."""
        return claims_of((await self.sign_in("GET", **changed))["id_token"])


def claims_of(token: str) -> dict[str, Any]:
    """Return what a token says; that it is signed is a test of its own."""
    found: dict[str, Any] = json.loads(extract_compact(token.encode()).payload)
    return found


def fill(page: Response) -> dict[str, str]:
    filled = {name: html.unescape(value or "") for name, value in _FIELD.findall(page.text)}
    return {**filled, "email": ANN, "password": PASSWORD}


def header_of(token: str) -> dict[str, Any]:
    return dict(extract_compact(token.encode()).headers())


@asynccontextmanager
async def opened(folder: Path, **server: Any) -> AsyncGenerator[IssuingService]:
    """Open a service on whose pages people sign in."""

    def include(app: FastAPI) -> None:
        app.include_router(make_sign_in_pages_router())

    url = f"sqlite:///{folder / 'op.db'}"
    async with open_issuing_service(Reader, url, server=server, include=include) as service:
        yield service


@pytest.fixture
async def service(tmp_path: Path) -> AsyncGenerator[IssuingService]:
    async with opened(tmp_path) as service:
        yield service


@pytest.fixture
async def subject(service: IssuingService) -> str:
    return await service.add_user()


@pytest.fixture
async def flow(service: IssuingService, subject: str) -> Flow:
    flow = Flow(service, await service.open_browser())
    flow.client = await service.add_client(client_id="shop", post_logout_redirect_uris=(HOME,))
    return flow


# Basic: what a client has of a user who signs in.


async def test_an_id_token_says_who_has_signed_in_for_whom_and_when(
    flow: Flow, subject: str
) -> None:
    tokens = await flow.sign_in()

    claims, now = claims_of(tokens["id_token"]), int(flow.service.clock.now().timestamp())
    assert tokens["token_type"] == "Bearer"
    assert claims["iss"] == ORIGIN
    assert claims["sub"] == subject
    assert claims["aud"] in ("shop", ["shop"])
    assert claims["nonce"] == "a-nonce"
    assert claims["iat"] == claims["auth_time"] == now
    assert now < claims["exp"] <= now + 3600


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_an_id_token_is_signed_by_a_key_that_is_published(
    algorithm: str, tmp_path: Path
) -> None:
    async with opened(tmp_path, algorithm=algorithm) as service:
        await service.add_user()
        flow = Flow(service, await service.open_browser())
        flow.client = await service.add_client(client_id="shop")
        token = (await flow.sign_in())["id_token"]
        metadata = (await service.http.get(METADATA)).json()
        published = (await service.http.get(str(metadata["jwks_uri"]))).json()["keys"]

    header = header_of(token)
    (key,) = [one for one in published if one["kid"] == header["kid"]]
    assert header["alg"] == algorithm
    assert header["alg"] in metadata["id_token_signing_alg_values_supported"]
    assert "none" not in metadata["id_token_signing_alg_values_supported"]
    assert jwt.decode(token, JWKRegistry.import_key(key), algorithms=[algorithm]).claims
    assert not {"d", "p", "q"} & set(key)


async def test_an_id_token_of_a_request_without_a_nonce_has_none(flow: Flow) -> None:
    assert "nonce" not in await flow.claims(nonce=None)


async def test_a_request_may_be_without_a_state(flow: Flow) -> None:
    assert "state" not in (await flow.go(state=None)).said


async def test_a_request_may_be_posted(flow: Flow, subject: str) -> None:
    tokens = await flow.sign_in("POST")

    assert claims_of(tokens["id_token"])["sub"] == subject


async def test_a_second_client_with_a_query_in_its_redirect_uri_has_its_own_tokens(
    flow: Flow, subject: str
) -> None:
    where = "https://other.example.com/back?from=op"
    other = await flow.service.add_client("other", client_id="other", redirect_uris=(where,))
    await flow.sign_in()

    arrival = await flow.go(client_id="other", redirect_uri=where)
    answer = await flow.service.redeem(other, arrival.code, redirect_uri=where)

    claims = claims_of(answer.json()["id_token"])
    assert arrival.said["from"] == "op"
    assert (claims["sub"], claims["aud"]) == (subject, "other")


async def test_a_scope_tells_what_it_is_for(flow: Flow, subject: str) -> None:
    name, email = {"name"}, {"email", "email_verified"}
    scopes = {
        "openid": set[str](),
        "openid profile": name,
        "openid email": email,
        "openid profile email": name | email,
    }

    for scope, told in scopes.items():
        token = (await flow.sign_in(scope=scope))["access_token"]
        answer = await flow.service.http.get(USERINFO, headers={"authorization": f"Bearer {token}"})
        assert set(answer.json()) == told | {"sub"}, scope
        assert answer.json()["sub"] == subject


@pytest.mark.parametrize("scope", ["address", "phone"])
async def test_a_scope_that_is_not_there_is_neither_advertised_nor_given(
    scope: str, flow: Flow
) -> None:
    metadata = (await flow.service.http.get(METADATA)).json()

    arrival = await flow.go(scope=f"openid {scope}")

    assert scope not in metadata["scopes_supported"]
    assert arrival.said["error"] == "invalid_scope"


async def test_a_request_may_say_more_than_is_known_here(flow: Flow, subject: str) -> None:
    requests: list[dict[str, str]] = [
        {"display": "page"},
        {"display": "popup"},
        {"ui_locales": "se en"},
        {"claims_locales": "se en"},
        {"login_hint": ANN},
        {"acr_values": "1 2"},
        {"claims": '{"userinfo": {"name": {"essential": true}}}'},
        {"extra": "foobar"},
        {"max_age": "10000", "prompt": "login"},
    ]

    for more in requests:
        flow.browser.cookies.clear()
        assert (await flow.claims(**more))["sub"] == subject, more


async def test_the_page_has_the_address_that_the_client_knows(flow: Flow) -> None:
    asked = {**GOOD, "login_hint": "somebody@example.com"}

    answer = await flow.browser.get(AUTHORIZE, params=asked, follow_redirects=True)

    assert 'value="somebody@example.com"' in answer.text


async def test_essential_claims_that_cannot_be_asked_for_are_not_advertised(flow: Flow) -> None:
    metadata = (await flow.service.http.get(METADATA)).json()

    assert metadata.get("claims_parameter_supported", False) is False
    # What is left out counts as true (OpenID Connect Discovery, section 3).
    assert metadata["request_uri_parameter_supported"] is False


# Who has signed in already.


async def test_somebody_who_has_signed_in_is_not_asked_again(flow: Flow) -> None:
    await flow.sign_in()

    assert (await flow.go()).pages == 0


async def test_prompt_login_asks_again(flow: Flow) -> None:
    first = await flow.claims()
    flow.service.clock.advance(timedelta(seconds=2))

    arrival = await flow.go(prompt="login")
    second = claims_of((await flow.redeem(arrival.code)).json()["id_token"])

    assert arrival.pages == 1
    assert second["sub"] == first["sub"]
    assert second["auth_time"] == first["auth_time"] + 2


async def test_prompt_none_asks_nobody(flow: Flow) -> None:
    arrival = await flow.go(prompt="none")

    assert arrival.pages == 0
    assert arrival.said == {"error": "login_required", "state": "a-state", "iss": ORIGIN} | {
        name: value for name, value in arrival.said.items() if name == "error_description"
    }


async def test_prompt_none_finds_who_has_signed_in(flow: Flow) -> None:
    first = await flow.claims()
    flow.service.clock.advance(timedelta(seconds=2))

    arrival = await flow.go(prompt="none")
    second = claims_of((await flow.redeem(arrival.code)).json()["id_token"])

    assert arrival.pages == 0
    assert (second["sub"], second["auth_time"]) == (first["sub"], first["auth_time"])


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_max_age_asks_who_has_signed_in_too_long_ago(method: str, flow: Flow) -> None:
    first = await flow.claims()
    flow.service.clock.advance(timedelta(seconds=2))

    arrival = await flow.go(method, max_age="1")
    second = claims_of((await flow.redeem(arrival.code)).json()["id_token"])

    assert arrival.pages == 1
    assert second["auth_time"] == first["auth_time"] + 2


async def test_max_age_asks_nobody_who_has_signed_in_since(flow: Flow) -> None:
    first = await flow.claims()
    flow.service.clock.advance(timedelta(seconds=2))

    arrival = await flow.go(max_age="10000")
    second = claims_of((await flow.redeem(arrival.code)).json()["id_token"])

    assert arrival.pages == 0
    assert second["auth_time"] == first["auth_time"]


async def test_an_id_token_as_a_hint_finds_its_user_and_nobody_else(flow: Flow) -> None:
    hint = (await flow.sign_in())["id_token"]
    ben = await flow.service.sign_in(await flow.service.add_user("ben@example.com"))

    same = await flow.go(prompt="none", id_token_hint=hint)
    other = await Flow(flow.service, ben.http).go(prompt="none", id_token_hint=hint)

    assert same.code
    assert other.said["error"] == "login_required"


# What comes twice.


@pytest.mark.parametrize("later", [timedelta(0), timedelta(seconds=31)], ids=["at once", "31 s"])
async def test_a_code_that_comes_again_is_refused_and_ends_its_tokens(
    later: timedelta, flow: Flow
) -> None:
    code = (await flow.go()).code
    tokens = (await flow.redeem(code)).json()
    flow.service.clock.advance(later)

    again = await flow.redeem(code)

    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    userinfo = await flow.service.http.get(USERINFO, headers=bearer)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert userinfo.status_code == 401


async def test_a_refresh_gives_an_id_token_of_the_same_user(flow: Flow) -> None:
    assert flow.client is not None
    first = await flow.sign_in(scope="openid offline_access")
    flow.service.clock.advance(timedelta(seconds=2))

    second = (await flow.service.refresh(flow.client, first["refresh_token"])).json()

    before, after = claims_of(first["id_token"]), claims_of(second["id_token"])
    assert {name: after[name] for name in ("iss", "sub", "aud", "auth_time")} == {
        name: before[name] for name in ("iss", "sub", "aud", "auth_time")
    }
    assert after["iat"] == before["iat"] + 2
    assert after.get("nonce") in (None, before["nonce"])


# Signing out.


async def test_the_metadata_name_where_people_sign_out(flow: Flow) -> None:
    metadata = (await flow.service.http.get(METADATA)).json()

    assert metadata["end_session_endpoint"].startswith(f"{ORIGIN}/")


async def test_who_signs_out_with_a_hint_alone_is_told_so(flow: Flow) -> None:
    hint = (await flow.sign_in())["id_token"]

    answer = await flow.browser.get(
        "/oauth2/end-session", params={"id_token_hint": hint}, follow_redirects=True
    )

    assert answer.status_code == 200
    assert (await flow.go(prompt="none")).said["error"] == "login_required"


async def test_who_signs_out_without_a_state_comes_back_without_one(flow: Flow) -> None:
    hint = (await flow.sign_in())["id_token"]

    answer = await flow.browser.get(
        "/oauth2/end-session", params={"id_token_hint": hint, "post_logout_redirect_uri": HOME}
    )

    assert answer.headers["location"] == HOME
