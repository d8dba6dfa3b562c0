"""Answers to clients that have it already."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from fastapi import APIRouter, Response

from fastapi_baseline import Settings, create_app
from fastapi_baseline.settings import ConditionalRequestsSettings
from fastapi_baseline.testing import running

router = APIRouter()
VERSION = 3
CHANGED_AT = datetime(2026, 3, 1, tzinfo=UTC)


# <start>
@router.get("/prices")
async def list_prices(response: Response) -> dict[str, int]:
    """Return prices; who has version 3 of them is sent nothing."""
    response.headers["ETag"] = f'"{VERSION}"'
    response.headers["Cache-Control"] = "private, no-cache"
    return {"blue": 10, "red": 12}


# <end>


# <start-date>
@router.get("/catalogue")
async def get_catalogue(response: Response) -> dict[str, int]:
    """Return a catalogue, of which is known when it was changed."""
    response.headers["Last-Modified"] = format_datetime(CHANGED_AT, usegmt=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return {"blue": 1, "red": 2}


# <end-date>


# <start-whole>
@router.get("/colours")
async def list_colours(response: Response) -> list[str]:
    """Return colours, which nobody counts versions of."""
    response.headers["Cache-Control"] = "private, no-cache"
    return ["blue", "red"]


# <end-whole>


@pytest.mark.parametrize(
    ("path", "validator", "condition"),
    [
        ("/prices", "ETag", "If-None-Match"),
        ("/catalogue", "Last-Modified", "If-Modified-Since"),
    ],
)
async def test_who_has_it_is_sent_nothing(path: str, validator: str, condition: str) -> None:
    app = create_app(Settings(environment="test"), configure_logging=False)
    app.include_router(router)

    async with running(app) as client:
        first = await client.get(path)
        again = await client.get(path, headers={condition: first.headers[validator]})

    assert first.status_code == 200
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Cache-Control"] == "private, no-cache"
    assert again.headers[validator] == first.headers[validator]


async def test_the_service_makes_tags_if_it_is_told_to() -> None:
    settings = Settings(
        environment="test", conditional_requests=ConditionalRequestsSettings(make_etags=True)
    )
    app = create_app(settings, configure_logging=False)
    app.include_router(router)

    async with running(app) as client:
        first = await client.get("/colours")
        again = await client.get("/colours", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.headers["ETag"]) == (304, first.headers["ETag"])


async def test_who_wants_another_version_is_refused() -> None:
    app = create_app(Settings(environment="test"), configure_logging=False)
    app.include_router(router)

    async with running(app) as client:
        refused = await client.get("/prices", headers={"If-Match": '"2"'})

    assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
