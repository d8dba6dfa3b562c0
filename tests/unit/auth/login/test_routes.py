from collections.abc import AsyncGenerator

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from fastapi_baseline import Settings
from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.login import MemoryLoginStore, make_login, make_login_router
from fastapi_baseline.auth.pages import make_pages
from fastapi_baseline.auth.sessions import MemorySessionStore, Sessions
from fastapi_baseline.settings import AuthSettings
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.login_provider import LoginProvider

ORIGIN = "https://shop.test"


@pytest.fixture
def provider() -> LoginProvider:
    return LoginProvider(clock=ManualClock())


@pytest.fixture
async def browser(provider: LoginProvider) -> AsyncGenerator[AsyncClient]:
    """Somebody's browser, at an application that nothing is around."""
    app = FastAPI()
    settings = {
        "public_url": ORIGIN,
        "login": {
            "issuer": provider.url,
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
            "after_login": "/home",
        },
    }
    login = app.state.login = make_login(
        AuthSettings.model_validate(settings),
        sessions=Sessions(MemorySessionStore(clock=provider.clock), clock=provider.clock),
        store=MemoryLoginStore(clock=provider.clock),
        keys=KeyRing(["a-secret-of-32-characters-or-more"]),
        clock=provider.clock,
        make_transport=provider.make_transport,
    )
    app.state.sessions = login.sessions
    app.state.pages = make_pages(Settings(environment="test"))
    app.include_router(make_login_router())
    transport = ASGITransport(app=app)
    async with login.lifespan(app), AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield client


async def test_no_cache_keeps_and_no_referrer_tells_an_answer(
    browser: AsyncClient, provider: LoginProvider
) -> None:
    begun = await browser.get("/auth/login")
    back = provider.sign_in(begun.headers["location"])
    done = await browser.get(back)
    refused = await browser.get(back)

    assert [answer.status_code for answer in (begun, done, refused)] == [303, 303, 400]
    for answer in (begun, done, refused):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"


async def test_whoever_says_nothing_goes_where_the_settings_say(
    browser: AsyncClient, provider: LoginProvider
) -> None:
    begun = await browser.get("/auth/login")
    done = await browser.get(provider.sign_in(begun.headers["location"]))

    assert done.headers["location"] == "/home"


async def test_a_page_says_where_to_begin_again(browser: AsyncClient) -> None:
    refused = await browser.get("/auth/callback")

    assert f'href="{ORIGIN}/auth/login"' in refused.text


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT"])
async def test_people_come_back_by_a_link_only(browser: AsyncClient, method: str) -> None:
    assert (await browser.request(method, "/auth/callback")).status_code == 405


@pytest.mark.parametrize(
    "query",
    ["max_age=-1", "max_age=x", "prompt=none", "prompt=consent", "login_hint=" + "a" * 257],
)
async def test_refuses_what_it_does_not_hand_on(browser: AsyncClient, query: str) -> None:
    assert (await browser.get(f"/auth/login?{query}")).status_code == 422
