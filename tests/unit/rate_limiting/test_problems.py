import json
from datetime import timedelta
from typing import Any

import pytest
import slowapi
from slowapi.errors import RateLimitExceeded
from starlette.requests import Request

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.rate_limiting import RateLimitUnavailableError
from fastapi_baseline.rate_limiting.problems import answer_refusals, respond_to_refusal
from fastapi_baseline.rate_limiting.slowapi_rules import parse_items


class Limit:
    error_message: str | None = None
    limit = parse_items("1/minute")[0]


def error(message: str | None = None) -> RateLimitExceeded:
    limit: Any = Limit()
    limit.error_message = message
    return RateLimitExceeded(limit)


async def problem_of(raised: Exception) -> tuple[int, dict[str, Any], str | None]:
    request = Request({"type": "http", "path": "/a b", "headers": []})
    response = await respond_to_refusal(request, raised)
    assert response is not None
    body = json.loads(bytes(response.body))
    return response.status_code, body, response.headers.get("Retry-After")


async def test_an_error_of_slowapi_itself_is_a_problem_too() -> None:
    status, problem, retry_after = await problem_of(error())

    assert (status, retry_after) == (429, None)
    assert problem["violated-policies"] == []
    assert problem["instance"] == "/a%20b"
    assert "per" not in problem["detail"]


async def test_a_text_that_was_written_for_clients_is_shown() -> None:
    _, problem, _ = await problem_of(error("Slow down."))

    assert problem["detail"] == "Slow down."


async def test_a_limit_that_cannot_be_checked_is_the_fault_of_the_service() -> None:
    context = RequestContext(request_id="abc")
    token = request_context.set(context)
    try:
        status, problem, retry_after = await problem_of(
            RateLimitUnavailableError(retry_after=timedelta(seconds=1.5))
        )
    finally:
        request_context.reset(token)

    assert (status, retry_after) == (503, "2")
    assert (
        problem["title"]
        == "Request cannot be satisfied due to temporary server capacity constraints"
    )
    assert problem["request_id"] == "abc"
    assert context.fields == {"code": "rate_limit_unavailable"}


async def mine(*_: object) -> None:
    """Answer as a service does."""


@pytest.mark.parametrize(
    ("registered", "stays"),
    [(None, False), (vars(slowapi)["_rate_limit_exceeded_handler"], False), (mine, True)],
)
def test_a_handler_of_the_service_stays(registered: Any, stays: bool) -> None:
    handlers = {RateLimitExceeded: registered} if registered else {}

    answer_refusals(
        {"type": "http", "starlette.exception_handlers": (handlers, {})}, RateLimitExceeded
    )

    assert handlers[RateLimitExceeded] is (registered if stays else respond_to_refusal)
