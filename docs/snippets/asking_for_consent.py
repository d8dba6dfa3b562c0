"""A shop that asks its users whether the program of a partner may see their orders; run by pytest."""

import re
from html import unescape
from pathlib import Path

from httpx2 import AsyncClient

from fastapi_baseline.auth.users import UserRecord
from fastapi_baseline.auth.users.sign_in_pages import make_sign_in_pages_router
from fastapi_baseline.persistence import Base, UUIDPrimaryKey
from fastapi_baseline.testing.issuing import CALLBACK, VERIFIER, open_issuing_service

# <start-settings>
SERVER = {
    "enabled": True,
    "scopes": ["orders:read", "orders:write"],
    "scope_descriptions": {
        "orders:read": "See your orders",
        "orders:write": "Order in your name",
    },
}
# <end-settings>

CHALLENGE = "mg3QoZgnRJxQy_jYdfW7D8wJkoziCuM8Yhos7PwVvsI"


class Patron(Base, UUIDPrimaryKey, UserRecord):
    """A user of the shop."""


async def answer(browser: AsyncClient, page: str, decision: str) -> str:
    """Answer what the page asks, and return where the browser goes then."""
    text = (await browser.get(page)).text
    (token,) = re.findall(r'name="csrf_token" value="(.*?)"', text)
    form = {"csrf_token": unescape(token), "decision": decision}
    return (await browser.post(page, data=form)).headers["location"]


async def test_a_user_is_asked_once_and_can_take_it_back(tmp_path: Path) -> None:
    request = {
        "client_id": "partner",
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "orders:read",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    async with open_issuing_service(
        Patron,
        f"sqlite:///{tmp_path / 'shop.db'}",
        server=SERVER,
        include=lambda app: app.include_router(make_sign_in_pages_router()),
    ) as shop:
        client = await shop.add_client("Partner", client_id="partner", is_first_party=False)
        browser = (await shop.sign_in(await shop.add_user())).http

        asked = (await browser.get("/oauth2/authorize", params=request)).headers["location"]
        shown = (await browser.get(asked)).text
        denied = await answer(browser, asked, "deny")
        asked = (await browser.get("/oauth2/authorize", params=request)).headers["location"]
        allowed = await answer(browser, asked, "allow")
        again = (await browser.get("/oauth2/authorize", params=request)).headers["location"]
        (code,) = re.findall(r"code=(\w[^&]*)", allowed)
        tokens = await shop.redeem(client, code)

        # <start-take-back>
        (grant,) = (await browser.get("/auth/grants")).json()
        await browser.delete(f"/auth/grants/{grant['id']}")
        # <end-take-back>
        later = (await browser.get("/oauth2/authorize", params=request)).headers["location"]

    assert "See your orders" in shown
    assert denied.startswith(f"{CALLBACK}?error=access_denied")
    assert again.startswith(f"{CALLBACK}?code=")
    assert tokens.status_code == 200, tokens.text
    assert grant["client_name"] == "Partner"
    assert later.startswith("/oauth2/interactions/")
    assert VERIFIER not in shown
