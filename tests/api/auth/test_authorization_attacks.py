import base64
import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
import pytest_asyncio
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import Table, delete, select
from starlette.requests import Request
from starlette.responses import Response as EmptyResponse

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth.principals import SELF, Principal
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.server import ClientDescription
from fastapi_baseline.auth.server.interaction_models import OAuthInteraction
from fastapi_baseline.auth.server.models import OAuthClient, OAuthCode, OAuthGrant
from fastapi_baseline.auth.server.signing_key_models import OAuthSigningKey
from fastapi_baseline.auth.sessions import Owner, make_sessions_router
from fastapi_baseline.auth.sessions.models import AuthSession
from fastapi_baseline.auth.users import Argon2Cost, PasswordHasher, UserRecord
from fastapi_baseline.auth.users.models import OneTimeToken
from fastapi_baseline.auth.users.routes import make_users_router
from fastapi_baseline.auth.users.second_factor_models import RecoveryCode, SecondFactor
from fastapi_baseline.auth.users.sign_in_pages import make_sign_in_pages_router
from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey
from fastapi_baseline.settings import AuthSettings, SessionSettings, UserSettings
from fastapi_baseline.settings.auth import AuthorizationServerSettings
from fastapi_baseline.testing import ManualClock

ORIGIN = "https://shop.example.com"
APP = "https://app.example.com"
CALLBACK = f"{APP}/callback"
ANN, BEN = "ann@example.com", "ben@example.com"
PASSWORD = "correct horse battery staple"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
GOOD = {
    "client_id": "app",
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "openid orders:read",
    "state": "a state",
    "nonce": "a nonce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
SECOND = timedelta(seconds=1)
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}
FROM_ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


class BookBuyer(Base, UUIDPrimaryKey, Timestamps, UserRecord):
    """A user of the shop."""


class Events:
    """Where security events go."""

    def __init__(self) -> None:
        self.recorded: list[SecurityEvent] = []

    async def record(self, event: SecurityEvent) -> None:
        self.recorded.append(event)

    def of(self, name: str) -> list[dict[str, str]]:
        return [dict(event.details) for event in self.recorded if event.name == name]


class Answer:
    """What a client is told, by the address to which its user is sent."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.location = response.headers.get("location", "")
        self.said = dict(parse_qsl(urlsplit(self.location).query, keep_blank_values=True))

    @property
    def code(self) -> str:
        assert "code" in self.said, (self.response.status_code, self.location)
        return self.said["code"]

    @property
    def error(self) -> str | None:
        return self.said.get("error")

    @property
    def page(self) -> str:
        """Where the user of the service goes on: the path, if it is not the client's."""
        return "" if urlsplit(self.location).netloc else urlsplit(self.location).path


class Browser:
    """Somebody's browser, with its cookies."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client

    async def ask(self, **changed: str) -> Answer:
        """Come with a request of a client."""
        return Answer(await self.client.get("/oauth2/authorize", params={**GOOD, **changed}))

    async def open(self, path: str) -> Answer:
        return Answer(await self.client.get(path))

    async def show(self, path: str) -> dict[str, str]:
        """Look at a page with a form, and return the fields that are hidden in it."""
        response = await self.client.get(path)
        assert response.status_code == 200, response.text
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', response.text)
        return {name: unescape(value) for name, value in found}

    async def send(
        self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] = FROM_HERE
    ) -> Answer:
        return Answer(await self.client.post(path, data=dict(fields), headers=dict(headers)))

    async def decide(self, path: str, decision: str = "allow") -> Answer:
        return await self.send(path, {**await self.show(path), "decision": decision})

    async def sign_in(self, email: str = ANN) -> None:
        response = await self.client.post(
            "/auth/sign-in",
            json={"email": email, "password": PASSWORD},
            headers={**FROM_HERE, "X-Requested-With": "shop"},
        )
        assert response.json() == {"status": "signed_in"}, response.text

    async def sign_in_on_page(self, path: str, email: str = ANN) -> Answer:
        fields = await self.show(path)
        return await self.send(
            urlsplit(path).path, {**fields, "email": email, "password": PASSWORD}
        )

    async def subject(self) -> str:
        return (await self.client.get("/auth/session")).json()["subject"]

    async def list_grants(self) -> list[dict[str, Any]]:
        return (await self.client.get("/auth/grants")).json()

    async def revoke(self, grant_id: str, **headers: str) -> Response:
        return await self.client.delete(
            f"/auth/grants/{grant_id}",
            headers={**FROM_HERE, "X-Requested-With": "shop", **headers},
        )

    async def redeem(self, code: str, *, client_id: str = "app") -> Response:
        """Fetch tokens, as the client does."""
        form = {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "code": code,
            "code_verifier": VERIFIER,
            "redirect_uri": CALLBACK,
        }
        return await self.client.post("/oauth2/token", data=form)


class Shop:
    """The running shop."""

    def __init__(self, app: FastAPI, events: Events) -> None:
        self.app = app
        self.events = events
        self.clock: ManualClock = app.state.authentication.clock
        self.server = app.state.authorization_server
        self.stack = AsyncExitStack()

    async def browser(self, email: str | None = None) -> Browser:
        """Return a new browser, of nobody or of a user who has signed in."""
        transport = ASGITransport(app=self.app, raise_app_exceptions=False)
        client = AsyncClient(transport=transport, base_url=ORIGIN)
        browser = Browser(await self.stack.enter_async_context(client))
        if email is not None:
            await browser.sign_in(email)
            self.clock.advance(SECOND)
        return browser

    async def count(self, model: Any) -> int:
        async with self.app.state.database.transaction() as session:
            return len((await session.scalars(select(model))).all())

    async def add_client(self, client_id: str, *redirect_uris: str, **more: Any) -> None:
        description: dict[str, Any] = {
            "auth_method": "none",
            "grant_types": ("authorization_code", "refresh_token"),
            "scopes": ("openid", "email", "offline_access", "orders:read", "orders:write"),
            **more,
        }
        await self.server.clients.add(
            ClientDescription(
                name=f"The {client_id}",
                client_id=client_id,
                redirect_uris=redirect_uris,
                **description,
            )
        )


TABLES = [BookBuyer, OneTimeToken, SecondFactor, RecoveryCode, AuthSession]
HASHER = PasswordHasher(cost=Argon2Cost(memory=64, passes=1, threads=1))


def find_tables() -> list[Table]:
    """Return the tables that the shop has, each after those that it refers to."""
    names = {model.__tablename__ for model in TABLES}
    return [
        table
        for table in Base.metadata.sorted_tables
        if table.name in names or table.name.startswith("oauth_")
    ]


# To open a shop takes more than to attack it: tests share one, and each finds it as if it were new.
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Shop]:
    settings = Settings(
        environment="test",
        service_name="shop",
        database_url=SecretStr(f"sqlite:///{tmp_path_factory.mktemp('shop') / 'shop.db'}"),
        cors_origins=("https://other.example.com",),
        auth=AuthSettings(
            public_url=ORIGIN,
            sessions=SessionSettings(enabled=True),
            users=UserSettings(
                page_url=ORIGIN,
                sign_ins_per_address=("1000/minute",),
                sign_ins_per_account=("1000/minute",),
            ),
            server=AuthorizationServerSettings(
                enabled=True,
                algorithm="ES256",
                scopes=("orders:read", "orders:write"),
                scope_descriptions={"orders:read": "See your orders"},
            ),
            secret_keys=(SecretStr("a-secret-of-32-characters-or-more"),),
        ),
    )
    events = Events()
    app = create_app(settings, clock=ManualClock(), configure_logging=False)
    app.state.security_events = app.state.authorization_server.events = events
    app.state.sessions.events = app.state.authentication.events = events
    app.include_router(make_users_router(BookBuyer, hasher=HASHER))
    app.include_router(make_sign_in_pages_router())
    app.include_router(make_sessions_router())
    async with app.state.database.engine.begin() as connection:
        for table in find_tables():
            await connection.run_sync(table.create)
    async with app.router.lifespan_context(app):
        yield Shop(app, events)


@pytest_asyncio.fixture(loop_scope="module")
async def shop(opened: Shop) -> AsyncGenerator[Shop]:
    database, clock = opened.app.state.database, opened.clock
    clock.advance(timedelta(hours=1))
    password_hash = await HASHER.hash(PASSWORD)
    async with database.transaction() as session:
        for table in reversed(find_tables()):
            if table.name != OAuthSigningKey.__tablename__:
                await session.execute(delete(table))
        session.add_all(
            BookBuyer(email=one, email_verified_at=clock.now(), password_hash=password_hash)
            for one in (ANN, BEN)
        )
    await opened.add_client("app", CALLBACK, is_first_party=True)
    await opened.add_client("partner", CALLBACK)
    opened.events.recorded.clear()
    async with AsyncExitStack() as opened.stack:
        yield opened


def told_to_the_client(answer: Answer) -> bool:
    """Return whether the answer went to the client, as RFC 9207 wants it, with its state."""
    return (
        answer.response.status_code == 303
        and answer.location.startswith(f"{CALLBACK}?")
        and answer.said["iss"] == ORIGIN
        and answer.said.get("state") == GOOD["state"]
    )


def shown_to_the_user(answer: Answer) -> bool:
    """Return whether it is a page of the service that says that something is wrong."""
    response = answer.response
    return (
        400 <= response.status_code < 500
        and response.headers["content-type"] == "text/html; charset=utf-8"
        and "location" not in response.headers
        and "set-cookie" not in response.headers
    )


async def test_a_user_signs_in_agrees_and_the_client_gets_its_code(shop: Shop) -> None:
    browser = await shop.browser()

    asked = await browser.ask(client_id="partner", login_hint=ANN)
    signed_in = await browser.sign_in_on_page(asked.location)
    page = await browser.client.get(signed_in.location)
    agreed = await browser.decide(signed_in.location)

    assert asked.page == "/sign-in"
    assert asked.said["email"] == ANN
    assert signed_in.location == asked.said["return_to"]
    for shown in ("The partner", ANN, "See your orders", "Know that it is you", "app.example.com"):
        assert shown in page.text
    assert told_to_the_client(agreed)
    assert agreed.said.keys() == {"code", "state", "iss"}
    assert shop.events.of("authorization_granted") == [{"client": "partner"}]


async def test_who_has_signed_in_is_not_asked_for_a_client_of_the_service(shop: Shop) -> None:
    browser = await shop.browser(ANN)

    answer = await browser.ask()

    assert told_to_the_client(answer)
    assert (await browser.redeem(answer.code)).status_code == 200
    assert await shop.count(OAuthInteraction) == 0


async def test_who_has_agreed_is_asked_again_for_more_only(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    first = await browser.ask(client_id="partner")
    await browser.decide(first.page)

    same = await browser.ask(client_id="partner")
    fewer = await browser.ask(client_id="partner", scope="openid")
    more = await browser.ask(client_id="partner", scope="openid orders:write")

    assert same.code
    assert fewer.code
    assert more.page.startswith("/oauth2/interactions/")


async def test_it_works_below_a_prefix(shop: Shop) -> None:
    transport = ASGITransport(app=shop.app, root_path="/shop")
    async with AsyncClient(transport=transport, base_url=ORIGIN) as client:
        browser = Browser(client)
        asked = Answer(
            await client.get("/shop/oauth2/authorize", params={**GOOD, "client_id": "partner"})
        )
        page = await client.get(asked.location)
        signed_in = await browser.sign_in_on_page(asked.location)
        agreed = await browser.decide(signed_in.location)

    assert asked.page == "/shop/sign-in"
    assert APP in page.headers["content-security-policy"]
    assert signed_in.page.startswith("/shop/oauth2/interactions/")
    assert agreed.code


async def test_who_does_not_agree_is_sent_back_without_a_code(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    asked = await browser.ask(client_id="partner")

    denied = await browser.decide(asked.page, "deny")

    assert told_to_the_client(denied)
    assert denied.error == "access_denied"
    assert shop.events.of("authorization_denied") == [
        {"client": "partner", "reason": "access_denied"}
    ]
    assert await shop.count(OAuthGrant) == 0
    assert (await browser.ask(client_id="partner")).page.startswith("/oauth2/interactions/")


# S01: codes go nowhere but where the client has said.


async def test_s01_only_the_exact_redirect_uri_counts(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    wrong = [
        "",
        f"{CALLBACK}/",
        f"{CALLBACK}x",
        f"{APP}/call",
        f"{APP}/callback/../evil",
        f"{APP}/x/../callback",
        f"{CALLBACK}?x=1",
        f"{CALLBACK}?",
        f"{CALLBACK}#x",
        f"{CALLBACK}%00",
        f"{CALLBACK}\x00",
        f"{CALLBACK}\n",
        f" {CALLBACK}",
        f"{APP}/%63allback",
        f"{APP}/Callback",
        "https://APP.example.com/callback",
        "HTTPS://app.example.com/callback",
        "http://app.example.com/callback",
        "https://app.example.com:443/callback",
        "https://app.example.com:8443/callback",
        "https://app.example.com./callback",
        "https://user@app.example.com/callback",
        "https://app.example.com@evil.example.com/callback",
        "https://app.example.com.evil.example.com/callback",
        "https://evil.example.com/https://app.example.com/callback",
        "https://app.example.com\\@evil.example.com/callback",
        "https://äpp.example.com/callback",
        "https://app.example。com/callback",
        "//app.example.com/callback",
        "/callback",
        "javascript:alert(1)//https://app.example.com/callback",
        "data:text/html,x",
        "com.example.app:/callback",
        "http://127.0.0.1/callback",
        "x" * 5000,
    ]

    answers = [await browser.ask(redirect_uri=uri) for uri in wrong]

    assert [
        uri for uri, one in zip(wrong, answers, strict=True) if not shown_to_the_user(one)
    ] == []
    assert all("evil" not in one.response.text for one in answers)
    assert await shop.count(OAuthGrant) == await shop.count(OAuthInteraction) == 0


async def test_s01_a_missing_or_unknown_client_is_answered_on_a_page(shop: Shop) -> None:
    browser = await shop.browser(ANN)

    for client_id in ("", "evil", "APP", "app ", "app\x00", "äpp", "x" * 300, "' OR 1=1 --"):
        assert shown_to_the_user(await browser.ask(client_id=client_id)), client_id

    assert len(shop.events.of("client_refused")) == 8


async def test_s01_an_app_on_a_loopback_address_may_have_any_port(shop: Shop) -> None:
    await shop.add_client(
        "tool", "http://127.0.0.1/cb", "http://[::1]:7000/cb", is_first_party=True
    )
    browser = await shop.browser(ANN)
    right = ["http://127.0.0.1/cb", "http://127.0.0.1:53682/cb", "http://[::1]:1/cb"]
    wrong = [
        "http://localhost:53682/cb",
        "http://127.0.0.1:53682/other",
        "http://127.0.0.1:53682/cb?x=1",
        "http://127.0.0.1:53682/cb#x",
        "http://127.0.0.2:53682/cb",
        "http://127.1/cb",
        "http://2130706433/cb",
        "http://127.0.0.1:80@evil.example.com/cb",
        "http://127.0.0.1.evil.example.com/cb",
        "https://127.0.0.1:53682/cb",
        "http://[::ffff:127.0.0.1]/cb",
        "http://127.0.0.1:x/cb",
    ]

    for uri in right:
        answer = await browser.ask(client_id="tool", redirect_uri=uri)
        assert answer.location.startswith(f"{uri}?code="), uri
    for uri in wrong:
        assert shown_to_the_user(await browser.ask(client_id="tool", redirect_uri=uri)), uri


async def test_s01_a_client_that_was_changed_meanwhile_gets_nothing_where_it_was(
    shop: Shop,
) -> None:
    browser = await shop.browser(ANN)
    asked = await browser.ask(client_id="partner")
    fields = await browser.show(asked.page)
    async with shop.app.state.database.transaction() as session:
        client = await session.get(OAuthClient, "partner")
        client.redirect_uris = [f"{APP}/new"]

    answer = await browser.send(asked.page, {**fields, "decision": "allow"})

    assert shown_to_the_user(answer)
    assert await shop.count(OAuthCode) == 0


# S02, S07: what Authlib would let pass here.


async def test_s02_no_code_without_a_challenge_of_s256(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    wrong = [
        {"code_challenge": ""},
        {"code_challenge_method": ""},
        {"code_challenge_method": "plain"},
        {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"code_challenge": "c" * 44},
        {"code_challenge": f"{CHALLENGE}\n"},
    ]

    for changed in wrong:
        answer = await browser.ask(**changed)
        assert told_to_the_client(answer), changed
        assert answer.error == "invalid_request", changed


async def test_s07_no_scope_that_the_client_may_not_have(shop: Shop) -> None:
    await shop.add_client("small", CALLBACK, is_first_party=True, scopes=("openid",))
    browser = await shop.browser(ANN)

    for scope in ("", "admin", "openid admin", "orders:read", "openid  ", 'openid "', "OPENID"):
        answer = await browser.ask(client_id="small", scope=scope)
        if scope == "openid  ":
            assert answer.code
        else:
            assert told_to_the_client(answer)
            assert answer.error == "invalid_scope", scope


# S08: response types and modes.


async def test_s08_there_is_one_response_type_and_one_way_to_answer(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    wrong = {
        "token": "unsupported_response_type",
        "id_token": "unsupported_response_type",
        "code token": "unsupported_response_type",
        "code id_token": "unsupported_response_type",
        "none": "unsupported_response_type",
        "CODE": "unsupported_response_type",
        'code"': "unsupported_response_type",
        "cöde": "unsupported_response_type",
        "": "invalid_request",
    }

    for response_type, error in wrong.items():
        answer = await browser.ask(response_type=response_type)
        assert told_to_the_client(answer), response_type
        assert answer.error == error, response_type
        assert "#" not in answer.location
    for mode in ("fragment", "form_post", "web_message", "query.jwt", "quëry"):
        answer = await browser.ask(response_mode=mode)
        assert told_to_the_client(answer), mode
        assert answer.error == "invalid_request", mode
    assert (await browser.ask(response_mode="query")).code


async def test_s08_scripts_are_no_address_of_a_client_with_any_response_mode(shop: Shop) -> None:
    browser = await shop.browser(ANN)

    answer = await browser.ask(
        response_mode="form_post", redirect_uri="javascript:alert(document.domain)"
    )

    assert shown_to_the_user(answer)
    assert "javascript" not in answer.response.text


async def test_s08_requests_that_are_tokens_or_elsewhere_are_not_read(shop: Shop) -> None:
    browser = await shop.browser(ANN)

    for name in ("request", "request_uri", "registration"):
        answer = await browser.ask(**{name: "https://evil.example.com"})
        assert told_to_the_client(answer), name
        assert answer.error == f"{name}_not_supported"


# S11: requests that are no requests.


async def test_s11_no_parameter_counts_twice(shop: Shop) -> None:
    browser = await shop.browser(ANN)

    for name, value in GOOD.items():
        for other in (value, "other"):
            query = urlencode([*GOOD.items(), (name, other)])
            answer = await browser.open(f"/oauth2/authorize?{query}")
            if name in {"client_id", "redirect_uri"}:
                assert shown_to_the_user(answer), name
            else:
                assert answer.location.startswith(f"{CALLBACK}?"), name
                assert answer.error == "invalid_request", name
                assert answer.said["iss"] == ORIGIN
                assert answer.said.get("state") == (None if name == "state" else GOOD["state"])


async def test_s11_a_parameter_in_the_query_and_in_the_form_is_there_twice(shop: Shop) -> None:
    browser = await shop.browser()

    answer = await browser.send("/oauth2/authorize?scope=openid", GOOD)

    assert answer.error == "invalid_request"


async def test_s11_only_forms_are_read(shop: Shop) -> None:
    client = (await shop.browser(ANN)).client
    files = {name: (None, value) for name, value in GOOD.items()}

    answers = [
        await client.post("/oauth2/authorize", json=GOOD),
        await client.post("/oauth2/authorize", files=files),
        await client.post("/oauth2/authorize", content=urlencode(GOOD)),
        await client.post("/oauth2/authorize"),
        await client.post("/oauth2/authorize", data={**GOOD, "more": "x" * 100_000}),
        await client.post("/oauth2/authorize", data={f"x{i}": "x" for i in range(100)} | GOOD),
        await client.get("/oauth2/authorize", params={f"x{i}": "x" for i in range(100)} | GOOD),
        await client.get("/oauth2/authorize?client_id=app&redirect_uri=%FF"),
    ]

    assert all(shown_to_the_user(Answer(response)) for response in answers)
    for method in ("PUT", "PATCH", "DELETE"):
        response = await client.request(method, "/oauth2/authorize", params=GOOD)
        assert response.status_code == 405


STRANGE = st.text(max_size=40) | st.sampled_from(
    ['"', "\\", "\x00", "\r\nSet-Cookie: a=b", "é", "%", "&code=x", "#", "\u202e", "x" * 3000]
)


@effort(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    changed=st.dictionaries(
        st.sampled_from(
            [*GOOD, "prompt", "max_age", "acr_values", "login_hint", "id_token_hint", "request"]
        )
        | st.text(max_size=10),
        STRANGE,
        min_size=1,
        max_size=3,
    )
)
async def test_s11_whatever_is_sent_nothing_fails_and_nobody_else_is_told(
    shop: Shop, changed: dict[str, str]
) -> None:
    browser = await shop.browser()
    sent = {**GOOD, **changed}

    asked = Answer(await browser.client.get("/oauth2/authorize", params=sent))
    posted = await browser.send("/oauth2/authorize", sent)

    for answer in (asked, posted):
        assert answer.response.status_code in {303, 400}, answer.response.text
        assert set(answer.response.headers.get_list("set-cookie")) == set() or answer.page
        if not answer.page and answer.response.status_code == 303:
            assert answer.location.startswith(f"{CALLBACK}?error=")
            assert answer.said["iss"] == ORIGIN
            assert answer.said.get("state") in {sent["state"] or None, None}


async def test_s11_pages_of_interactions_that_cannot_be_are_not_found(shop: Shop) -> None:
    browser = await shop.browser(ANN)

    for path in ("x", "0" * 32, "%00", "%FF", "é", "'", "x" * 5000):
        response = await browser.client.get(f"/oauth2/interactions/{path}")
        assert response.status_code == 404, path
        assert response.headers["content-type"] == "text/html; charset=utf-8"


# S12: from whom an answer is, and to what.


async def test_s12_every_answer_says_from_whom_it_is_and_has_the_state_as_it_was(
    shop: Shop,
) -> None:
    state = "a&b=c d+e%20f\"'<>~!*()"
    browser, stranger = await shop.browser(ANN), await shop.browser()

    answers = {
        "a code": await browser.ask(state=state),
        "bad": await browser.ask(state=state, scope="admin"),
        "worse": await browser.ask(state=state, response_type="token"),
        "nobody": await stranger.ask(state=state, prompt="none"),
        "not agreed": await browser.ask(state=state, client_id="partner", prompt="none"),
    }
    asked = await browser.ask(state=state, client_id="partner")
    answers["denied"] = await browser.decide(asked.page, "deny")
    asked = await browser.ask(state=state, client_id="partner")
    answers["agreed"] = await browser.decide(asked.page)

    for name, answer in answers.items():
        assert answer.response.status_code == 303, name
        assert parse_qs(urlsplit(answer.location).query)["iss"] == [ORIGIN], name
        assert parse_qs(urlsplit(answer.location).query)["state"] == [state], name
        assert answer.response.headers["cache-control"] == "no-store", name
        assert answer.response.headers["referrer-policy"] == "no-referrer", name


async def test_s12_without_a_state_there_is_none(shop: Shop) -> None:
    browser = await shop.browser(ANN)

    assert (await browser.ask(state="")).said.keys() == {"code", "iss"}


async def test_s12_a_query_of_the_client_stays(shop: Shop) -> None:
    await shop.add_client("tenants", f"{CALLBACK}?tenant=a%20b", is_first_party=True)
    browser = await shop.browser(ANN)

    answer = await browser.ask(client_id="tenants", redirect_uri=f"{CALLBACK}?tenant=a%20b")

    assert answer.location.startswith(f"{CALLBACK}?tenant=a%20b&code=")


async def test_s12_no_form_is_sent_again_to_the_client(shop: Shop) -> None:
    browser = await shop.browser()

    posted = await browser.send("/oauth2/authorize", {**GOOD, "client_id": "partner"})
    waiting = await browser.open(posted.location)
    signed_in = await browser.sign_in_on_page(waiting.location)
    agreed = await browser.decide(signed_in.location)

    assert [one.response.status_code for one in (posted, waiting, signed_in, agreed)] == [303] * 4


# S13: what was asked and what is answered.


async def test_s13_nothing_can_be_changed_once_it_was_asked(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    asked = await browser.ask(client_id="partner", scope="openid")
    fields = await browser.show(asked.page)
    changed = {
        "client_id": "app",
        "redirect_uri": "https://evil.example.com",
        "scope": "openid orders:write",
        "state": "another",
        "nonce": "another",
        "code_challenge": "c" * 43,
        "response_mode": "fragment",
    }

    answer = await browser.send(
        f"{asked.page}?{urlencode(changed)}", {**fields, **changed, "decision": "allow"}
    )

    assert told_to_the_client(answer)
    async with shop.app.state.database.transaction() as session:
        (grant,) = (await session.scalars(select(OAuthGrant))).all()
        (code,) = (await session.scalars(select(OAuthCode))).all()
    assert (grant.client_id, grant.scopes) == ("partner", ["openid"])
    assert (code.redirect_uri, code.nonce, code.code_challenge) == (CALLBACK, "a nonce", CHALLENGE)


async def test_s13_no_other_site_agrees_for_a_user(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    asked = await browser.ask(client_id="partner")
    fields = await browser.show(asked.page)

    forged = [
        await browser.send(asked.page, {"decision": "allow"}),
        await browser.send(asked.page, {"decision": "allow", "csrf_token": "x"}),
        await browser.send(asked.page, {"decision": "allow", "csrf_token": "A" * 64}),
        await browser.send(asked.page, {**fields, "decision": "allow"}, FROM_ELSEWHERE),
        await browser.send(asked.page, {**fields, "decision": "allow"}, {}),
    ]

    for answer in forged:
        assert answer.response.status_code == 403
        assert answer.response.headers["content-type"] == "text/html; charset=utf-8"
    assert await shop.count(OAuthGrant) == 0
    assert (await browser.send(asked.page, {**fields, "decision": "allow"})).code


async def test_s13_a_page_does_not_agree_by_itself(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    asked = await browser.ask(client_id="partner")
    fields = await browser.show(asked.page)

    seen = await browser.open(f"{asked.page}?decision=allow&csrf_token={fields['csrf_token']}")
    neither = [
        await browser.send(asked.page, fields),
        await browser.send(asked.page, {**fields, "decision": "yes"}),
    ]

    assert seen.response.status_code == 200
    assert [one.response.status_code for one in neither] == [400, 400]
    assert await shop.count(OAuthGrant) == 0


async def test_s13_a_form_that_is_sent_twice_gives_one_code(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    asked = await browser.ask(client_id="partner")
    fields = {**await browser.show(asked.page), "decision": "allow"}
    cookies = dict(browser.client.cookies)

    first = await browser.send(asked.page, fields)
    browser.client.cookies.update(cookies)
    again = await browser.send(asked.page, fields)
    denied = await browser.send(asked.page, {**fields, "decision": "deny"})

    assert first.code
    for answer in (again, denied):
        assert answer.response.status_code == 404
        assert "Go back to the application" in answer.response.text
    assert await shop.count(OAuthCode) == 1


async def test_s13_nobody_answers_for_another_browser(shop: Shop) -> None:
    ann, ben = await shop.browser(ANN), await shop.browser(BEN)
    asked = await ann.ask(client_id="partner")
    own = await ben.ask(client_id="partner")
    fields = {**await ben.show(own.page), "decision": "allow"}
    (secret,) = (v for k, v in ben.client.cookies.items() if k.startswith("__Host-interaction-"))
    ben.client.cookies.set(f"__Host-interaction-{asked.page.rpartition('/')[2][:8]}", secret)

    seen = await ben.open(asked.page)
    sent = await ben.send(asked.page, fields)

    assert seen.response.status_code == sent.response.status_code == 404
    assert await shop.count(OAuthGrant) == 0


async def test_s13_who_signs_in_as_somebody_else_agrees_for_themselves(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    asked = await browser.ask(client_id="partner")
    of_ann = {**await browser.show(asked.page), "decision": "allow"}
    await browser.sign_in(BEN)

    stale = await browser.send(asked.page, of_ann)
    page = await browser.client.get(asked.page)
    agreed = await browser.decide(asked.page)

    assert stale.response.status_code == 403
    assert BEN in page.text
    assert agreed.code
    async with shop.app.state.database.transaction() as session:
        (grant,) = (await session.scalars(select(OAuthGrant))).all()
        ben = await session.scalar(select(BookBuyer).where(BookBuyer.email == BEN))
    assert ben is not None
    assert grant.subject == str(ben.id)


async def test_s13_a_code_is_of_the_session_in_which_it_was_asked_for(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    session = (await browser.client.get("/auth/session")).json()

    tokens = (await browser.redeem((await browser.ask()).code)).json()

    payload = tokens["id_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["sub"] == session["subject"]
    assert claims["nonce"] == "a nonce"
    assert claims["acr"] == "aal1"
    assert claims["amr"] == ["pwd"]
    assert claims["sid"] == session["id"]
    assert claims["auth_time"] == int((shop.clock.now() - SECOND).timestamp())


async def test_s13_prompt_none_asks_nobody(shop: Shop) -> None:
    ann, stranger = await shop.browser(ANN), await shop.browser()

    assert (await ann.ask(prompt="none")).code
    answers = {
        "login_required": [
            await stranger.ask(prompt="none"),
            await stranger.ask(prompt="none", client_id="partner"),
            await ann.ask(prompt="none", max_age="0"),
            await ann.ask(prompt="none", acr_values="aal2"),
        ],
        "consent_required": [await ann.ask(prompt="none", client_id="partner")],
        "invalid_request": [
            await ann.ask(prompt="none login"),
            await ann.ask(prompt="none none consent"),
            await ann.ask(prompt="create"),
        ],
    }

    for error, told in answers.items():
        for answer in told:
            assert told_to_the_client(answer)
            assert answer.error == error
    assert await shop.count(OAuthInteraction) == 0


async def test_s13_prompt_none_of_a_form_is_answered_where_the_session_is_seen(shop: Shop) -> None:
    ann, stranger = await shop.browser(ANN), await shop.browser()

    here = await ann.open((await ann.send("/oauth2/authorize", {**GOOD, "prompt": "none"})).page)
    away = await stranger.open(
        (await stranger.send("/oauth2/authorize", {**GOOD, "prompt": "none"})).page
    )

    assert here.code
    assert told_to_the_client(away)
    assert away.error == "login_required"


async def test_s13_who_must_sign_in_again_cannot_get_round_it(shop: Shop) -> None:
    browser = await shop.browser(ANN)

    for changed in (
        {"prompt": "login"},
        {"prompt": "select_account"},
        {"max_age": "0"},
        {"max_age": "59"},
        {"acr_values": "aal2"},
    ):
        shop.clock.advance(timedelta(minutes=1))
        asked = await browser.ask(**changed)
        unmoved = await browser.open(asked.said["return_to"])
        shop.clock.advance(SECOND)
        signed_in = await browser.sign_in_on_page(asked.location)
        done = await browser.open(signed_in.location)

        assert asked.page == unmoved.page == "/sign-in", changed
        assert told_to_the_client(done), changed
        assert done.code, changed


async def test_s13_who_has_just_signed_in_need_not_again(shop: Shop) -> None:
    browser = await shop.browser(ANN)

    for changed in ({"max_age": "1"}, {"max_age": "10000"}, {"acr_values": "aal1 gold"}):
        assert (await browser.ask(**changed)).code, changed


async def test_s13_prompt_consent_asks_also_who_has_agreed(shop: Shop) -> None:
    browser = await shop.browser(ANN)

    asked = await browser.ask(prompt="consent")
    agreed = await browser.decide(asked.page)

    assert asked.page.startswith("/oauth2/interactions/")
    assert agreed.code
    assert (await browser.ask(prompt="consent")).page.startswith("/oauth2/interactions/")


async def test_s13_the_user_must_be_the_one_whom_the_client_believes_to_be_there(
    shop: Shop,
) -> None:
    ann, ben = await shop.browser(ANN), await shop.browser(BEN)
    hint = (await ann.redeem((await ann.ask()).code)).json()["id_token"]
    shop.clock.advance(timedelta(days=1))
    await ann.sign_in()
    await ben.sign_in(BEN)
    stranger = await shop.browser()
    asked = await stranger.ask(id_token_hint=hint)

    assert (await ann.ask(id_token_hint=hint, prompt="none")).code
    for changed in ({}, {"prompt": "none"}):
        answer = await ben.ask(id_token_hint=hint, **changed)
        assert told_to_the_client(answer)
        assert answer.error == "login_required"
    assert asked.page == "/sign-in"
    as_ben = await stranger.open((await stranger.sign_in_on_page(asked.location, BEN)).location)
    assert as_ben.error == "login_required"


async def test_s13_a_hint_that_the_service_has_not_signed_for_the_client_is_refused(
    shop: Shop,
) -> None:
    await shop.add_client("other", CALLBACK, is_first_party=True)
    browser = await shop.browser(ANN)
    tokens = (await browser.redeem((await browser.ask()).code)).json()
    header, payload, signature = tokens["id_token"].split(".")
    wrong = {
        "forged": f"{header}.{payload}.{signature[:-4]}AAAA",
        "unsigned": f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.",
        "access token": tokens["access_token"],
        "garbage": "x.y.z",
        "not even that": "é",
    }

    for name, hint in wrong.items():
        answer = await browser.ask(id_token_hint=hint)
        assert told_to_the_client(answer), name
        assert answer.error == "invalid_request", name
    others = await browser.ask(client_id="other", id_token_hint=tokens["id_token"])
    assert others.error == "invalid_request"


async def test_s13_what_waits_too_long_is_over(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    asked = await browser.ask(client_id="partner")
    fields = await browser.show(asked.page)
    shop.clock.advance(timedelta(minutes=10))

    answer = await browser.send(asked.page, {**fields, "decision": "allow"})

    assert answer.response.status_code == 404
    assert await shop.count(OAuthGrant) == 0


async def test_s13_who_has_signed_out_meanwhile_signs_in_again(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    asked = await browser.ask(client_id="partner")
    fields = await browser.show(asked.page)
    await shop.app.state.sessions.revoke_all(SELF, await browser.subject())

    answer = await browser.send(asked.page, {**fields, "decision": "allow"})

    assert answer.page == "/sign-in"
    assert await shop.count(OAuthGrant) == 0


async def test_s13_who_comes_with_a_token_is_nobody_here(shop: Shop) -> None:
    browser, program = await shop.browser(ANN), await shop.browser()
    tokens = (await browser.redeem((await browser.ask()).code)).json()

    answer = await program.client.get(
        "/oauth2/authorize",
        params=GOOD,
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
    )

    assert Answer(answer).page == "/sign-in"


async def test_s13_a_session_that_ends_while_the_code_is_made_leaves_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await shop.browser(ANN)
    subject = await browser.subject()
    issue_code = shop.server.grants.issue_code

    async def sign_out_and_issue(session: Any, approval: Any) -> str:
        # As by somebody else, who saw no grant yet that could end with it.
        await shop.app.state.sessions.store.within(session).remove_all(Owner(SELF, subject))
        return await issue_code(session, approval)

    monkeypatch.setattr(shop.server.grants, "issue_code", sign_out_and_issue)

    answer = await browser.ask()

    assert told_to_the_client(answer)
    assert answer.error == "login_required"
    async with shop.app.state.database.transaction() as session:
        (grant,) = (await session.scalars(select(OAuthGrant))).all()
    assert grant.revoked_at is not None


# S14: pages that nobody frames or keeps, and endpoints that pages of clients may call.


async def test_s14_no_page_is_framed_or_kept_and_its_form_goes_to_the_client_only(
    shop: Shop,
) -> None:
    await shop.add_client("phone", "com.example.phone:/callback")
    browser, stranger = await shop.browser(ANN), await shop.browser()
    asked = await browser.ask(client_id="partner")
    on_phone = await browser.ask(client_id="phone", redirect_uri="com.example.phone:/callback")
    away = await stranger.ask(client_id="partner")

    pages = {
        "consent": (await browser.client.get(asked.page), APP),
        "consent of an app": (await browser.client.get(on_phone.page), "com.example.phone:"),
        "sign-in": (await stranger.client.get(away.location), APP),
        "sign-in of nobody": (await stranger.client.get("/sign-in"), ""),
        "error": ((await browser.ask(client_id="evil")).response, ""),
        "not found": (await browser.client.get("/oauth2/interactions/x"), ""),
    }

    for name, (page, target) in pages.items():
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy, name
        assert "frame-ancestors 'none'" in policy, name
        assert f"form-action 'self' {target}".strip() + ";" in policy, name
        assert page.headers["x-frame-options"] == "DENY", name
        assert page.headers["cache-control"] == "no-store", name
        assert page.headers["x-content-type-options"] == "nosniff", name
        assert "<script" not in page.text, name
        assert len(page.content) < 15_000, name


async def test_s14_the_page_for_signing_in_knows_the_client_in_its_own_browser_only(
    shop: Shop,
) -> None:
    asked = await (await shop.browser()).ask(client_id="partner")

    page = await (await shop.browser()).client.get(asked.location)

    assert "form-action 'self';" in page.headers["content-security-policy"]


async def test_s14_pages_of_clients_may_call_what_is_for_them_and_nothing_else(shop: Shop) -> None:
    client = (await shop.browser(ANN)).client
    ask = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }

    allowed = await client.options("/oauth2/token", headers={"Origin": APP, **ask})
    used = await client.post("/oauth2/token", headers={"Origin": APP}, data={"grant_type": "x"})
    other = await client.options(
        "/oauth2/token", headers={"Origin": "https://other.example.com", **ask}
    )
    closed = [
        await client.get("/oauth2/authorize", params=GOOD, headers={"Origin": APP}),
        await client.options("/oauth2/authorize", headers={"Origin": APP, **ask}),
        await client.get("/auth/grants", headers={"Origin": APP}),
        await client.options("/oauth2/introspect", headers={"Origin": APP, **ask}),
    ]

    assert allowed.headers["access-control-allow-origin"] == APP
    assert used.headers["access-control-allow-origin"] == APP
    assert "access-control-allow-credentials" not in {*allowed.headers, *used.headers}
    for response in (other, *closed):
        assert "access-control-allow-origin" not in response.headers, response.url


# S27: what users have allowed is theirs.


async def test_s27_users_see_what_they_have_allowed_and_take_it_back(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    asked = await browser.ask(client_id="partner", scope="openid offline_access")
    agreed = await browser.decide(asked.page)
    await browser.redeem(agreed.code, client_id="partner")

    listed = await browser.list_grants()
    revoked = await browser.revoke(listed[0]["id"])

    assert [(one["client_id"], one["client_name"], one["scopes"]) for one in listed] == [
        ("partner", "The partner", ["offline_access", "openid"])
    ]
    assert revoked.status_code == 204
    assert await browser.list_grants() == []
    assert (await browser.revoke(listed[0]["id"])).status_code == 404
    # Who has taken it back is asked again.
    again = await browser.ask(client_id="partner", scope="openid offline_access")
    assert again.page.startswith("/oauth2/interactions/")


async def test_s27_a_code_is_worth_nothing_once_its_grant_is_taken_back(shop: Shop) -> None:
    browser = await shop.browser(ANN)
    code = (await browser.ask()).code
    async with shop.app.state.database.transaction() as session:
        (grant,) = (await session.scalars(select(OAuthGrant))).all()

    revoked = await browser.revoke(grant.id)

    assert revoked.status_code == 204
    response = await browser.redeem(code)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


async def test_s27_nobody_sees_or_ends_what_others_have_allowed(shop: Shop) -> None:
    ann, ben, stranger = await shop.browser(ANN), await shop.browser(BEN), await shop.browser()
    tokens = (await ann.redeem((await ann.ask()).code)).json()
    (grant,) = await ann.list_grants()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}

    assert await ben.list_grants() == []
    refused = {
        "ben": (await ben.revoke(grant["id"]), 404),
        "nobody": (await stranger.revoke(grant["id"]), 401),
        "nobody lists": (await stranger.client.get("/auth/grants"), 401),
        "a program": (
            await stranger.client.delete(f"/auth/grants/{grant['id']}", headers=bearer),
            403,
        ),
        "a program lists": (await stranger.client.get("/auth/grants", headers=bearer), 403),
        "another site": (await ann.revoke(grant["id"], **FROM_ELSEWHERE), 403),
        "none such": (await ann.revoke("0" * 32), 404),
        "garbage": (await ann.revoke("%00"), 404),
        "more garbage": (await ann.revoke("x" * 5000), 404),
    }

    for name, (response, status) in refused.items():
        assert response.status_code == status, name
        assert response.headers["content-type"] == "application/problem+json", name
    assert grant["id"] in [one["id"] for one in await ann.list_grants()]


async def test_s27_what_one_user_agrees_to_asks_no_other_less(shop: Shop) -> None:
    ann, ben = await shop.browser(ANN), await shop.browser(BEN)
    await ann.decide((await ann.ask(client_id="partner")).page)

    assert (await ann.ask(client_id="partner")).code
    assert (await ben.ask(client_id="partner")).page.startswith("/oauth2/interactions/")


async def test_s27_the_same_subject_of_another_issuer_is_somebody_else(shop: Shop) -> None:
    ann, stranger = await shop.browser(ANN), await shop.browser()
    await ann.redeem((await ann.ask()).code)
    (grant,) = await ann.list_grants()
    response = EmptyResponse()
    await shop.app.state.sessions.start(
        Request({"type": "http", "headers": []}),
        response,
        Principal(
            issuer="https://id.example.com", subject=await ann.subject(), transport="session"
        ),
    )
    name, _, value = response.headers["set-cookie"].partition(";")[0].partition("=")
    stranger.client.cookies.set(name, value, domain="shop.example.com")

    assert await stranger.list_grants() == []
    assert (await stranger.revoke(grant["id"])).status_code == 404
    assert (await stranger.ask()).page == "/sign-in"
    assert await ann.list_grants() == [grant]


async def test_s27_what_users_have_allowed_is_kept_by_nobody(shop: Shop) -> None:
    browser = await shop.browser(ANN)

    response = await browser.client.get("/auth/grants")

    assert response.headers["cache-control"] == "no-store"
