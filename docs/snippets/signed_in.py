"""Pages whose visitors stay signed in; run by pytest."""

import hmac
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from httpx2 import AsyncClient
from pydantic import BaseModel, SecretStr

from fastapi_baseline import Settings, UnauthenticatedError, create_app
from fastapi_baseline.auth import CurrentPrincipal, Principal, public
from fastapi_baseline.auth.sessions import (
    Sessions,
    make_sessions_router,
    require_own_page,
)
from fastapi_baseline.testing import running

settings = Settings.model_validate({"environment": "test", "auth": {"sessions": {"enabled": True}}})

router = APIRouter()
BADGES = {"ada": "8472-1930"}


class Badge(BaseModel):
    """What the reader at the door has read."""

    name: str
    number: SecretStr


# <start-sign-in>
@router.post("/sign-in", status_code=204, dependencies=[Depends(require_own_page)])
@public
async def sign_in(badge: Badge, request: Request, response: Response) -> None:
    """Begin a session of whoever has the right badge."""
    if not hmac.compare_digest(BADGES.get(badge.name, ""), badge.number.get_secret_value()):
        raise UnauthenticatedError("This badge is not known.")
    principal = Principal(
        issuer="self",
        subject=badge.name,
        transport="session",
        roles=frozenset({"staff"}),
        amr=frozenset({"hwk"}),
    )
    await Sessions.of(request).start(request, response, principal)


# <end-sign-in>


# <start-guarded>
@router.post("/doors/{door}/open")
async def open_door(door: str, principal: CurrentPrincipal) -> str:
    """Open a door: nothing here knows that it was a session."""
    return f"{door} is open for {principal.subject}"


# <end-guarded>


# <start-rotate>
@router.post("/shift", status_code=204)
async def begin_shift(principal: CurrentPrincipal, *, request: Request, response: Response) -> None:
    """Let somebody do more from now on."""
    promoted = Principal(
        issuer=principal.issuer,
        subject=principal.subject,
        transport="session",
        roles=principal.roles | {"guard"},
        amr=principal.amr,
    )
    await Sessions.of(request).rotate(request, response, promoted)


# <end-rotate>


# <start-form>
@router.get("/parcels", response_class=HTMLResponse)
async def show_parcels(request: Request, principal: CurrentPrincipal) -> str:
    """Show a page with a form."""
    token = Sessions.of(request).make_form_token(request)
    return f"""
        <h1>Parcels of {principal.subject}</h1>
        <form method="post">
          <input type="hidden" name="csrf_token" value="{token}">
          <input name="number"> <button>Fetch</button>
        </form>
    """


@router.post("/parcels")
async def fetch_parcel(
    principal: CurrentPrincipal, number: Annotated[str, Form()]
) -> RedirectResponse:
    """Take what the form sends; a token that is missing or wrong does not come so far."""
    return RedirectResponse(f"/parcels?fetched={number}&by={principal.subject}", status_code=303)


# <end-form>

OWN_PAGE = {"Origin": "https://doors.example", "X-Requested-With": "fetch"}
BADGE: dict[str, Any] = {"name": "ada", "number": "8472-1930"}


@pytest.fixture
async def browser() -> AsyncIterator[AsyncClient]:
    # <start-app>
    app = create_app(settings)
    app.include_router(router)
    app.include_router(make_sessions_router())
    # <end-app>
    async with running(app, base_url="https://doors.example") as client:
        yield client


async def test_whoever_has_a_badge_is_signed_in(browser: AsyncClient) -> None:
    wrong = await browser.post("/sign-in", json={**BADGE, "number": "0"}, headers=OWN_PAGE)
    right = await browser.post("/sign-in", json=BADGE, headers=OWN_PAGE)
    opened = await browser.post("/doors/east/open", headers=OWN_PAGE)
    me = await browser.get("/auth/session")

    assert (wrong.status_code, right.status_code) == (401, 204)
    assert opened.json() == "east is open for ada"
    assert (me.json()["subject"], me.json()["roles"]) == ("ada", ["staff"])


# <start-test>
async def test_another_site_opens_no_door(browser: AsyncClient) -> None:
    await browser.post("/sign-in", json=BADGE, headers=OWN_PAGE)

    answer = await browser.post("/doors/east/open", headers={"Origin": "https://evil.example"})

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_refused")


# <end-test>


async def test_a_shift_gives_a_new_cookie(browser: AsyncClient) -> None:
    await browser.post("/sign-in", json=BADGE, headers=OWN_PAGE)
    before = browser.cookies["__Host-session"]

    await browser.post("/shift", headers=OWN_PAGE)

    assert browser.cookies["__Host-session"] != before
    assert (await browser.get("/auth/session")).json()["roles"] == ["guard", "staff"]


async def test_a_form_has_its_token(browser: AsyncClient) -> None:
    await browser.post("/sign-in", json=BADGE, headers=OWN_PAGE)
    page = (await browser.get("/parcels")).text
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    origin = {"Origin": "https://doors.example"}

    with_token = {"number": "7", "csrf_token": token}
    right = await browser.post("/parcels", data=with_token, headers=origin)
    wrong = await browser.post("/parcels", data={"number": "7"}, headers=origin)

    assert right.headers["location"] == "/parcels?fetched=7&by=ada"
    assert wrong.status_code == 403


async def test_signing_out_ends_the_session(browser: AsyncClient) -> None:
    await browser.post("/sign-in", json=BADGE, headers=OWN_PAGE)

    await browser.post("/auth/sign-out", headers=OWN_PAGE)

    assert (await browser.get("/auth/session")).status_code == 401
