import asyncio
import gzip
import json
import logging
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.requests import HTTPConnection

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.login import (
    Identity,
    Login,
)
from fastapi_baseline.auth.login.transactions import COOKIE_PREFIX, MAX_COOKIE_BYTES
from fastapi_baseline.auth.route_decisions import find_undecided
from fastapi_baseline.auth.sessions import (
    SessionsUnavailableError,
)
from fastapi_baseline.testing import OMIT, make_signing_key, make_symmetric_key
from fastapi_baseline.testing.issuer_endpoints import JWKS_PATH, OPENID_PATH, Answer
from fastapi_baseline.testing.login_provider import (
    TOKEN_PATH,
    USERINFO_PATH,
    half_hash,
)
from tests.api.auth.login_service import (
    KEY,
    ORIGIN,
    OTHER,
    LoginService,
    Options,
    make_login_app,
    put_login,
    query_of,
)

SESSION = "__Host-session"
HOUR = timedelta(hours=1)


class Browser:
    """Somebody's browser, with its cookies."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client

    async def begin(self, **query: str) -> str:
        """Return where it is sent to sign in."""
        answer = await self.client.get("/auth/login", params=query)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def come_back(self, url: str, *, cookies: Mapping[str, str] | None = None) -> Response:
        """Come back, with other cookies than the browser has if these are given."""
        if cookies is None:
            return await self.client.get(url)
        self.client.cookies.clear()
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return await self.client.get(url, headers={"Cookie": header})

    async def find_user(self) -> dict[str, Any] | None:
        answer = await self.client.get("/auth/session")
        return answer.json() if answer.status_code == 200 else None

    @property
    def transactions(self) -> dict[str, str]:
        jar = self.client.cookies
        return {one.name: one.value or "" for one in jar.jar if one.name.startswith(COOKIE_PREFIX)}


class Shop(LoginService):
    """A service, and the browsers of those who visit it."""

    @asynccontextmanager
    async def browser(self, **options: Any) -> AsyncGenerator[Browser]:
        transport = ASGITransport(app=self.app)
        async with AsyncClient(transport=transport, base_url=ORIGIN, **options) as client:
            yield Browser(client)


# It has nobody to sign in: that is put into its state.
make_app = cache(make_login_app)


def make_shop(options: Options | None = None) -> Shop:
    return put_login(Shop, make_app(), options or Options())


@pytest.fixture(scope="module")
def key() -> Any:
    return make_signing_key("ES256")


@pytest.fixture
async def shop() -> AsyncGenerator[Shop]:
    made = make_shop()
    async with made.login.lifespan(made.app):
        yield made


@pytest.fixture
async def browser(shop: Shop) -> AsyncGenerator[Browser]:
    async with shop.browser() as one:
        yield one


def answering(status: int, **options: Any) -> Answer:
    """Return what answers each request like this."""
    return lambda _: httpx2.Response(status, **options)


def changed(url: str, **changes: str | None) -> str:
    query: dict[str, str | None] = {**query_of(url), **changes}
    kept = {name: value for name, value in query.items() if value is not None}
    return f"{url.partition('?')[0]}?{urlencode(kept)}"


def assert_refused(shop: Shop, browser: Browser, answer: Response, reason: str) -> None:
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert SESSION not in browser.client.cookies
    assert shop.events.of("login_refused")[-1]["reason"] == reason
    assert shop.events.of("session_started") == []


async def test_signs_somebody_in(shop: Shop, browser: Browser) -> None:
    url = await browser.begin(return_to="/orders?page=2#last")
    answer = await browser.come_back(shop.provider.sign_in(url, subject="ann", acr="2"))

    user = await browser.find_user()

    assert (answer.status_code, answer.headers["location"]) == (303, "/orders?page=2#last")
    assert user is not None
    assert (user["issuer"], user["subject"], user["acr"]) == (shop.provider.url, "ann", "2")
    assert browser.transactions == {}
    assert shop.events.of("sign_in") == [{"provider": "staff"}]


async def test_asks_the_provider_that_is_named(shop: Shop, browser: Browser) -> None:
    url = await browser.begin(provider="customers")
    await browser.come_back(shop.other.sign_in(url))

    user = await browser.find_user()

    assert user is not None
    assert user["issuer"] == OTHER


async def test_shows_that_there_is_no_such_provider(browser: Browser) -> None:
    answer = await browser.client.get("/auth/login", params={"provider": "nobody"})

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


async def test_hands_on_what_signing_in_is_to_be_like(shop: Shop, browser: Browser) -> None:
    url = await browser.begin(
        prompt="login", login_hint="ann@example.com", acr_values="2", max_age="300"
    )

    asked = query_of(url)

    assert asked["prompt"] == "login"
    assert asked["login_hint"] == "ann@example.com"
    assert asked["acr_values"] == "2"
    assert asked["max_age"] == "300"


async def test_refuses_an_old_sign_in_where_a_new_one_was_asked_for(
    shop: Shop, browser: Browser
) -> None:
    url = await browser.begin(max_age="300")
    before = int((shop.clock.now() - timedelta(seconds=331)).timestamp())
    answer = await browser.come_back(shop.provider.sign_in(url, auth_time=before))

    assert_refused(shop, browser, answer, "id_token")


async def test_does_not_take_single_sign_on_for_a_fresh_proof(shop: Shop, browser: Browser) -> None:
    await browser.come_back(shop.provider.sign_in(await browser.begin()))

    user = await browser.find_user()

    assert user is not None
    assert user["auth_time"] is None


async def test_does_not_believe_a_proof_that_is_yet_to_come(shop: Shop, browser: Browser) -> None:
    later = int((shop.clock.now() + HOUR).timestamp())
    await browser.come_back(shop.provider.sign_in(await browser.begin(), auth_time=later))

    user = await browser.find_user()

    assert user is not None
    assert user["auth_time"] == shop.clock.now().isoformat().replace("+00:00", "Z")


async def test_has_the_roles_that_a_claim_names() -> None:
    shop = make_shop(Options(provider_settings={"roles_claim": "realm_access.roles"}))
    shop.provider.id_token_claims = {"realm_access": {"roles": ["clerk", 7, "chief"]}}
    async with shop.browser() as browser:
        await browser.come_back(shop.provider.sign_in(await browser.begin()))

        user = await browser.find_user()

    assert user is not None
    assert user["roles"] == ["chief", "clerk"]


async def test_lets_in_only_whom_the_service_knows() -> None:
    class Staff:
        async def find_roles(
            self, identity: Identity, connection: HTTPConnection
        ) -> frozenset[str] | None:
            assert Login.of(connection) is not None
            return frozenset({"clerk"}) if identity.subject == "ann" else None

    shop = make_shop(Options(accounts=Staff()))
    async with shop.browser() as ann, shop.browser() as eve:
        await ann.come_back(shop.provider.sign_in(await ann.begin(), subject="ann"))
        user = await ann.find_user()
        shop.events.recorded.clear()

        answer = await eve.come_back(shop.provider.sign_in(await eve.begin(), subject="eve"))

        assert_refused(shop, eve, answer, "account")
        assert user is not None
        assert user["roles"] == ["clerk"]


async def test_every_route_says_that_it_is_public(shop: Shop) -> None:
    assert find_undecided(shop.app) == []


# The state (B01).


async def test_b01_refuses_who_comes_back_without_a_state(shop: Shop, browser: Browser) -> None:
    back = shop.provider.sign_in(await browser.begin())

    answer = await browser.come_back(changed(back, state=None))

    assert_refused(shop, browser, answer, "state")
    assert shop.provider.endpoints.count(TOKEN_PATH) == 0


@pytest.mark.parametrize("state", ["", "x", "A" * 43, "é" * 43, "\udce9", "x" * 10_000])
async def test_b01_refuses_a_state_that_was_made_up(
    shop: Shop, browser: Browser, state: str
) -> None:
    back = shop.provider.sign_in(await browser.begin())
    raw = urlencode({"state": state}, errors="surrogateescape")

    answer = await browser.come_back(f"{changed(back, state=None)}&{raw}")

    assert_refused(shop, browser, answer, "state")


async def test_b01_refuses_the_sign_in_of_another_browser(shop: Shop, browser: Browser) -> None:
    async with shop.browser() as victim:
        back = shop.provider.sign_in(await browser.begin(), subject="eve")
        await victim.begin()

        answer = await victim.come_back(back)

        assert_refused(shop, victim, answer, "state")
        assert shop.provider.endpoints.count(TOKEN_PATH) == 0


async def test_b01_refuses_a_sign_in_that_took_too_long(shop: Shop, browser: Browser) -> None:
    back = shop.provider.sign_in(await browser.begin())
    cookies = browser.transactions
    shop.clock.advance(timedelta(minutes=10))

    answer = await browser.come_back(back, cookies=cookies)

    assert_refused(shop, browser, answer, "expired")


async def test_b01_refuses_a_sign_in_that_has_come_to_its_end(shop: Shop) -> None:
    async with shop.browser() as browser, shop.browser() as thief:
        back = shop.provider.sign_in(await browser.begin())
        cookies = browser.transactions
        await browser.come_back(back)
        shop.events.recorded.clear()

        answer = await thief.come_back(back, cookies=cookies)

        assert_refused(shop, thief, answer, "used_state")
        assert shop.provider.endpoints.count(TOKEN_PATH) == 1


async def test_b01_one_of_twenty_who_come_back_at_a_time_gets_a_session(
    shop: Shop, browser: Browser
) -> None:
    back = shop.provider.sign_in(await browser.begin())
    cookies = browser.transactions
    async with shop.browser() as other:
        answers = await asyncio.gather(*(other.come_back(back, cookies=cookies) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [303] + [400] * 19
    assert len(shop.events.of("session_started")) == 1


async def test_b01_a_sign_in_that_failed_cannot_be_tried_again(
    shop: Shop, browser: Browser
) -> None:
    back = shop.provider.sign_in(await browser.begin())
    cookies = browser.transactions
    await browser.come_back(changed(back, code="wrong"))

    answer = await browser.come_back(back, cookies=cookies)

    assert_refused(shop, browser, answer, "used_state")


@pytest.mark.parametrize("kind", ["made_up", "truncated", "other_key", "other_owner"])
async def test_b01_refuses_a_cookie_that_the_service_did_not_make(
    shop: Shop, browser: Browser, kind: str
) -> None:
    back = shop.provider.sign_in(await browser.begin())
    [(name, value)] = browser.transactions.items()
    text = KeyRing([KEY]).decrypt(value, owner="login transaction")
    forged = {
        "made_up": text,
        "truncated": value[:-8],
        "other_key": KeyRing(["x" * 32]).encrypt(text, owner="login transaction"),
        "other_owner": KeyRing([KEY]).encrypt(text, owner="ann"),
    }[kind]

    answer = await browser.come_back(back, cookies={name: json.dumps(forged)})

    assert_refused(shop, browser, answer, "state")


async def test_b01_refuses_two_cookies_of_one_name(shop: Shop, browser: Browser) -> None:
    back = shop.provider.sign_in(await browser.begin())
    [(name, value)] = browser.transactions.items()
    browser.client.cookies.clear()

    answer = await browser.client.get(back, headers={"Cookie": f"{name}={value}; {name}={value}"})

    assert_refused(shop, browser, answer, "state")


@pytest.mark.parametrize("name", ["state", "code", "iss", "error"])
async def test_b01_refuses_a_parameter_that_comes_twice(
    shop: Shop, browser: Browser, name: str
) -> None:
    back = shop.provider.sign_in(await browser.begin())
    value = query_of(back).get(name, "x")

    answer = await browser.come_back(f"{back}&{urlencode([(name, value), (name, value)])}")

    assert_refused(shop, browser, answer, "duplicate_parameter")
    assert shop.provider.endpoints.count(TOKEN_PATH) == 0


async def test_b01_refuses_a_sign_in_with_a_provider_that_is_in_the_settings_no_more(
    shop: Shop, browser: Browser
) -> None:
    back = shop.other.sign_in(await browser.begin(provider="customers"))
    shop.login.clients = {"staff": shop.login.clients["staff"]}

    answer = await browser.come_back(back)

    assert_refused(shop, browser, answer, "state")


@pytest.mark.parametrize(
    "code", [None, "", "a\x00b", "a" * 4097], ids=["none", "empty", "nul", "long"]
)
async def test_b01_refuses_what_is_no_code(shop: Shop, browser: Browser, code: str | None) -> None:
    back = shop.provider.sign_in(await browser.begin())

    answer = await browser.come_back(changed(back, code=code))

    assert_refused(shop, browser, answer, "code")
    assert shop.provider.endpoints.count(TOKEN_PATH) == 0


# Several at a time (B02).


async def test_b02_two_tabs_sign_in(shop: Shop, browser: Browser) -> None:
    first = await browser.begin(return_to="/first")
    second = await browser.begin(return_to="/second")

    late = await browser.come_back(shop.provider.sign_in(second))
    early = await browser.come_back(shop.provider.sign_in(first))

    assert late.headers["location"] == "/second"
    assert early.headers["location"] == "/first"


async def test_b02_twenty_browsers_sign_in_at_a_time(shop: Shop) -> None:
    async def sign_in(number: int) -> str:
        async with shop.browser() as browser:
            url = await browser.begin()
            await browser.come_back(shop.provider.sign_in(url, subject=f"user-{number}"))
            user = await browser.find_user()
            assert user is not None
            return str(user["subject"])

    subjects = await asyncio.gather(*map(sign_in, range(20)))

    assert sorted(subjects) == sorted(f"user-{number}" for number in range(20))


@pytest.mark.parametrize("length", [1, 1900])
async def test_b02_sign_ins_that_nobody_finishes_take_little_room(
    shop: Shop, browser: Browser, length: int
) -> None:
    urls: list[str] = []
    for _ in range(20):
        urls.append(await browser.begin(return_to="/" + "a" * length))
        shop.clock.advance(timedelta(seconds=1))
    cookies = browser.transactions

    newest = await browser.come_back(shop.provider.sign_in(urls[-1]))
    oldest = await browser.come_back(shop.provider.sign_in(urls[0]))

    assert len(cookies) <= 5
    assert sum(map(len, cookies.values())) <= MAX_COOKIE_BYTES
    assert newest.status_code == 303
    assert oldest.status_code == 400


async def test_b02_forgets_cookies_that_nothing_can_be_made_of_first(
    shop: Shop, browser: Browser
) -> None:
    for number in range(30):
        browser.client.cookies.set(f"{COOKIE_PREFIX}{number:08}", "x", domain="shop.test")
    urls = [await browser.begin() for _ in range(5)]

    answers = [await browser.come_back(shop.provider.sign_in(url)) for url in urls]

    assert [answer.status_code for answer in answers] == [303] * 5
    assert browser.transactions == {}


# Mix-up (B03).


@pytest.mark.parametrize("issuer", [OTHER, "https://login.test/", "", None])
async def test_b03_refuses_the_answer_of_another_issuer(
    shop: Shop, browser: Browser, issuer: str | None
) -> None:
    back = shop.provider.sign_in(await browser.begin())

    answer = await browser.come_back(changed(back, iss=issuer))

    assert_refused(shop, browser, answer, "issuer")
    assert shop.provider.endpoints.count(TOKEN_PATH) == 0


async def test_b03_a_provider_that_does_not_name_itself_need_not(
    shop: Shop, browser: Browser
) -> None:
    name = "authorization_response_iss_parameter_supported"
    shop.provider.metadata_changes = {name: OMIT}
    back = shop.provider.sign_in(await browser.begin())

    answer = await browser.come_back(changed(back, iss=None))

    assert answer.status_code == 303


async def test_b03_sends_no_code_of_one_provider_to_another(shop: Shop, browser: Browser) -> None:
    honest = await browser.begin(provider="staff")
    evil = await browser.begin(provider="customers")
    code = query_of(shop.provider.sign_in(honest))["code"]

    answer = await browser.come_back(
        changed(shop.other.sign_in(evil), code=code, iss=shop.provider.url)
    )

    assert_refused(shop, browser, answer, "issuer")
    assert shop.other.endpoints.count(TOKEN_PATH) == 0


# Metadata (B04).


async def refuses_to_begin(shop: Shop, browser: Browser) -> bool:
    answer = await browser.client.get("/auth/login")
    return answer.status_code == 503 and "location" not in answer.headers


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": OTHER},
        {"issuer": "https://login.test/"},
        {"issuer": OMIT},
        {"issuer": ["https://login.test"]},
        {"authorization_endpoint": "http://login.test/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://login.test/authorize#x"},
        {"authorization_endpoint": OMIT},
        {"token_endpoint": "http://login.test/token"},
        {"token_endpoint": "http://127.0.0.1/token"},
        {"token_endpoint": OMIT},
        {"userinfo_endpoint": "http://login.test/userinfo"},
        {"end_session_endpoint": "ftp://login.test/"},
        {"jwks_uri": "http://login.test/jwks"},
        {"jwks_uri": 7},
        {"response_types_supported": ["id_token"]},
    ],
    ids=lambda changes: "-".join(f"{name}={value}" for name, value in changes.items()),
)
async def test_b04_refuses_metadata_that_are_not_safe(
    shop: Shop, browser: Browser, changes: dict[str, Any]
) -> None:
    shop.provider.metadata_changes = changes

    assert await refuses_to_begin(shop, browser)


async def test_b04_refuses_metadata_that_become_those_of_another(
    shop: Shop, browser: Browser
) -> None:
    back = shop.provider.sign_in(await browser.begin())
    shop.provider.metadata_changes = {"issuer": OTHER, "token_endpoint": f"{OTHER}{TOKEN_PATH}"}
    shop.clock.advance(timedelta(minutes=9))
    within = await browser.come_back(back)
    shop.clock.advance(HOUR)

    assert within.status_code == 303
    assert await refuses_to_begin(shop, browser)
    assert shop.other.endpoints.count(TOKEN_PATH) == 0


async def test_b04_believes_metadata_while_the_provider_is_silent(
    shop: Shop, browser: Browser
) -> None:
    await browser.begin()
    shop.provider.endpoints.answers[OPENID_PATH] = answering(500)
    shop.clock.advance(HOUR)

    url = await browser.begin()

    assert url.startswith(shop.provider.url)


async def test_b04_keys_may_be_on_another_host(shop: Shop, browser: Browser) -> None:
    shop.provider.metadata_changes = {"jwks_uri": f"{OTHER}/keys"}
    shop.other.endpoints.answers["/keys"] = shop.provider.endpoints.answers[JWKS_PATH]

    answer = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    assert answer.status_code == 303


@pytest.mark.parametrize(
    "changes",
    [
        {"verify": False, "proxy": "http://evil.test"},
        {"code_challenge_method": "plain", "scope": "admin", "response_type": "token"},
        {"client_id": "evil", "client_secret": "x", "update_token": "x", "transport": "x"},
        {"redirect_uri": "https://evil.test", "nonce": "1", "prompt": "none", "token": "x"},
    ],
    ids=["transport", "flow", "client", "request"],
)
async def test_b04_metadata_do_not_change_how_the_service_asks(
    shop: Shop, browser: Browser, changes: dict[str, Any]
) -> None:
    shop.provider.metadata_changes = changes

    url = await browser.begin()
    answer = await browser.come_back(shop.provider.sign_in(url))

    asked = query_of(url)
    assert answer.status_code == 303
    assert (asked["client_id"], asked["redirect_uri"]) == ("shop", f"{ORIGIN}/auth/callback")
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["scope"] == "openid profile email offline_access"


# ID tokens (B05).


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"iss": OTHER}, "issuer"),
        ({"iss": "https://login.test/"}, "issuer"),
        ({"iss": OMIT}, "issuer"),
        ({"iss": ["https://login.test"]}, "issuer"),
        ({"sub": OMIT}, "claims"),
        ({"sub": ""}, "claims"),
        ({"sub": 7}, "claims"),
        ({"sub": "ann\x00"}, "claims"),
        ({"sub": "a" * 1025}, "claims"),
        ({"aud": "other"}, "audience"),
        ({"aud": OMIT}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": ["other"]}, "audience"),
        ({"aud": "shop2"}, "audience"),
        ({"aud": {"shop": 1}}, "audience"),
        ({"aud": ["shop", 7], "azp": "shop"}, "audience"),
        ({"aud": "other", "azp": "shop"}, "audience"),
        ({"aud": ["shop", "other"]}, "authorized_party"),
        ({"aud": ["shop", "other"], "azp": "other"}, "authorized_party"),
        ({"azp": "other"}, "authorized_party"),
        ({"azp": None}, "authorized_party"),
        ({"nonce": OMIT}, "nonce"),
        ({"nonce": "other"}, "nonce"),
        ({"nonce": ["x"]}, "nonce"),
        ({"at_hash": half_hash("other")}, "access_token_hash"),
        ({"at_hash": ""}, "access_token_hash"),
        ({"at_hash": None}, "access_token_hash"),
        ({"exp": OMIT}, "claims"),
        ({"exp": "9999999999"}, "claims"),
        ({"exp": True}, "claims"),
        ({"exp": 1}, "expired"),
        ({"iat": OMIT}, "claims"),
        ({"iat": 9_999_999_999}, "not_yet_valid"),
        ({"nbf": 9_999_999_999}, "not_yet_valid"),
        ({"auth_time": "now"}, "claims"),
        ({"acr": 7}, "claims"),
        ({"amr": [7]}, "claims"),
        ({"sid": 7}, "claims"),
        ({"events": {}}, "type"),
    ],
    ids=lambda value: json.dumps(value, default=str) if isinstance(value, dict) else value,
)
async def test_b05_refuses_an_id_token_with_other_claims(
    shop: Shop, browser: Browser, changes: dict[str, Any], flaw: str
) -> None:
    shop.provider.id_token_claims = changes

    answer = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    assert_refused(shop, browser, answer, "id_token")
    assert shop.events.of("login_refused")[-1]["detail"] == flaw


@pytest.mark.parametrize(
    ("header", "flaw"),
    [
        ({"alg": "none"}, "algorithm"),
        ({"alg": "None"}, "algorithm"),
        ({"alg": "HS256"}, "algorithm"),
        ({"alg": "RS384"}, "algorithm"),
        ({"alg": "RS256"}, "key"),
        ({"alg": OMIT}, "malformed"),
        ({"typ": "at+jwt"}, "type"),
        ({"typ": "logout+jwt"}, "type"),
        ({"typ": "application/at+JWT"}, "type"),
        ({"kid": "unknown"}, "key"),
        ({"kid": 7}, "malformed"),
        ({"crit": ["x"], "x": 1}, "malformed"),
    ],
    ids=lambda value: json.dumps(value, default=str) if isinstance(value, dict) else value,
)
async def test_b05_refuses_an_id_token_with_another_header(
    shop: Shop, browser: Browser, header: dict[str, Any], flaw: str
) -> None:
    # What the provider says that it signs with does not count either.
    shop.provider.metadata_changes = {
        "id_token_signing_alg_values_supported": ["none", "HS256", "RS384"]
    }
    shop.provider.id_token_header = header

    answer = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    assert_refused(shop, browser, answer, "id_token")
    assert shop.events.of("login_refused")[-1]["detail"] == flaw


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
async def test_b05_refuses_a_public_key_as_a_secret(
    shop: Shop, browser: Browser, form: Any
) -> None:
    shop.provider.id_token_key = shop.provider.signing_key.as_hmac(form)

    answer = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    assert_refused(shop, browser, answer, "id_token")


async def test_b05_refuses_the_secret_of_the_client_as_a_key(shop: Shop, browser: Browser) -> None:
    secret = shop.provider.client_secret.encode()
    shop.provider.id_token_key = make_symmetric_key(secret, kid="secret")
    shop.provider.keys.append(shop.provider.id_token_key)

    answer = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    assert_refused(shop, browser, answer, "id_token")


async def test_b05_refuses_the_signature_of_another_key(
    shop: Shop, browser: Browser, key: Any
) -> None:
    shop.provider.id_token_key = key.with_kid(shop.provider.signing_key.kid)

    answer = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    assert_refused(shop, browser, answer, "id_token")
    assert shop.events.of("login_refused")[-1]["detail"] == "signature"


@pytest.mark.parametrize(
    ("id_token", "flaw"),
    [(OMIT, "missing"), ("", "missing"), ("x", "malformed"), ("a.b.c", "malformed")],
)
async def test_b05_refuses_an_answer_without_an_id_token(
    shop: Shop, browser: Browser, id_token: Any, flaw: str
) -> None:
    shop.provider.token_changes = {"id_token": id_token}

    answer = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    assert_refused(shop, browser, answer, "id_token")
    assert shop.events.of("login_refused")[-1]["detail"] == flaw


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["shop"]},
        {"aud": ["shop", "other"], "azp": "shop"},
        {"azp": "shop"},
        {"at_hash": OMIT},
        {"amr": "pwd"},
        {"unknown": {"a": 1}},
    ],
    ids=lambda value: json.dumps(value, default=str),
)
async def test_b05_accepts_what_is_right(
    shop: Shop, browser: Browser, changes: dict[str, Any]
) -> None:
    shop.provider.id_token_claims = changes

    answer = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    assert answer.status_code == 303


@pytest.mark.parametrize(("late_s", "status"), [(329, 303), (330, 400)])
async def test_b05_an_id_token_ends_when_it_says_and_half_a_minute(
    shop: Shop, browser: Browser, late_s: int, status: int
) -> None:
    now = int(shop.clock.now().timestamp())
    shop.provider.id_token_claims = {"iat": now, "exp": now + 300}
    back = shop.provider.sign_in(await browser.begin())
    shop.clock.advance(timedelta(seconds=late_s))

    answer = await browser.come_back(back)

    assert answer.status_code == status


async def test_b05_accepts_a_key_that_is_new(shop: Shop, browser: Browser) -> None:
    await browser.come_back(shop.provider.sign_in(await browser.begin()))
    shop.provider.rotate(keeps_old=False)

    answer = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    assert answer.status_code == 303


@pytest.mark.parametrize(("keys", "status"), [(1, 303), (2, 400)])
async def test_b05_a_token_that_names_no_key_needs_one_only(
    shop: Shop, browser: Browser, keys: int, status: int
) -> None:
    shop.provider.id_token_header = {"kid": OMIT}
    if keys == 2:
        shop.provider.keys.append(make_signing_key("ES256"))

    answer = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    assert answer.status_code == status


# Codes of others, and PKCE (B06 and B07).


async def test_b06_refuses_the_code_of_somebody_else(shop: Shop, browser: Browser) -> None:
    async with shop.browser() as victim:
        stolen = query_of(shop.provider.sign_in(await victim.begin(), subject="victim"))["code"]
        back = shop.provider.sign_in(await browser.begin(), subject="eve")

        answer = await browser.come_back(changed(back, code=stolen))

        assert_refused(shop, browser, answer, "token_request")


async def test_b06_the_nonce_refuses_it_where_the_provider_does_not(
    shop: Shop, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fits(*_: object) -> bool:
        return True

    monkeypatch.setattr("fastapi_baseline.testing.login_provider._fits", fits)
    async with shop.browser() as victim:
        stolen = query_of(shop.provider.sign_in(await victim.begin(), subject="victim"))["code"]
        back = shop.provider.sign_in(await browser.begin(), subject="eve")

        answer = await browser.come_back(changed(back, code=stolen))

        assert_refused(shop, browser, answer, "id_token")
        assert shop.events.of("login_refused")[-1]["detail"] == "nonce"


async def test_b07_always_sends_a_challenge_and_its_verifier(shop: Shop, browser: Browser) -> None:
    first = query_of(await browser.begin())
    url = await browser.begin()
    await browser.come_back(shop.provider.sign_in(url))

    second = query_of(url)
    verifier = shop.provider.forms[0]["code_verifier"]
    assert second["code_challenge_method"] == "S256"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", second["code_challenge"])
    assert re.fullmatch(r"[A-Za-z0-9_-]{43,128}", verifier)
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]


@pytest.mark.parametrize("methods", [OMIT, [], ["plain"], "S256", None, ["s256"]], ids=str)
async def test_b07_refuses_a_provider_without_pkce(
    shop: Shop, browser: Browser, methods: Any
) -> None:
    shop.provider.metadata_changes = {"code_challenge_methods_supported": methods}

    assert await refuses_to_begin(shop, browser)


@pytest.mark.parametrize(("methods", "status"), [(OMIT, 303), (["plain"], 503)])
async def test_b07_settings_can_say_that_a_provider_knows_pkce(methods: Any, status: int) -> None:
    shop = make_shop(Options(provider_settings={"knows_pkce": True}))
    shop.provider.metadata_changes = {"code_challenge_methods_supported": methods}
    async with shop.browser() as browser:
        answer = await browser.client.get("/auth/login")

    assert answer.status_code == status


# Errors of the provider (B08).


async def test_b08_shows_nothing_of_an_error_of_the_provider(
    shop: Shop, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    back = shop.provider.refuse(
        await browser.begin(), "<script>alert(1)</script>", error_description="<b>bold</b>"
    )

    answer = await browser.come_back(back)

    assert_refused(shop, browser, answer, "provider_error")
    assert shop.events.of("login_refused")[-1]["detail"] == "other"
    assert "alert(1)" not in answer.text
    assert "bold" not in answer.text
    assert "alert(1)" not in caplog.text


async def test_b08_says_which_known_error_it_was(shop: Shop, browser: Browser) -> None:
    answer = await browser.come_back(shop.provider.refuse(await browser.begin()))

    assert_refused(shop, browser, answer, "provider_error")
    assert shop.events.of("login_refused")[-1]["detail"] == "access_denied"
    assert browser.transactions == {}


async def test_b08_looks_at_no_error_without_a_state(shop: Shop, browser: Browser) -> None:
    back = shop.provider.refuse(await browser.begin(), "login_required")

    answer = await browser.come_back(changed(back, state="A" * 43))

    assert_refused(shop, browser, answer, "state")
    assert "detail" not in shop.events.of("login_refused")[-1]


async def test_b08_an_error_needs_its_issuer_too(shop: Shop, browser: Browser) -> None:
    answer = await browser.come_back(
        changed(shop.provider.refuse(await browser.begin()), iss=OTHER)
    )

    assert_refused(shop, browser, answer, "issuer")


# Where people go, and come back to (B09 and B10).


@pytest.mark.parametrize(
    "path",
    [
        "//evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "https:evil.test",
        "https://evil.test/",
        "https://shop.test@evil.test",
        "%2f%2fevil.test",
        "/%2fevil.test",
        "/%252f%252fevil.test",
        "/%5cevil.test",
        "/.//evil.test",
        "/\t/evil.test",
        "/\n/evil.test",
        "/x\r\nSet-Cookie: a=b",
        "/%0d%0aSet-Cookie:a=b",
        "javascript:alert(1)",
        "data:text/html,x",
        "/ä",
        "\uff0f\uff0fevil.test",
        "evil.test",
        "",
    ],
)
async def test_b09_nobody_is_sent_to_another_site(shop: Shop, browser: Browser, path: str) -> None:
    url = await browser.begin(return_to=path)

    answer = await browser.come_back(shop.provider.sign_in(url))

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.test"},
        {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "http"},
        {"Forwarded": "host=evil.test;proto=http"},
        {"X-Original-Host": "evil.test", "X-Rewrite-URL": "https://evil.test/"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_b10_people_come_back_to_the_configured_url_only(
    shop: Shop, browser: Browser, headers: dict[str, str]
) -> None:
    answer = await browser.client.get("/auth/login", headers=headers)
    back = shop.provider.sign_in(answer.headers["location"])
    await browser.client.get(back, headers=headers)

    assert query_of(answer.headers["location"])["redirect_uri"] == f"{ORIGIN}/auth/callback"
    assert shop.provider.forms[0]["redirect_uri"] == f"{ORIGIN}/auth/callback"
    assert "evil" not in answer.text


# Userinfo (B20).


@pytest.fixture
async def telling_shop() -> Shop:
    return make_shop(
        Options(accounts=None, provider_settings={"userinfo": True, "roles_claim": "groups"})
    )


async def test_b20_reads_what_only_userinfo_says(telling_shop: Shop) -> None:
    telling_shop.provider.userinfo = {"groups": ["clerk"]}
    async with telling_shop.browser() as browser:
        await browser.come_back(telling_shop.provider.sign_in(await browser.begin()))

        user = await browser.find_user()

    assert user is not None
    assert user["roles"] == ["clerk"]


async def test_b20_what_is_signed_counts_more(telling_shop: Shop) -> None:
    telling_shop.provider.userinfo = {"groups": ["chief"], "iss": OTHER}
    telling_shop.provider.id_token_claims = {"groups": ["clerk"]}
    async with telling_shop.browser() as browser:
        await browser.come_back(telling_shop.provider.sign_in(await browser.begin()))

        user = await browser.find_user()

    assert user is not None
    assert (user["roles"], user["issuer"]) == (["clerk"], telling_shop.provider.url)


def unsigned_userinfo(_: httpx2.Request) -> httpx2.Response:
    token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ."
    return httpx2.Response(200, text=token, headers={"Content-Type": "application/jwt"})


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (answering(200, json={"sub": "eve"}), 400),
        (answering(200, json={"sub": ["ann"]}), 400),
        (answering(200, json={}), 400),
        (answering(200, json=["ann"]), 400),
        (answering(200, text="<html>"), 400),
        (unsigned_userinfo, 400),
        (answering(401), 503),
        (answering(302, headers={"Location": "https://evil.test"}), 503),
    ],
    ids=["other", "list", "none", "array", "html", "unsigned", "refused", "redirect"],
)
async def test_b20_refuses_what_userinfo_says_of_somebody_else(
    telling_shop: Shop, answer: Answer, status: int
) -> None:
    telling_shop.provider.endpoints.answers[USERINFO_PATH] = answer
    async with telling_shop.browser() as browser:
        page = await browser.come_back(telling_shop.provider.sign_in(await browser.begin()))

        assert page.status_code == status
        assert SESSION not in browser.client.cookies
        assert telling_shop.events.of("session_started") == []


async def test_b20_refuses_to_go_without_a_userinfo_endpoint(telling_shop: Shop) -> None:
    telling_shop.provider.metadata_changes = {"userinfo_endpoint": OMIT}
    async with telling_shop.browser() as browser:
        page = await browser.come_back(telling_shop.provider.sign_in(await browser.begin()))

    assert page.status_code == 503


# Who somebody is (B21).


async def test_b21_the_same_address_at_two_providers_is_two_people(shop: Shop) -> None:
    for one in (shop.provider, shop.other):
        one.id_token_claims = {"email": "ann@example.com", "email_verified": True}
    users: list[tuple[str, str]] = []
    for name, provider in (("staff", shop.provider), ("customers", shop.other)):
        async with shop.browser() as browser:
            url = await browser.begin(provider=name)
            await browser.come_back(provider.sign_in(url, subject=f"{name}-1"))
            user = await browser.find_user()
            assert user is not None
            users.append((user["issuer"], user["subject"]))

    assert users == [(shop.provider.url, "staff-1"), (OTHER, "customers-1")]


async def test_b21_the_same_subject_at_two_providers_is_two_people(shop: Shop) -> None:
    async with shop.browser() as staff, shop.browser() as customer:
        await staff.come_back(shop.provider.sign_in(await staff.begin(), subject="1"))
        url = await customer.begin(provider="customers")
        await customer.come_back(shop.other.sign_in(url, subject="1"))

        listed = (await customer.client.get("/auth/sessions")).json()

        assert len(listed) == 1


async def test_b21_a_provider_signs_in_nobody_of_another(shop: Shop, browser: Browser) -> None:
    shop.other.id_token_claims = {"iss": shop.provider.url}
    url = await browser.begin(provider="customers")

    answer = await browser.come_back(shop.other.sign_in(url))

    assert_refused(shop, browser, answer, "id_token")


# What is seen, and what fails (B24 and B25).


async def test_b24_nobody_keeps_or_frames_an_answer(shop: Shop, browser: Browser) -> None:
    begun = await browser.client.get("/auth/login")
    url = begun.headers["location"]
    done = await browser.come_back(shop.provider.sign_in(url))
    refused = await browser.come_back(shop.provider.sign_in(url))

    assert (done.status_code, refused.status_code) == (303, 400)
    for answer in (begun, done, refused):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in refused.headers["content-security-policy"]


async def test_b24_cookies_are_for_this_host_and_https_only(shop: Shop, browser: Browser) -> None:
    begun = await browser.client.get("/auth/login")
    done = await browser.come_back(shop.provider.sign_in(begun.headers["location"]))

    cookies = [*begun.headers.get_list("set-cookie"), *done.headers.get_list("set-cookie")]
    assert len(cookies) == 3
    for cookie in cookies:
        assert cookie.startswith("__Host-")
        for attribute in ("Path=/", "Secure", "HttpOnly", "SameSite=lax"):
            assert attribute in cookie
        assert "Domain" not in cookie


async def test_b24_nothing_secret_is_in_logs_cookies_or_answers(
    shop: Shop, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = await browser.begin()
    [cookie] = browser.transactions.values()
    back = shop.provider.sign_in(url)
    done = await browser.come_back(back)
    refused = await browser.come_back(back)

    form = shop.provider.forms[0]
    # The provider sees these in URLs; nobody who reads a log may.
    secrets = [form["code"], form["code_verifier"], shop.provider.client_secret]
    secrets += [*shop.provider.access_tokens, *shop.provider.refresh_tokens]
    own = [record for record in caplog.records if not record.name.startswith("httpx2")]
    logged = "\n".join(f"{record.getMessage()} {record.__dict__.get('fields')}" for record in own)
    for secret in secrets:
        assert secret not in logged
        assert secret not in cookie
        assert secret not in done.text + refused.text + str(done.headers)
    assert cookie not in logged


def silent(_: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("nobody there")


@pytest.mark.parametrize(
    "answer",
    [
        silent,
        answering(500),
        answering(503, json={"error": "invalid_grant"}),
        answering(200, text="<html>"),
        answering(200, json=[]),
        answering(200, json={}),
        answering(200, text="[" * 100_000),
        answering(200, json={"access_token": "x", "token_type": "mac"}),
        answering(200, json={"access_token": "x"}),
        answering(200, json={"access_token": 7, "token_type": "Bearer"}),
        answering(200, json={"access_token": "x", "token_type": "Bearer", "more": "x" * 600_000}),
        answering(
            200,
            content=gzip.compress(b'{"access_token": "x", "token_type": "Bearer"}'),
            headers={"Content-Encoding": "gzip"},
        ),
        answering(302, headers={"Location": "https://evil.test"}),
        answering(400, json={"error": "temporarily_unavailable"}),
        answering(200, json={"access_token": "x", "token_type": "Bearer", "expires_in": "soon"}),
        answering(200, json={"access_token": "x", "token_type": "Bearer", "expires_in": -1}),
    ],
    ids=[
        *("silent", "500", "503", "html", "array", "empty", "deep", "mac", "no_type", "number"),
        *("much", "compressed", "redirect", "busy", "soon", "negative"),
    ],
)
async def test_b25_a_provider_that_answers_nothing_useful_lets_nobody_in(
    shop: Shop, browser: Browser, answer: Answer
) -> None:
    shop.provider.endpoints.answers[TOKEN_PATH] = answer
    page = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    assert page.status_code == 503
    assert page.headers["content-type"].startswith("text/html")
    assert SESSION not in browser.client.cookies
    assert shop.events.of("session_started") == []


@pytest.mark.parametrize(
    ("error", "detail"),
    [("invalid_grant", "invalid_grant"), ("<script>", "other"), ({"a": 1}, "other"), (7, "other")],
)
async def test_b25_a_refusal_of_the_provider_is_named_if_it_is_known(
    shop: Shop, browser: Browser, error: Any, detail: str
) -> None:
    shop.provider.endpoints.answers[TOKEN_PATH] = answering(400, json={"error": error})

    answer = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    assert_refused(shop, browser, answer, "token_request")
    assert shop.events.of("login_refused")[-1]["detail"] == detail


async def test_b25_a_store_that_does_not_answer_lets_nobody_in(
    shop: Shop, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> bool:
        raise SessionsUnavailableError

    monkeypatch.setattr(shop.login.store, "add_if_absent", fail)

    answer = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    assert answer.status_code == 503
    assert SESSION not in browser.client.cookies
    assert shop.provider.endpoints.count(TOKEN_PATH) == 0


async def test_b25_a_session_whose_tokens_cannot_be_kept_ends(
    shop: Shop, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise SessionsUnavailableError

    monkeypatch.setattr(shop.login.provider_sessions, "keep", fail)

    answer = await browser.come_back(shop.provider.sign_in(await browser.begin()))

    left = await shop.login.sessions.list(shop.provider.url, "ann")
    assert answer.status_code == 503
    assert SESSION not in browser.client.cookies
    assert list(left) == []


async def test_a_strict_cookie_arrives_by_a_page_of_the_service() -> None:
    shop = make_shop(Options(same_site="strict"))
    async with shop.browser() as browser:
        url = await browser.begin(return_to="/orders?a='b'&c=%22")
        answer = await browser.come_back(shop.provider.sign_in(url))

    assert answer.status_code == 200
    assert 'content="0;url=/orders?a=&#x27;b&#x27;&amp;c=%22"' in answer.text
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
