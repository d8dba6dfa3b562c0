"""People who sign in with oidc-provider, which is certified, and what it must not get past us."""

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx2
import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey
from pydantic import SecretStr

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import CurrentPrincipal, public
from fastapi_baseline.auth.login import ProviderAccessToken
from fastapi_baseline.settings import AuthSettings
from fastapi_baseline.settings.auth import LoginSettings
from fastapi_baseline.testing import ManualClock, ServerProcess

SECRET = "a-secret-of-the-client-that-is-long-enough"
METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
Listening = Callable[..., AbstractContextManager[Any]]
Forged = Mapping[str, Any]

_numbers = count(1)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A service whose users sign in with the provider."""

    url: str
    provider: str
    client_id: str
    clock: ManualClock
    surfer: Callable[..., Any]

    def browser(self, user: str = "ann") -> Any:
        """Return the browser of somebody who has not signed in yet."""
        return self.surfer(login=user, password="any", logout="yes")

    def signed_in(self, user: str = "ann") -> Any:
        """Return the browser of a user who has signed in."""
        browser = self.browser(user)
        answer = browser.page(f"{self.url}/auth/login?return_to=/account")
        assert answer.json() == {"issuer": self.provider, "subject": user}
        return browser

    def callback_of(self, browser: Any) -> str:
        """Return where a user is sent who has signed in there, and not here yet."""
        where: str = browser.arrival(f"{self.url}/auth/login", until=f"{self.url}/auth/callback")
        return where

    def lets_in(self, browser: Any) -> bool:
        """Return whether a browser has a session."""
        answer = browser.get(f"{self.url}/account")
        assert answer.status_code in {200, 401}, answer.text
        return answer.status_code == 200


@pytest.fixture
def shops(
    listening: Listening,
    surfer: Callable[..., Any],
    clock: ManualClock,
    oidc_provider: ServerProcess,
) -> Callable[..., AbstractContextManager[Shop]]:
    """Give what opens a shop."""

    @contextmanager
    def open_shop(method: str = METHODS[0], *, userinfo: bool = False) -> Generator[Shop]:
        client_id = f"shop-{next(_numbers)}"
        key = ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"}, auto_kid=True)
        proof: dict[str, Any] = {"client_secret": SecretStr(SECRET)}
        if method == "private_key_jwt":
            proof = {"private_key": SecretStr(json.dumps(key.as_dict(private=True)))}
        login = LoginSettings(
            issuer=oidc_provider.base_url, client_id=client_id, userinfo=userinfo, **proof
        )
        with listening(partial(make_service, login=login, clock=clock)) as served:
            client = described(client_id, method, key, url=served.base_url)
            told(oidc_provider, "clients", [client])
            if method == "client_secret_post":
                # Basic is what it takes if there is a choice.
                methods = {"token_endpoint_auth_methods_supported": [method]}
                told(oidc_provider, "alter", {"metadata": {"set": methods}})
            yield Shop(
                url=served.base_url,
                provider=oidc_provider.base_url,
                client_id=client_id,
                clock=clock,
                surfer=surfer,
            )

    told(oidc_provider, "alter", {})
    return open_shop


@pytest.fixture
def shop(shops: Callable[..., AbstractContextManager[Shop]]) -> Generator[Shop]:
    with shops() as shop:
        yield shop


def make_service(url: str, *, login: LoginSettings, clock: ManualClock) -> FastAPI:
    auth = AuthSettings(
        public_url=url,
        login=login,
        secret_keys=(SecretStr("a-secret-of-32-characters-or-more"),),
    )
    settings = Settings(environment="test", service_name="shop", auth=auth)
    app = create_app(settings, clock=clock, configure_logging=False)

    @app.get("/")
    @public
    async def greet() -> str:
        return "Hello"

    @app.get("/account")
    async def show_account(principal: CurrentPrincipal) -> dict[str, str]:
        return {"issuer": principal.issuer, "subject": principal.subject}

    @app.get("/token")
    async def show_token(token: ProviderAccessToken) -> str:
        return token

    return app


def described(client_id: str, method: str, key: ECKey, *, url: str) -> dict[str, Any]:
    """Return what the provider is told of the shop."""
    client: dict[str, Any] = {
        "client_id": client_id,
        "redirect_uris": [f"{url}/auth/callback"],
        "post_logout_redirect_uris": [f"{url}/"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
        "backchannel_logout_uri": f"{url}/auth/backchannel-logout",
        "backchannel_logout_session_required": True,
        "require_auth_time": True,
    }
    if method == "private_key_jwt":
        keys = {"keys": [key.as_dict(private=False)]}
        return {**client, "jwks": keys, "token_endpoint_auth_signing_alg": "ES256"}
    return {**client, "client_secret": SECRET}


def told(server: ServerProcess, what: str, how: Any = None) -> None:
    httpx2.post(f"{server.base_url}/peer/{what}", json=how).raise_for_status()


def changed(url: str, **change: str | None) -> str:
    """Return a URL with other parameters; `None` leaves one out."""
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), **change}
    kept = {name: value for name, value in query.items() if value is not None}
    return urlunsplit(parts._replace(query=urlencode(kept)))


# What is right.


@pytest.mark.parametrize("method", METHODS)
def test_signs_in(method: str, shops: Callable[..., AbstractContextManager[Shop]]) -> None:
    with shops(method, userinfo=True) as shop:
        browser = shop.signed_in()
        known = browser.get(f"{shop.url}/auth/session").json()

    assert (known["issuer"], known["subject"]) == (shop.provider, "ann")
    assert known["auth_time"] is not None


def test_no_token_is_in_the_browser(shop: Shop) -> None:
    browser = shop.signed_in()
    token = browser.get(f"{shop.url}/token").json()

    assert token
    assert not any(token in value or "eyJ" in value for value in browser.cookies.values())


def test_two_tabs_sign_in_at_the_same_time(shop: Shop) -> None:
    browser = shop.browser()

    first, second = shop.callback_of(browser), shop.callback_of(browser)
    answers = [browser.get(where).status_code for where in (first, second)]

    assert answers == [303, 303]
    assert shop.lets_in(browser)


def test_its_token_is_replaced_before_it_ends(shop: Shop) -> None:
    browser = shop.signed_in()
    before = browser.get(f"{shop.url}/token").json()
    same = browser.get(f"{shop.url}/token").json()
    shop.clock.advance(timedelta(minutes=20))
    browser.get(f"{shop.url}/account")
    shop.clock.advance(timedelta(minutes=20))
    browser.get(f"{shop.url}/account")
    shop.clock.advance(timedelta(minutes=21))

    after = browser.get(f"{shop.url}/token").json()

    assert same == before
    assert after != before


@pytest.mark.parametrize("times", [1, 2])
def test_follows_a_rotation_of_keys(times: int, shop: Shop, oidc_provider: ServerProcess) -> None:
    shop.signed_in()
    for _ in range(times):
        shop.clock.advance(timedelta(seconds=31))
        told(oidc_provider, "rotate")
        shop.signed_in()
    told(oidc_provider, "retire")
    shop.clock.advance(timedelta(minutes=11))

    shop.signed_in()


def test_keys_are_changed_just_before_it_signs(shop: Shop, oidc_provider: ServerProcess) -> None:
    shop.signed_in()
    browser = shop.browser()
    where = shop.callback_of(browser)
    shop.clock.advance(timedelta(seconds=31))
    told(oidc_provider, "rotate")

    browser.get(where)

    assert shop.lets_in(browser)


def test_accepts_an_id_token_that_does_not_name_the_only_key(
    shop: Shop, oidc_provider: ServerProcess
) -> None:
    told(oidc_provider, "retire")
    told(oidc_provider, "alter", {"id_token": {"header": {"drop": ["kid"]}}})

    assert shop.lets_in(shop.signed_in())


# What it must not take.

OTHER_CLAIMS: dict[str, Any] = {
    "iss": "https://other.example.com",
    "sub": "",
    "aud": "another-client",
    "azp": "another-client",
    "exp": 1_700_000_000,
    "iat": 4_000_000_000,
    "nbf": 4_000_000_000,
    "nonce": "another-nonce",
    "at_hash": "77QmUPtjPfzWtF2AnpK9RQ",
    "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
}
ID_TOKENS: dict[str, Forged] = {
    "no signature": {"header": {"set": {"alg": "none"}}, "signature": "none"},
    "no signature, RS256": {"signature": "none"},
    "HS256 with the secret": {"header": {"set": {"alg": "HS256"}}, "signature": "secret"},
    "HS256 with the public key": {"header": {"set": {"alg": "HS256"}}, "signature": "public"},
    "another key": {"signature": "other"},
    "altered when it was signed": {"claims": {"set": {"sub": "bob"}}, "signature": "kept"},
    "unknown critical header": {"header": {"set": {"crit": ["x"], "x": 1}}},
    **{
        f"typ {typ}": {"header": {"set": {"typ": typ}}}
        for typ in ("at+jwt", "logout+jwt", "application/at+jwt")
    },
    **{
        f"without {name}": {"claims": {"drop": [name]}}
        for name in ("iss", "sub", "aud", "exp", "iat", "nonce")
    },
    **{
        f"{name} {value!r}": {"claims": {"set": {name: value}}}
        for name, value in OTHER_CLAIMS.items()
    },
}
ANSWERS: dict[str, Forged] = {
    **{f"ID token: {name}": {"id_token": how} for name, how in ID_TOKENS.items()},
    "no ID token": {"token": {"drop": ["id_token"]}},
    "userinfo of somebody else": {"userinfo": {"set": {"sub": "bob"}}},
    "userinfo of nobody": {"userinfo": {"drop": ["sub"]}},
}
# With these, it does not work: there is nothing to refuse.
UNUSABLE: dict[str, Forged] = {
    "no access token": {"token": {"set": {"access_token": ""}}},
    "token for a proof of possession": {"token": {"set": {"token_type": "DPoP"}}},
}


def test_refuses_every_answer_that_was_altered(
    shops: Callable[..., AbstractContextManager[Shop]], oidc_provider: ServerProcess
) -> None:
    found: dict[str, tuple[int, bool]] = {}

    with shops(userinfo=True) as shop:
        for name, how in (ANSWERS | UNUSABLE).items():
            browser = shop.browser()
            where = shop.callback_of(browser)
            told(oidc_provider, "alter", how)
            answer = browser.get(where)
            told(oidc_provider, "alter", {})
            found[name] = (answer.status_code, shop.lets_in(browser))
        good = shop.lets_in(shop.signed_in())

    refused, failed = dict.fromkeys(ANSWERS, (400, False)), dict.fromkeys(UNUSABLE, (503, False))
    assert found == refused | failed
    assert good


def test_refuses_an_id_token_for_two_clients_that_does_not_say_for_which(
    shop: Shop, oidc_provider: ServerProcess
) -> None:
    browser = shop.browser()
    where = shop.callback_of(browser)
    both = [shop.client_id, "another-client"]
    told(oidc_provider, "alter", {"id_token": {"claims": {"set": {"aud": both}, "drop": ["azp"]}}})

    answer = browser.get(where)

    assert answer.status_code == 400
    assert not shop.lets_in(browser)


METADATA: dict[str, Forged] = {
    "another issuer": {"set": {"issuer": "https://other.example.com"}},
    "no issuer": {"drop": ["issuer"]},
    "a slash more": {"set": {"issuer": "{issuer}/"}},
    "no S256": {"set": {"code_challenge_methods_supported": ["plain"]}},
    "no methods of challenges": {"drop": ["code_challenge_methods_supported"]},
    "no TLS": {"set": {"token_endpoint": "http://id.example.com/token"}},
    "no token endpoint": {"drop": ["token_endpoint"]},
    "no keys": {"drop": ["jwks_uri"]},
}


@pytest.mark.parametrize("name", METADATA)
def test_sends_nobody_to_a_provider_that_says_what_it_must_not(
    name: str, shop: Shop, oidc_provider: ServerProcess
) -> None:
    how = json.loads(json.dumps(METADATA[name]).replace("{issuer}", oidc_provider.base_url))
    told(oidc_provider, "alter", {"metadata": how})

    answer = shop.browser().get(f"{shop.url}/auth/login")
    told(oidc_provider, "alter", {})

    assert answer.status_code == 503
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    "change",
    [
        {"iss": None},
        {"iss": "https://other.example.com"},
        {"state": None},
        {"state": "another-state"},
        {"code": None},
        {"code": "another-code"},
        {"error": "access_denied"},
    ],
    ids=lambda change: "-".join(f"{name}={value}" for name, value in change.items()),
)
def test_refuses_to_be_come_back_to_otherwise(change: dict[str, str | None], shop: Shop) -> None:
    browser = shop.browser()
    where = shop.callback_of(browser)

    answer = browser.get(changed(where, **change))

    assert answer.status_code == 400
    assert not shop.lets_in(browser)


def test_refuses_the_code_of_somebody_else(shop: Shop) -> None:
    ann, bob = shop.browser("ann"), shop.browser("bob")
    (code,) = [
        value for name, value in parse_qsl(urlsplit(shop.callback_of(bob)).query) if name == "code"
    ]
    where = shop.callback_of(ann)

    answer = ann.get(changed(where, code=code))

    assert answer.status_code == 400
    assert not shop.lets_in(ann)


def test_refuses_the_way_back_of_another_browser(shop: Shop) -> None:
    where = shop.callback_of(shop.browser())
    other = shop.browser()

    answer = other.get(where)

    assert answer.status_code == 400
    assert not shop.lets_in(other)


def test_says_so_when_the_user_does_not_sign_in(shop: Shop) -> None:
    browser = shop.browser()
    answer = browser.get(f"{shop.url}/auth/login")
    page: httpx2.Response = browser.get(answer.headers["location"])
    aborted = f"{shop.provider}{urlsplit(page.headers['location']).path}/abort"

    refused = browser.page(aborted)

    assert str(refused.url).startswith(f"{shop.url}/auth/callback")
    assert refused.status_code == 400
    assert refused.headers["content-type"].startswith("text/html")
    assert not shop.lets_in(browser)


@pytest.mark.parametrize(
    "claims", [{"sub": "bob"}, {"iss": "https://other.example.com"}], ids=["sub", "iss"]
)
def test_ends_the_session_if_a_refresh_is_of_somebody_else(
    claims: dict[str, str], shop: Shop, oidc_provider: ServerProcess
) -> None:
    browser = shop.signed_in()
    told(oidc_provider, "alter", {"id_token": {"claims": {"set": claims}}})
    for _ in range(3):
        shop.clock.advance(timedelta(minutes=20))
        browser.get(f"{shop.url}/account")

    answer = browser.get(f"{shop.url}/token")
    told(oidc_provider, "alter", {})

    assert answer.status_code == 401
    assert not shop.lets_in(browser)


# Signing out.


def test_signing_out_signs_out_of_the_provider(shop: Shop) -> None:
    browser = shop.signed_in()
    before = browser.pages

    answer = browser.send("POST", f"{shop.url}/auth/logout")
    target = answer.json()["redirect_to"] if answer.is_success else answer.headers["location"]
    back = browser.page(target)
    shop.callback_of(browser)

    assert str(back.url).startswith(f"{shop.url}/?state=")
    assert back.json() == "Hello"
    # Confirmed there, and then asked again who it is.
    assert browser.pages - before >= 2
    assert not shop.lets_in(browser)


def test_the_provider_ends_one_session_and_not_the_others(shop: Shop) -> None:
    here, there = shop.signed_in(), shop.signed_in()
    before = [shop.lets_in(browser) for browser in (here, there)]

    here.page(f"{shop.provider}/session/end")
    after = [shop.lets_in(browser) for browser in (here, there)]

    assert before == [True, True]
    assert after == [False, True]


OTHER_LOGOUT_CLAIMS: dict[str, Any] = {
    **{name: OTHER_CLAIMS[name] for name in ("iss", "aud", "exp", "iat", "nonce")},
    "events": {"http://schemas.openid.net/event/other": {}},
    "sid": "another-session",
    "sub": "bob",
}
LOGOUT_TOKENS: dict[str, Forged] = {
    **{
        name: ID_TOKENS[name]
        for name in (
            "no signature",
            "no signature, RS256",
            "HS256 with the secret",
            "HS256 with the public key",
            "another key",
            "typ at+jwt",
            "without iss",
            "without aud",
            "without iat",
        )
    },
    **{f"without {name}": {"claims": {"drop": [name]}} for name in ("events", "exp", "jti")},
    "of nobody": {"claims": {"drop": ["sid", "sub"]}},
    **{
        f"{name} {value!r}": {"claims": {"set": {name: value}}}
        for name, value in OTHER_LOGOUT_CLAIMS.items()
    },
}


def test_ends_no_session_for_a_logout_token_that_was_altered(
    shop: Shop, oidc_provider: ServerProcess
) -> None:
    found: dict[str, bool] = {}

    for name, how in LOGOUT_TOKENS.items():
        browser = shop.signed_in()
        told(oidc_provider, "alter", {"logout_token": how})
        browser.page(f"{shop.provider}/session/end")
        told(oidc_provider, "alter", {})
        found[name] = shop.lets_in(browser)

    assert found == dict.fromkeys(LOGOUT_TOKENS, True)
