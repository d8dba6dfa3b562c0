from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request

from fastapi_baseline import ConfigurationError
from fastapi_baseline.auth.dependencies import AROUND
from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.login import Login, MemoryLoginStore, make_login
from fastapi_baseline.auth.sessions import MemorySessionStore, Sessions
from fastapi_baseline.settings import AuthSettings
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.login_provider import LoginProvider

STAFF = {
    "name": "staff",
    "issuer": "https://login.test",
    "client_id": "shop",
    "client_secret": "secret of the shop",
}
OTHERS = {**STAFF, "name": "others", "issuer": "https://other.test"}


def make(**changes: Any) -> Login:
    clock = ManualClock()
    given = {"public_url": "https://shop.test", "login": {"providers": [STAFF, OTHERS]}, **changes}
    return make_login(
        AuthSettings.model_validate(given),
        sessions=Sessions(MemorySessionStore(clock=clock), clock=clock),
        store=MemoryLoginStore(clock=clock),
        keys=KeyRing(["a-secret-of-32-characters-or-more"]),
        clock=clock,
        make_transport=LoginProvider(clock=clock).make_transport,
    )


def request_to(app: FastAPI) -> Request:
    return Request({"type": "http", "headers": [], "app": app})


def test_people_come_back_to_the_url_of_the_settings() -> None:
    assert make().redirect_uri == "https://shop.test/auth/callback"
    assert make(public_url="https://shop.test/").redirect_uri == "https://shop.test/auth/callback"
    assert (
        make(public_url="https://x.test/shop").redirect_uri == "https://x.test/shop/auth/callback"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"public_url": None},
        {"public_url": "http://shop.test"},
        {"public_url": "https://shop.test/?a=b"},
        {"public_url": "https://shop.test/#a"},
        {"public_url": "shop.test"},
        {"login": {}},
        {"login": {"client_id": "shop", "client_secret": "x"}},
        {"login": {"client_id": "shop", "issuer": "https://login.test"}},
        {"login": {"providers": [STAFF, STAFF]}},
    ],
    ids=str,
)
def test_refuses_settings_under_which_it_would_not_be_safe(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        make(**changes)


def test_one_provider_needs_no_list() -> None:
    login = make(
        issuer="https://login.test",
        audience=["https://api.test"],
        login={"client_id": "shop", "client_secret": "x", "userinfo": True, "knows_pkce": True},
    )

    client = login.find_client(None)

    assert client is not None
    assert client.provider.issuer == "https://login.test"
    assert client.provider.reads_userinfo
    assert client.provider.knows_pkce


def test_finds_a_provider_by_name_and_by_issuer() -> None:
    login = make()

    assert login.find_client("others") is login.find_client_by_issuer("https://other.test")
    assert login.find_client(None) is login.find_client("staff")
    assert login.find_client("nobody") is None
    assert login.find_client_by_issuer("https://other.test/") is None


def test_is_found_by_the_application_that_answers() -> None:
    app, inner = FastAPI(), FastAPI()
    app.state.login = make()
    setattr(inner.state, AROUND, app)

    assert Login.of(request_to(app)) is app.state.login
    assert Login.of(request_to(inner)) is app.state.login


def test_says_what_to_set_where_there_is_none() -> None:
    with pytest.raises(ConfigurationError, match="AUTH__LOGIN__CLIENT_ID"):
        Login.of(request_to(FastAPI()))


async def test_reports_nothing_to_nobody() -> None:
    await make().report("sign_in", subject="ann", provider="staff")


async def test_can_be_started_and_stopped_again() -> None:
    login = make()
    for _ in range(2):
        async with login.lifespan(FastAPI()):
            client = login.find_client("staff")
            assert client is not None
            assert (await client.get_metadata()).names_issuer
