"""A service that signs people in with a provider; run by pytest."""

from collections.abc import AsyncIterator, Iterator

import pytest
from httpx2 import AsyncClient
from starlette.requests import HTTPConnection

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import CurrentPrincipal
from fastapi_baseline.auth.login import Identity
from fastapi_baseline.testing import running
from fastapi_baseline.testing.login_provider import LoginProvider

SHOP = "https://shop.example.com"


# <start-accounts>
class Staff:
    """Only who has an account may sign in; what they may do is said here, too."""

    def __init__(self, roles: dict[str, frozenset[str]]) -> None:
        self.roles = roles

    async def find_roles(
        self, identity: Identity, connection: HTTPConnection
    ) -> frozenset[str] | None:
        """Return what somebody may do; `None` if they may not sign in."""
        return self.roles.get(identity.subject)


# <end-accounts>


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
    # <start-app>
    app = create_app(settings)
    app.state.login.accounts = Staff({"ann": frozenset({"clerk"})})

    @app.get("/orders")
    async def list_orders(principal: CurrentPrincipal) -> list[str]:
        return [f"an order of {principal.subject}"]

    # <end-app>
    async with running(app, base_url=SHOP) as client:
        yield client


# <start-test>
async def test_ann_sees_her_orders(browser: AsyncClient, provider: LoginProvider) -> None:
    sent = await browser.get("/auth/login", params={"return_to": "/orders"})
    back = await browser.get(provider.sign_in(sent.headers["location"], subject="ann"))
    orders = await browser.get(back.headers["location"])

    assert orders.json() == ["an order of ann"]


# <end-test>


async def test_eve_has_no_account(browser: AsyncClient, provider: LoginProvider) -> None:
    sent = await browser.get("/auth/login")

    answer = await browser.get(provider.sign_in(sent.headers["location"], subject="eve"))

    assert answer.status_code == 400
    assert "This account may not use the service." in answer.text
    assert (await browser.get("/orders")).status_code == 401


async def test_who_has_signed_in_has_the_roles_of_the_account(
    browser: AsyncClient, provider: LoginProvider
) -> None:
    sent = await browser.get("/auth/login")
    await browser.get(provider.sign_in(sent.headers["location"], subject="ann"))

    me = (await browser.get("/auth/session")).json()

    assert (me["issuer"], me["subject"], me["roles"]) == (provider.url, "ann", ["clerk"])
