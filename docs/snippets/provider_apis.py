"""A service that asks others with the access tokens of whoever has signed in; run by pytest."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from fastapi import FastAPI, Request
from httpx2 import ASGITransport, AsyncClient

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth.login import ProviderAccessToken, make_api_proxy_router
from fastapi_baseline.testing import running
from fastapi_baseline.testing.login_provider import LoginProvider

SHOP = "https://shop.example.com"
PAGE = {"X-Requested-With": "fetch", "Sec-Fetch-Site": "same-origin"}

orders = FastAPI()
"""The service behind."""


@orders.api_route("/v1/{path:path}", methods=["GET", "POST"])
async def tell(path: str, request: Request) -> dict[str, str | None]:
    return {
        "path": path,
        "authorization": request.headers.get("authorization"),
        "cookie": request.headers.get("cookie"),
    }


@pytest.fixture(scope="module")
def provider() -> Iterator[LoginProvider]:
    with LoginProvider.serving() as one:
        yield one


@pytest.fixture
async def browser(provider: LoginProvider) -> AsyncIterator[AsyncClient]:
    settings = Settings.model_validate(
        {
            "environment": "test",
            "auth": {
                "public_url": SHOP,
                "login": {
                    "issuer": provider.url,
                    "client_id": provider.client_id,
                    "client_secret": provider.client_secret,
                },
            },
        }
    )
    app = create_app(settings)
    client = AsyncClient(transport=ASGITransport(app=orders), base_url="https://orders.internal")

    # <start-route>
    @app.get("/invoices")
    async def list_invoices(token: ProviderAccessToken) -> dict[str, str | None]:
        answer = await client.get("/v1/invoices", headers={"Authorization": f"Bearer {token}"})
        return answer.json()

    # <end-route>

    def make_transport() -> ASGITransport:
        return ASGITransport(app=orders)

    # <start-proxy>
    proxy = make_api_proxy_router(
        upstreams={"/orders": "https://orders.internal/v1"},
        request_headers=["X-Tenant"],
        timeout=timedelta(seconds=10),
        make_transport=make_transport,  # for tests; leave it out otherwise
    )
    app.include_router(proxy)
    # <end-proxy>

    async with running(app, base_url=SHOP) as browser, client:
        sent = await browser.get("/auth/login")
        await browser.get(provider.sign_in(sent.headers["location"], subject="ann"))
        yield browser


async def test_a_route_asks_in_the_name_of_ann(
    browser: AsyncClient, provider: LoginProvider
) -> None:
    asked = (await browser.get("/invoices")).json()

    token = asked["authorization"].removeprefix("Bearer ")
    assert provider.access_tokens[token]["subject"] == "ann"


async def test_a_page_asks_the_service_behind(
    browser: AsyncClient, provider: LoginProvider
) -> None:
    answer = await browser.post("/api/orders/7/items", json={}, headers=PAGE)

    asked = answer.json()
    token = asked["authorization"].removeprefix("Bearer ")
    assert (asked["path"], asked["cookie"]) == ("7/items", None)
    assert provider.access_tokens[token]["subject"] == "ann"
    assert answer.headers["cache-control"] == "no-store"


async def test_another_site_cannot(browser: AsyncClient) -> None:
    answer = await browser.post("/api/orders/7", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403


async def test_ann_signs_out(browser: AsyncClient, provider: LoginProvider) -> None:
    # <start-logout>
    answer = await browser.post("/auth/logout", headers=PAGE)
    target = answer.json()["redirect_to"]
    # <end-logout>

    sent = await browser.get(target)
    assert sent.headers["location"].startswith(f"{provider.url}/end-session?")
    assert (await browser.get("/invoices")).status_code == 401
