"""Limits that were written for slowapi: on an application that exists, and in a service of ours."""

# The types of slowapi have gaps, and a guide shows code as services have it.
# pyright: reportUnknownMemberType=false, reportUntypedFunctionDecorator=false

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from slowapi import Limiter
from slowapi.util import get_remote_address

from fastapi_baseline import Settings, create_app, install
from fastapi_baseline.rate_limiting import RateLimiter
from fastapi_baseline.testing import running

# <start>
limiter = Limiter(key_func=get_remote_address, default_limits=["100/minute"])
existing = FastAPI()
existing.state.limiter = limiter


@existing.get("/reports")
@limiter.limit("5/minute")
async def list_reports(request: Request) -> list[str]:
    """Return what reports there are."""
    return ["January"]


app = install(existing, Settings(environment="test"))
# <end>


def make_moved() -> FastAPI:
    """Return an application whose limiter is ours."""
    # <start-moved>
    limiter = RateLimiter(default_limits=["100/minute"])
    router = APIRouter()

    @router.get("/reports")
    @limiter.limit("5/minute")
    async def list_reports() -> list[str]:
        """Return what reports there are."""
        return ["January"]

    app = create_app(Settings(environment="test"))
    app.state.limiter = limiter
    app.include_router(router)
    # <end-moved>
    return app


@pytest.mark.parametrize("served", [app, make_moved()], ids=["as it is", "moved"])
async def test_the_sixth_request_is_too_many(served: Any) -> None:
    async with running(served) as client:
        answers = [await client.get("/reports") for _ in range(6)]
        elsewhere = await client.get("/nowhere")

    refused = answers.pop()
    assert {answer.status_code for answer in answers} == {200}
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert 1 <= int(refused.headers["Retry-After"]) <= 12
    assert all("RateLimit" in answer.headers for answer in [*answers, refused])
    assert elsewhere.status_code == 404


def test_the_engine_of_slowapi_is_switched_off() -> None:
    assert not limiter.enabled
