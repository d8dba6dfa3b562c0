import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.login import (
    ProviderAccessToken,
    ProviderUnavailableError,
)
from fastapi_baseline.auth.route_decisions import find_undecided
from fastapi_baseline.auth.sessions import (
    FORM_FIELD,
    SessionsUnavailableError,
    make_form_token,
)
from fastapi_baseline.testing import OMIT, make_signing_key
from fastapi_baseline.testing.issuer_endpoints import JWKS_PATH
from fastapi_baseline.testing.login_provider import (
    END_SESSION_PATH,
    TOKEN_PATH,
    LoginProvider,
)
from tests.api.auth.login_service import (
    ORIGIN,
    LoginService,
    Options,
    make_login_app,
    put_login,
    query_of,
)

OWN_PAGE = {"Origin": ORIGIN, "X-Requested-With": "fetch", "Sec-Fetch-Site": "same-origin"}
FORM = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
SESSION = "__Host-session"
LIFE = timedelta(minutes=5)
BACKCHANNEL = "/auth/backchannel-logout"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
SIGNER = make_signing_key("ES256")


class Shop(LoginService):
    """A service whose people have signed in, and what providers tell it."""

    @asynccontextmanager
    async def browser(
        self, subject: str | None = None, *, sid: str | None = None, provider: str = "staff"
    ) -> AsyncGenerator[AsyncClient]:
        """Open a browser in which somebody has signed in; nobody without a subject."""
        transport = ASGITransport(app=self.app)
        async with AsyncClient(transport=transport, base_url=ORIGIN) as client:
            if subject is not None:
                begun = await client.get("/auth/login", params={"provider": provider})
                asked = {"staff": self.provider, "customers": self.other}[provider]
                await client.get(asked.sign_in(begun.headers["location"], subject=subject, sid=sid))
            yield client

    async def tell(self, token: str, **options: Any) -> Response:
        """Send a logout token, as a provider does."""
        async with self.browser() as nobody:
            return await nobody.post(BACKCHANNEL, data={"logout_token": token}, **options)


@cache
def make_app() -> FastAPI:
    app = make_login_app()

    @app.get("/token")
    async def show_token(token: ProviderAccessToken) -> str:
        # A service never does this; the test has to see it.
        return token

    return app


def make_shop(*, after_logout: str = "/") -> Shop:
    options = Options(after_logout=after_logout, provider_key=SIGNER)
    return put_login(Shop, make_app(), options)


@pytest.fixture
async def shop() -> AsyncGenerator[Shop]:
    made = make_shop()
    async with made.login.lifespan(made.app):
        yield made


async def is_signed_in(browser: AsyncClient) -> bool:
    return (await browser.get("/auth/session")).status_code == 200


def refreshes_of(provider: LoginProvider) -> int:
    return sum(form.get("grant_type") == "refresh_token" for form in provider.forms)


async def test_gives_out_the_access_token_of_whoever_is_asking(shop: Shop) -> None:
    async with shop.browser("ann") as ann, shop.browser("otto") as otto:
        tokens = [(await one.get("/token")).json() for one in (ann, otto)]

    granted = [shop.provider.access_tokens[token]["subject"] for token in tokens]
    assert granted == ["ann", "otto"]


async def test_nobody_has_no_access_token(shop: Shop) -> None:
    async with shop.browser() as nobody:
        answer = await nobody.get("/token")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Cookie ")


async def test_every_route_decides_who_may_use_it() -> None:
    assert find_undecided(make_app()) == []


async def test_b17_parallel_requests_refresh_once(shop: Shop) -> None:
    async with shop.browser("ann") as ann:
        shop.clock.advance(LIFE)

        answers = await asyncio.gather(*(ann.get("/token") for _ in range(30)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json() for answer in answers}) == 1
    assert refreshes_of(shop.provider) == 1


async def test_b18_a_refresh_token_that_was_used_up_ends_the_session_cleanly(shop: Shop) -> None:
    async with shop.browser("ann") as ann:
        shop.clock.advance(LIFE)
        shop.provider.refresh_tokens.clear()

        answer = await ann.get("/token")

        assert answer.status_code == 401
        assert answer.json()["code"] == "session_ended"
        assert answer.headers["www-authenticate"].startswith("Cookie ")
        assert not await is_signed_in(ann)
    held = shop.login.provider_sessions
    assert await held.list_by_subject(shop.provider.url, "ann") == []
    assert [details["reason"] for details in shop.events.of("provider_tokens_lost")] == ["refused"]


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "mallory"},
        {"iss": "https://other.test"},
        {"aud": "another client"},
        {"exp": 1},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    ],
    ids="".join,
)
async def test_b19_a_refresh_with_an_id_token_of_somebody_else_ends_the_session(
    shop: Shop, claims: dict[str, Any]
) -> None:
    async with shop.browser("ann") as ann:
        shop.clock.advance(LIFE)
        shop.provider.id_token_claims = claims

        answer = await ann.get("/token")

        assert answer.status_code == 401
        assert not await is_signed_in(ann)


async def test_b19_a_refresh_without_an_id_token_goes_on(shop: Shop) -> None:
    async with shop.browser("ann") as ann:
        shop.clock.advance(LIFE)
        shop.provider.token_changes = {"id_token": OMIT, "refresh_token": OMIT}

        answer = await ann.get("/token")

    assert answer.status_code == 200


@pytest.mark.parametrize("typ", ["logout+jwt", "LOGOUT+JWT", "application/logout+jwt", "JWT", OMIT])
async def test_a_provider_ends_the_session_that_it_names(shop: Shop, typ: Any) -> None:
    async with (
        shop.browser("ann", sid="s-1") as ann,
        shop.browser("ann", sid="s-2") as elsewhere,
        shop.browser("otto", sid="s-3") as otto,
    ):
        token = shop.provider.mint_logout_token(subject="ann", sid="s-1", header={"typ": typ})
        answer = await shop.tell(token)

        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["cache-control"] == "no-store"
        assert [await is_signed_in(one) for one in (ann, elsewhere, otto)] == [False, True, True]
    assert shop.events.of("logout_received") == [{"provider": "staff", "sessions": "1"}]


async def test_a_provider_ends_all_sessions_of_somebody(shop: Shop) -> None:
    async with (
        shop.browser("ann", sid="s-1") as ann,
        shop.browser("ann") as elsewhere,
        shop.browser("otto") as otto,
        shop.browser("ann", provider="customers") as namesake,
    ):
        answer = await shop.tell(shop.provider.mint_logout_token(subject="ann"))

        assert answer.status_code == 200
        browsers = (ann, elsewhere, otto, namesake)
        assert [await is_signed_in(one) for one in browsers] == [False, False, True, True]


async def test_a_provider_need_not_know_that_a_session_has_ended(shop: Shop) -> None:
    answer = await shop.tell(shop.provider.mint_logout_token(subject="ann", sid="gone"))

    assert answer.status_code == 200


def _forge(claims: dict[str, Any], header: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"claims": claims, "header": header}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (_forge({"events": OMIT}), "events"),
        (_forge({"events": {}}), "events"),
        (_forge({"events": [EVENT]}), "events"),
        (_forge({"events": {EVENT: True}}), "events"),
        (_forge({"events": {EVENT + "/": {}}}), "events"),
        (_forge({"nonce": "n"}), "nonce"),
        (_forge({"nonce": None}), "nonce"),
        (_forge({"aud": "another client"}), "audience"),
        (_forge({"aud": []}), "audience"),
        (_forge({"iss": "https://other.test"}), "key"),
        (_forge({"iss": "https://login.test/"}), "issuer"),
        (_forge({"iss": OMIT}), "issuer"),
        (_forge({"iss": ["https://login.test"]}), "issuer"),
        (_forge({"exp": 1}), "expired"),
        (_forge({"exp": OMIT}), "claims"),
        (_forge({"exp": 253_402_300_000}), "lifetime"),
        (_forge({"iat": OMIT}), "claims"),
        (_forge({"iat": 253_402_300_000}), "not_yet_valid"),
        (_forge({"jti": OMIT}), "jti"),
        (_forge({"jti": ""}), "jti"),
        (_forge({"jti": 7}), "jti"),
        (_forge({"sid": OMIT, "sub": OMIT}), "session"),
        (_forge({"sid": ["s-1"]}), "session"),
        (_forge({"sub": None}), "session"),
        (_forge({}, {"typ": "at+jwt"}), "type"),
        (_forge({}, {"typ": "id_token+jwt"}), "type"),
        (_forge({}, {"alg": "HS256"}), "algorithm"),
        (_forge({}, {"alg": "none"}), "algorithm"),
        (_forge({}, {"crit": ["exp"]}), "malformed"),
        (_forge({}, {"kid": "unknown"}), "key"),
    ],
    ids=lambda value: json.dumps(value, default=str)[:60] if isinstance(value, dict) else "",
)
async def test_b22_refuses_what_is_no_logout_token(
    shop: Shop, changes: dict[str, Any], reason: str
) -> None:
    async with shop.browser("ann", sid="s-1") as ann:
        token = shop.provider.mint_logout_token(subject="ann", sid="s-1", **changes)

        answer = await shop.tell(token)

        assert answer.status_code == 400
        assert answer.json() == {"error": "invalid_request"}
        assert answer.headers["cache-control"] == "no-store"
        assert await is_signed_in(ann)
    assert shop.events.of("logout_refused") == [{"reason": reason}]


async def test_b22_refuses_a_logout_token_that_somebody_else_has_signed(shop: Shop) -> None:
    forged = make_signing_key("ES256", kid=SIGNER.kid)
    async with shop.browser("ann", sid="s-1") as ann:
        answer = await shop.tell(shop.provider.mint_logout_token(sid="s-1", key=forged))

        assert answer.status_code == 400
        assert await is_signed_in(ann)


async def test_b22_another_provider_cannot_end_the_session(shop: Shop) -> None:
    async with shop.browser("ann", sid="s-1") as ann:
        for token in (
            shop.other.mint_logout_token(sid="s-1"),
            shop.other.mint_logout_token(subject="ann"),
        ):
            answer = await shop.tell(token)

            assert answer.status_code == 200
        assert await is_signed_in(ann)


async def test_b22_refuses_an_id_token(shop: Shop) -> None:
    async with shop.browser("ann") as ann:
        answer = await shop.tell(shop.provider.mint_id_token("ann"))

        assert answer.status_code == 400
        assert await is_signed_in(ann)


async def test_b22_refuses_a_token_that_comes_twice(shop: Shop) -> None:
    token = shop.provider.mint_logout_token(subject="ann")
    assert (await shop.tell(token)).status_code == 200
    async with shop.browser("ann") as signed_in_again:
        answers = [await shop.tell(token) for _ in range(2)]
        shop.clock.advance(timedelta(seconds=140))
        answers.append(await shop.tell(token))

        assert {answer.status_code for answer in answers} == {400}
        assert await is_signed_in(signed_in_again)
    reasons = [details["reason"] for details in shop.events.of("logout_refused")]
    assert set(reasons) == {"replayed"}


async def test_b22_a_session_of_somebody_else_goes_on(shop: Shop) -> None:
    async with shop.browser("ann", sid="s-1") as ann, shop.browser("otto", sid="s-2") as otto:
        answer = await shop.tell(shop.provider.mint_logout_token(subject="otto", sid="s-1"))

        assert answer.status_code == 400
        assert await is_signed_in(ann)
        assert await is_signed_in(otto)


async def test_b22_a_token_that_could_not_be_heeded_can_come_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> bool:
        raise SessionsUnavailableError

    token = shop.provider.mint_logout_token(sid="s-1")
    async with shop.browser("ann", sid="s-1") as ann:
        with monkeypatch.context() as down:
            down.setattr(shop.login.sessions.store, "remove_by_id", fail)
            assert (await shop.tell(token)).status_code == 503

        assert (await shop.tell(token)).status_code == 200
        assert not await is_signed_in(ann)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"logout_token=", "application/x-www-form-urlencoded"),
        (b"logout_token=a.b.c", "application/x-www-form-urlencoded"),
        (b"logout_token=\xff\xfe", "application/x-www-form-urlencoded"),
        (b"logout_token=%ff%d8%00", "application/x-www-form-urlencoded"),
        (b"&".join([b"logout_token=e30.e30.e30"] * 2), "application/x-www-form-urlencoded"),
        (b"&" * 1000, "application/x-www-form-urlencoded"),
        (b"logout_token=" + b"a" * 60_000, "application/x-www-form-urlencoded"),
        (b"logout_token=" + b"a" * 20_000, "application/x-www-form-urlencoded"),
        (b'{"logout_token": "a.b.c"}', "application/json"),
        (b"logout_token=a.b.c", "text/plain"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_b22_refuses_what_is_no_form(shop: Shop, body: bytes, content_type: str) -> None:
    async with shop.browser() as nobody:
        answer = await nobody.post(
            BACKCHANNEL, content=body, headers={"Content-Type": content_type}
        )

    assert answer.status_code == 400
    assert answer.json() == {"error": "invalid_request"}
    assert shop.provider.endpoints.requests == []


async def test_b22_a_flood_asks_the_provider_once_and_keeps_nothing(shop: Shop) -> None:
    tokens = [
        shop.provider.mint_logout_token(subject="ann", header={"kid": f"made-up-{n}"})
        for n in range(50)
    ]

    answers = [await shop.tell(token) for token in tokens]

    assert {answer.status_code for answer in answers} == {400}
    assert shop.provider.endpoints.count(JWKS_PATH) <= 2
    assert len(shop.store) == 0


async def test_b22_a_provider_whose_keys_cannot_be_had_may_try_again(shop: Shop) -> None:
    shop.provider.endpoints.answers[JWKS_PATH] = lambda _: httpx2.Response(503)

    answer = await shop.tell(shop.provider.mint_logout_token(subject="ann"))

    assert answer.status_code == 503


async def test_signs_out_here_and_at_the_provider(shop: Shop) -> None:
    async with shop.browser("ann", sid="s-1") as ann:
        sent = await ann.post("/auth/logout", headers=OWN_PAGE)
        target = sent.json()["redirect_to"]
        answer = await ann.get(target)

        assert not await is_signed_in(ann)
    url = answer.headers["location"]
    query = query_of(url)
    assert (answer.status_code, url.partition("?")[0]) == (
        303,
        shop.provider.url + END_SESSION_PATH,
    )
    assert query["post_logout_redirect_uri"] == f"{ORIGIN}/"
    assert query["client_id"] == "shop"
    assert len(query["state"]) >= 16
    claims = query["id_token_hint"].split(".")
    assert len(claims) == 3
    assert await shop.login.provider_sessions.list_by_sid(shop.provider.url, "s-1") == []


async def test_sends_a_form_on_to_the_provider(shop: Shop) -> None:
    async with shop.browser("ann") as ann:
        token = make_form_token(ann.cookies[SESSION])
        answer = await ann.post("/auth/logout", data={FORM_FIELD: token}, headers=FORM)

        assert answer.status_code == 303
        assert answer.headers["location"].startswith(shop.provider.url + END_SESSION_PATH)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert SESSION not in ann.cookies


async def test_b12_no_page_sees_a_token_when_somebody_signs_out(shop: Shop) -> None:
    async with shop.browser("ann") as ann:
        answer = await ann.post("/auth/logout", headers=OWN_PAGE)

    target = answer.json()["redirect_to"]
    assert re.fullmatch(rf"{ORIGIN}/auth/logout/[A-Za-z0-9_-]{{43}}", target)
    assert "ann" not in answer.text
    assert "eyJ" not in answer.text + str(answer.headers)


async def test_b23_where_somebody_signs_out_can_be_used_once_and_for_a_minute(shop: Shop) -> None:
    targets: list[str] = []
    for _ in range(2):
        async with shop.browser("ann") as ann:
            answer = await ann.post("/auth/logout", headers=OWN_PAGE)
            targets.append(answer.json()["redirect_to"])
    async with shop.browser() as nobody:
        first = await nobody.get(targets[0])
        again = await nobody.get(targets[0])
        shop.clock.advance(timedelta(minutes=1))
        late = await nobody.get(targets[1])
        made_up = await nobody.get("/auth/logout/" + "A" * 43)
        other = await nobody.get("/auth/logout/session:1")

    assert first.headers["location"].startswith(shop.provider.url)
    for answer in (again, late, made_up, other):
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.test", "X-Requested-With": "fetch"},
        {"Origin": "null", "X-Requested-With": "fetch"},
        {"Sec-Fetch-Site": "cross-site", "X-Requested-With": "fetch"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://other.shop.test"},
        {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN},
    ],
    ids=str,
)
async def test_b23_another_site_cannot_sign_anybody_out(
    shop: Shop, headers: dict[str, str]
) -> None:
    async with shop.browser("ann") as ann:
        answer = await ann.post("/auth/logout", headers=headers)

        assert answer.status_code == 403
        assert await is_signed_in(ann)
    assert len(shop.events.of("csrf_refused")) == 1


async def test_b23_an_image_signs_nobody_out(shop: Shop) -> None:
    async with shop.browser("ann") as ann:
        answer = await ann.get("/auth/logout", headers={"Sec-Fetch-Site": "cross-site"})

        assert answer.status_code == 405
        assert await is_signed_in(ann)


async def test_b23_nobody_says_where_people_go_who_have_signed_out(shop: Shop) -> None:
    evil = "https://evil.test/"
    names = ("post_logout_redirect_uri", "return_to", "next", "redirect_to", "state")
    async with shop.browser("ann") as ann:
        sent = await ann.post(
            "/auth/logout", headers=OWN_PAGE, params=dict.fromkeys(names, evil), json={}
        )
        answer = await ann.get(sent.json()["redirect_to"])

    assert "evil" not in sent.text + answer.headers["location"]


async def test_goes_where_the_settings_say() -> None:
    for after, url in (
        ("/bye?a=1", f"{ORIGIN}/bye?a=1"),
        ("https://www.test/", "https://www.test/"),
    ):
        shop = make_shop(after_logout=after)
        async with shop.browser("ann") as ann:
            sent = await ann.post("/auth/logout", headers=OWN_PAGE)
            answer = await ann.get(sent.json()["redirect_to"])
            again = await ann.post("/auth/logout", headers=OWN_PAGE)

        assert query_of(answer.headers["location"])["post_logout_redirect_uri"] == url
        assert again.json() == {"redirect_to": after}


async def test_who_has_no_session_has_signed_out(shop: Shop) -> None:
    async with shop.browser() as nobody:
        answer = await nobody.post("/auth/logout")

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_signs_out_here_if_the_provider_has_no_such_endpoint(shop: Shop) -> None:
    shop.provider.metadata_changes = {"end_session_endpoint": OMIT}
    async with shop.browser("ann") as ann:
        answer = await ann.post("/auth/logout", headers=OWN_PAGE)

        assert answer.json() == {"redirect_to": "/"}
        assert not await is_signed_in(ann)


async def test_signs_out_here_if_the_provider_cannot_be_asked(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise ProviderUnavailableError

    async with shop.browser("ann") as ann:
        monkeypatch.setattr(shop.login.clients["staff"], "get_metadata", fail)
        answer = await ann.post("/auth/logout", headers=OWN_PAGE)

        assert answer.json() == {"redirect_to": "/"}
        assert not await is_signed_in(ann)


async def test_b25_tokens_that_cannot_be_decrypted_let_nobody_go_on(shop: Shop) -> None:
    async with shop.browser("ann", sid="s-1") as ann:
        held = shop.login.provider_sessions
        held._keys = KeyRing(["another-secret-of-32-characters-or-more"])  # pyright: ignore[reportPrivateUsage] -- as after a restart

        answer = await ann.get("/token")

        assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")
        assert not await is_signed_in(ann)


async def test_b25_sessions_whose_keys_are_lost_can_end(shop: Shop) -> None:
    async with shop.browser("ann", sid="s-1") as ann, shop.browser("otto") as otto:
        held = shop.login.provider_sessions
        held._keys = KeyRing(["another-secret-of-32-characters-or-more"])  # pyright: ignore[reportPrivateUsage] -- as after a restart

        assert (await shop.tell(shop.provider.mint_logout_token(sid="s-1"))).status_code == 200
        assert not await is_signed_in(ann)
        sent = await otto.post("/auth/logout", headers=OWN_PAGE)
        answer = await otto.get(sent.json()["redirect_to"])

        assert not await is_signed_in(otto)
        assert "id_token_hint" not in answer.headers["location"]


@pytest.mark.parametrize("method", ["get", "take", "list_group"])
async def test_b25_a_store_that_does_not_answer_lets_nobody_go_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise SessionsUnavailableError

    async with shop.browser("ann", sid="s-1") as ann:
        monkeypatch.setattr(shop.store, method, fail)
        answer = {
            "get": lambda: ann.get("/token"),
            "take": lambda: ann.post("/auth/logout", headers=OWN_PAGE),
            "list_group": lambda: shop.tell(shop.provider.mint_logout_token(sid="s-1")),
        }[method]

        assert (await answer()).status_code == 503


async def test_b25_a_provider_that_is_down_ends_nothing(shop: Shop) -> None:
    async with shop.browser("ann") as ann:
        token = (await ann.get("/token")).json()
        shop.provider.endpoints.answers[TOKEN_PATH] = lambda _: httpx2.Response(503)
        shop.clock.advance(LIFE - timedelta(seconds=10))

        assert (await ann.get("/token")).json() == token
        shop.clock.advance(timedelta(seconds=10))
        answer = await ann.get("/token")

        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert await is_signed_in(ann)
