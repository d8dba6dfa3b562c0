"""A shop whose customers sign in with a password; run by pytest."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import AsyncClient
from pydantic import Field
from pyotp.totp import TOTP
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import CurrentPrincipal
from fastapi_baseline.auth.users import (
    Letter,
    Registration,
    UserRead,
    UserRecord,
    UserService,
    make_users_router,
)
from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey
from fastapi_baseline.testing import as_user, create_schema, running


# <start-model>
class Shopper(Base, UUIDPrimaryKey, Timestamps, UserRecord):
    """A user of the shop, with a column of the shop's own."""

    name: Mapped[str] = mapped_column(default="")


# <end-model>


# <start-mail>
class Letters:
    """Keeps letters instead of sending them."""

    def __init__(self) -> None:
        self.sent: list[Letter] = []

    async def send(self, letter: Letter) -> None:
        """Keep a letter."""
        self.sent.append(letter)


letters = Letters()
# <end-mail>


# <start-router>
class ShopperRegistration(Registration):
    """What the shop asks for besides an address and a password."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


class ShopperRead(UserRead):
    """What the shop tells of a customer."""

    name: str


router = APIRouter()
router.include_router(
    make_users_router(Shopper, registration=ShopperRegistration, read=ShopperRead, mail=letters)
)
# <end-router>


# <start-guarded>
@router.get("/orders")
async def list_orders(principal: CurrentPrincipal) -> list[str]:
    """Return the orders of whoever is asking."""
    return [f"A kettle for {principal.subject}"]


# <end-guarded>


# <start-browser>
OWN_PAGE = {"X-Requested-With": "fetch", "Sec-Fetch-Site": "same-origin"}
# <end-browser>
ANN = {"email": "ann@example.com", "password": "correct horse battery staple"}


async def last_token(app: FastAPI) -> str:
    """Return what the link of the last letter has."""
    users: UserService[Shopper] = app.state.users
    await users.services.outbox.drain()
    found = re.search(r"https://\S+[=#/](\S+)", letters.sent[-1].text)
    assert found is not None
    return found.group(1)


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    settings = Settings.model_validate(
        {
            "environment": "test",
            "service_name": "shop",
            "database_url": f"sqlite:///{tmp_path / 'shop.db'}",
            "auth": {
                "sessions": {"enabled": True},
                "users": {"registration": "open", "page_url": "https://shop.example.com"},
            },
        }
    )
    app = create_app(settings)
    app.include_router(router)
    return app


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with running(app, base_url="https://shop.example.com") as client:
        await create_schema(app)
        client.headers.update(OWN_PAGE)
        yield client


# <start-test>
async def test_a_customer_registers_and_signs_in(app: FastAPI, browser: AsyncClient) -> None:
    await browser.post("/auth/register", json={**ANN, "name": "Ann"})
    early = await browser.post("/auth/sign-in", json=ANN)
    await browser.post("/auth/verify-email", json={"token": await last_token(app)})
    signed_in = await browser.post("/auth/sign-in", json=ANN)

    assert (early.status_code, signed_in.json()) == (401, {"status": "signed_in"})
    assert (await browser.get("/orders")).status_code == 200
    assert (await browser.get("/auth/me")).json()["name"] == "Ann"


# <end-test>


async def test_a_customer_gets_a_second_factor(app: FastAPI, browser: AsyncClient) -> None:
    await browser.post("/auth/register", json={**ANN, "name": "Ann"})
    await browser.post("/auth/verify-email", json={"token": await last_token(app)})
    await browser.post("/auth/sign-in", json=ANN)

    started = await browser.post("/auth/second-factor", json={"password": ANN["password"]})
    code = TOTP(started.json()["secret"]).now()
    confirmed = await browser.post("/auth/second-factor/confirm", json={"code": code})
    again = await browser.post("/auth/sign-in", json=ANN)
    recovery_code = confirmed.json()["recovery_codes"][0]
    finished = await browser.post("/auth/sign-in/second-factor", json={"code": recovery_code})

    assert again.json() == {"status": "second_factor_required"}
    assert finished.json() == {"status": "signed_in"}


async def test_the_first_administrator_is_invited(app: FastAPI, browser: AsyncClient) -> None:
    # <start-invite>
    users: UserService[Shopper] = app.state.users
    await users.invite("ann@example.com", roles=["admin"])
    # <end-invite>
    await browser.post("/auth/password/reset", json={**ANN, "token": await last_token(app)})
    await browser.post("/auth/sign-in", json=ANN)
    invited = await browser.post("/auth/users", json={"email": "otto@example.com"})

    assert invited.status_code == 201


# <start-as-user>
async def test_routes_are_tested_without_passwords(app: FastAPI, browser: AsyncClient) -> None:
    async with as_user(app, "ann") as client:
        assert (await client.get("/orders")).json() == ["A kettle for ann"]


# <end-as-user>
