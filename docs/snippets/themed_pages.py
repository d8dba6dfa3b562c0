"""A shop whose pages for signing in are its own; run by pytest."""

from pathlib import Path

from fastapi import APIRouter

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth.users import UserRecord, make_users_router
from fastapi_baseline.auth.users.sign_in_pages import make_sign_in_pages_router
from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey
from fastapi_baseline.testing import running


class Visitor(Base, UUIDPrimaryKey, Timestamps, UserRecord):
    """A user of the shop."""


# <start-router>
router = APIRouter()
router.include_router(make_users_router(Visitor))
router.include_router(make_sign_in_pages_router())
# <end-router>

# <start-template>
SIGN_IN = """\
{% extends "library/sign_in.html" %}
{% block links %}
<p><a href="/help">I cannot sign in</a></p>
{% endblock %}
"""
# <end-template>


async def test_the_page_says_how_to_get_help(tmp_path: Path) -> None:
    (tmp_path / "sign_in.html").write_text(SIGN_IN)
    settings = Settings.model_validate(
        {
            "environment": "test",
            "service_name": "shop",
            "database_url": f"sqlite:///{tmp_path / 'shop.db'}",
            "auth": {
                "sessions": {"enabled": True},
                "pages": {"templates": tmp_path, "title": "The Shop"},
                "users": {"page_url": "https://shop.example.com"},
            },
        }
    )
    app = create_app(settings)
    app.include_router(router)

    async with running(app) as browser:
        page = await browser.get("/sign-in", params={"return_to": "/orders"})

    assert "The Shop</title>" in page.text
    assert 'href="/help"' in page.text
