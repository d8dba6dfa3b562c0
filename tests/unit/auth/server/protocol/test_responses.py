from datetime import timedelta

import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

from fastapi_baseline.auth.server.errors import (
    InvalidClientError,
    InvalidGrantError,
    InvalidScopeError,
    ProtocolError,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
)
from fastapi_baseline.auth.server.protocol.responses import ProtocolRoute, make_json_response
from fastapi_baseline.errors import UnavailableError


async def answer_of(error: Exception) -> Response:
    app, router = FastAPI(), APIRouter(route_class=ProtocolRoute)

    @router.post("/token")
    async def refuse() -> None:
        raise error

    app.include_router(router)
    async with AsyncClient(transport=ASGITransport(app), base_url="https://issuer") as client:
        return await client.post("/token")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ProtocolError(), 400, "invalid_request"),
        (InvalidClientError(), 401, "invalid_client"),
        (InvalidGrantError(), 400, "invalid_grant"),
        (InvalidScopeError(), 400, "invalid_scope"),
        (UnauthorizedClientError(), 400, "unauthorized_client"),
        (UnsupportedGrantTypeError(), 400, "unsupported_grant_type"),
    ],
)
async def test_refuses_as_the_protocol_does(error: ProtocolError, status: int, code: str) -> None:
    answer = await answer_of(error)

    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.json()["error_description"].isascii()
    assert '"' not in answer.json()["error_description"]
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) is (status == 401)


async def test_says_when_to_come_again_if_the_database_does_not_answer() -> None:
    answer = await answer_of(UnavailableError(retry_after=timedelta(seconds=1.5)))

    assert answer.status_code == 503
    assert answer.json() == {"error": "temporarily_unavailable"}
    assert answer.headers["retry-after"] == "2"


async def test_does_not_say_when_if_nobody_knows() -> None:
    answer = await answer_of(UnavailableError())

    assert answer.status_code == 503
    assert "retry-after" not in answer.headers


def test_no_cache_keeps_an_answer() -> None:
    headers = make_json_response({"a": 1}).headers

    assert (headers["cache-control"], headers["pragma"]) == ("no-store", "no-cache")
