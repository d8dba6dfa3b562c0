"""Routes that say who may use them; run by pytest."""

import hmac
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, WebSocket

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import (
    CurrentPrincipal,
    OptionalPrincipal,
    Principal,
    RequireRoles,
    RequireScopes,
    deciding,
    find_undecided,
    public,
    require_recent_auth,
)
from fastapi_baseline.errors import UnauthenticatedError
from fastapi_baseline.testing import as_service, as_user, running

# <start-scopes>
router = APIRouter(prefix="/orders", dependencies=[Depends(RequireScopes(all=["orders:read"]))])


@router.get("")
async def list_orders(principal: CurrentPrincipal) -> str:
    """Return whose orders are listed; the router has asked for the scope."""
    return f"Orders of {principal.subject}"


@router.post("", dependencies=[Depends(RequireScopes(all=["orders:write"]))])
async def add_order(principal: CurrentPrincipal) -> str:
    """Add an order; both scopes are needed."""
    return f"An order of {principal.subject}"


# <end-scopes>

# <start-roles>
Auditor = Annotated[Principal, Depends(RequireRoles(any=["auditor", "admin"]))]


@router.get("/journal")
async def show_journal(auditor: Auditor) -> str:
    """Show what happened, to those who check it."""
    return f"Shown to {auditor.subject}"


# <end-roles>


# <start-public>
@router.get("/{number}/track")
async def track(number: int) -> str:
    """Tell where an order is: the guard of the router holds here, too."""
    return f"Order {number} is on its way"


open_router = APIRouter()


@open_router.get("/prices")
@public
async def list_prices(principal: OptionalPrincipal) -> str:
    """Tell prices to everybody, and better ones to customers."""
    return "12 each" if principal is None else "10 each"


# <end-public>


# <start-step-up>
@router.post("/refunds", dependencies=[Depends(require_recent_auth(timedelta(minutes=5)))])
async def refund() -> str:
    """Pay back, if whoever asks has proved in the last five minutes who they are."""
    return "Refunded"


# <end-step-up>

# <start-own-guard>
HOOK_KEY = "d29d6a6f-of-the-payment-provider"


@deciding
async def check_provider(x_hook_key: Annotated[str, Header()] = "") -> None:
    """Let in who knows the key that was agreed on with the provider of payments."""
    if not hmac.compare_digest(x_hook_key.encode(), HOOK_KEY.encode()):
        raise UnauthenticatedError("The key is not right.", challenge="HookKey")


@open_router.post("/hooks/paid", dependencies=[Depends(check_provider)])
async def note_payment() -> str:
    """Note that an order was paid."""
    return "Noted"


# <end-own-guard>


# <start-websocket>
@router.websocket("/feed")
async def feed(websocket: WebSocket, principal: CurrentPrincipal) -> None:
    """Tell news of orders; whoever may not have them is refused before it is accepted."""
    await websocket.accept()
    await websocket.send_text(f"News for {principal.subject}")
    await websocket.close()


# <end-websocket>


@pytest.fixture
def app() -> FastAPI:
    app = create_app(Settings(environment="test"))
    app.include_router(open_router)
    app.include_router(router)
    return app


@pytest.fixture
async def started(app: FastAPI) -> AsyncIterator[FastAPI]:
    async with running(app):
        yield app


# <start-tests>
async def test_only_who_may_write_adds_orders(started: FastAPI) -> None:
    async with as_user(started, "ada", scopes=["orders:read"]) as ada:
        assert (await ada.get("/orders")).json() == "Orders of ada"
        refused = await ada.post("/orders")

    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    assert 'scope="orders:write"' in refused.headers["www-authenticate"]


async def test_a_program_gets_no_refund(started: FastAPI) -> None:
    # It has never proved who it is as people do.
    async with as_service(started, "billing", scopes=["orders:read"]) as billing:
        refused = await billing.post("/orders/refunds")

    assert (refused.status_code, refused.json()["code"]) == (
        401,
        "insufficient_user_authentication",
    )
    assert 'max_age="300"' in refused.headers["www-authenticate"]


def test_no_route_was_forgotten(app: FastAPI) -> None:
    assert find_undecided(app) == []


# <end-tests>


async def test_roles_are_asked_for(started: FastAPI) -> None:
    async with as_user(started, "eve", scopes=["orders:read"], roles=["admin"]) as eve:
        assert (await eve.get("/orders/journal")).json() == "Shown to eve"
        assert (await eve.get("/orders/1/track")).json() == "Order 1 is on its way"
        assert (await eve.post("/orders/refunds")).json() == "Refunded"
    async with as_user(started, "ada", scopes=["orders:read"]) as ada:
        refused = await ada.get("/orders/journal")
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_role")


async def test_prices_are_for_everybody(started: FastAPI) -> None:
    async with running(started) as nobody, as_user(started) as somebody:
        assert (await nobody.get("/prices")).json() == "12 each"
        assert (await somebody.get("/prices")).json() == "10 each"
        tracked = await nobody.get("/orders/1/track")

    assert tracked.status_code == 401


async def test_the_provider_is_known_by_its_key(started: FastAPI) -> None:
    async with running(started) as client:
        known = await client.post("/hooks/paid", headers={"X-Hook-Key": HOOK_KEY})
        unknown = await client.post("/hooks/paid")

    assert known.json() == "Noted"
    assert unknown.status_code == 401
