"""The service that a browser is led through, with what its tests have to know besides."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from pyotp.totp import TOTP
from starlette.responses import Response

from fastapi_baseline import Settings, create_app
from fastapi_baseline.access import public
from fastapi_baseline.auth.pages import PageName, Pages
from fastapi_baseline.auth.server import ClientDescription
from fastapi_baseline.auth.users import Letter, UserRecord, UserService, make_users_router
from fastapi_baseline.auth.users.sign_in_pages import make_sign_in_pages_router
from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey
from fastapi_baseline.testing import ManualClock, create_schema

PASSWORD = "correct horse battery staple"
VALUES: dict[PageName, dict[str, Any]] = {
    "consent": {
        "action": "/",
        "client_name": "A printer with a name that is much longer than anybody would expect",
        "destination": "printer.a-host-with-a-rather-long-name.example.com",
        "form_token": "t",
        "scopes": [
            "Know who you are",
            "Read your e-mail address",
            "averyveryveryverylongwordthatnobodywouldeverwritedownwithoutaspacesomewhere",
        ],
        "user": "ann.with.a.rather.long.name@a-host-with-a-rather-long-name.example.com",
    },
    "error": {
        "code": "invalid_request",
        "continue_url": "/sign-in",
        "message": "The request is not valid.",
        "request_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    },
    "second_factor": {
        "action": "/",
        "error": "The code is not right. Wait for the next one.",
        "form_token": "t",
        "return_to": "/",
    },
    "sign_in": {
        "action": "/",
        "email": "ann@example.com",
        "error": "The e-mail address or the password is not right.",
        "form_token": "t",
        "return_to": "/",
    },
    "sign_out": {
        "action": "/",
        "client_name": "Printer",
        "form_token": "t",
        "user": "ann@example.com",
    },
    "signed_out": {"continue_url": "/sign-in", "continue_label": "Sign in again"},
}


class Guest(Base, UUIDPrimaryKey, Timestamps, UserRecord):
    """A user of the inn."""


class Letters:
    """Keeps letters instead of sending them."""

    def __init__(self) -> None:
        self.sent: list[Letter] = []

    async def send(self, letter: Letter) -> None:
        """Keep a letter."""
        self.sent.append(letter)


async def _add(users: UserService[Any], email: str) -> str:
    user = await users.invite(email)
    await users.services.outbox.drain()
    link = re.findall(r"https?://\S+", letters.sent[-1].text)[-1]
    await users.reset_password(re.split(r"[=#/]", link)[-1], PASSWORD)
    return str(user.id)


@asynccontextmanager
async def _fill(app: Any) -> AsyncGenerator[None]:
    """Fill the empty database: Ann has a password, and Ben a second factor, too."""
    await create_schema(app)
    # There were no tables when the server looked for its keys; it looks again a minute later.
    clock.advance(timedelta(minutes=1))
    service = app.state.self_service
    users: UserService[Any] = service.users
    await _add(users, "ann@example.com")
    ben = await _add(users, "ben@example.com")
    enrolment = await service.second_factors.start(ben, account="ben@example.com")
    app.state.secret = enrolment.secret
    await service.second_factors.confirm(ben, TOTP(enrolment.secret).at(clock.now()))
    clients = app.state.authorization_server.clients
    for name, is_first_party in (("printer", False), ("kiosk", True)):
        await clients.add(
            ClientDescription(
                name=name.title(),
                client_id=name,
                auth_method="none",
                redirect_uris=["http://127.0.0.1/callback"],
                scopes=["openid", "email"],
                is_first_party=is_first_party,
            )
        )
    yield


router = APIRouter(lifespan=_fill)


@router.post("/test/code")
@public
async def show_code(request: Request) -> str:
    """Return a code of Ben's that was not used."""
    clock.advance(timedelta(seconds=30))
    return TOTP(request.app.state.secret).at(clock.now())


@router.post("/test/clients")
@public
async def add_client(client_id: str, site: str, request: Request) -> None:
    """Add a client that people come back to also when they have signed out."""
    await request.app.state.authorization_server.clients.add(
        ClientDescription(
            name="Lobby",
            client_id=client_id,
            auth_method="none",
            redirect_uris=[f"{site}/callback"],
            post_logout_redirect_uris=[f"{site}/left"],
            scopes=["openid"],
            is_first_party=True,
        )
    )


@router.get("/test/pages/{name}")
@public
async def show_page(name: PageName, request: Request) -> Response:
    """Return a page with all that it can have on it."""
    return Pages.of(request).render(name, **VALUES[name])


def _make_app() -> FastAPI:
    app = create_app(Settings(), clock=clock)
    app.include_router(make_users_router(Guest, mail=letters))
    app.include_router(make_sign_in_pages_router())
    app.include_router(router)
    return app


letters = Letters()
clock = ManualClock(datetime.now(UTC))  # noqa: TID251 -- that of the machine, as the browser has it
app = _make_app()
