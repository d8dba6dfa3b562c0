from typing import Any

import pytest
from starlette.types import Message

from fastapi_baseline.caching import Cache
from fastapi_baseline.caching.exchange import Exchange
from fastapi_baseline.caching.keys import Credentials
from fastapi_baseline.caching.lookup import NotStoredError, answer
from fastapi_baseline.caching.policy import ResponsePolicy
from fastapi_baseline.caching.site import Site
from fastapi_baseline.problems import status_of
from fastapi_baseline.testing import ManualClock


async def nobody(*_: Any) -> None: ...


async def ignore(message: Message) -> None: ...


def exchange(cache: Cache, *headers: tuple[bytes, bytes], method: str = "GET") -> Exchange:
    site = Site(
        app=nobody,
        cache=cache,
        credentials=Credentials(cache.settings),
        answers_conditions=False,
    )
    scope = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "headers": list(headers),
    }
    return Exchange(site, scope, ignore)


def policy(**changes: Any) -> ResponsePolicy:
    return ResponsePolicy(function=nobody, identity="nobody", **changes)


async def test_what_is_not_kept_is_to_be_made_and_kept() -> None:
    one = exchange(Cache(clock=ManualClock()))

    response = await answer(policy(), one, arguments=((), {}))

    assert response is None
    assert one.capture is not None
    assert one.capture.plan.reason == "miss"
    one.capture.end()


@pytest.mark.parametrize(
    "headers",
    [
        [(b"cache-control", b"no-store")],
        [(b"content-length", b"5")],
        [(b"transfer-encoding", b"chunked")],
    ],
    ids=["no-store", "a body", "a body in parts"],
)
async def test_some_requests_leave_no_trace(headers: list[tuple[bytes, bytes]]) -> None:
    one = exchange(Cache(clock=ManualClock()), *headers)

    response = await answer(policy(), one, arguments=((), {}))

    assert (response, one.capture) == (None, None)


async def test_an_empty_body_is_none() -> None:
    one = exchange(Cache(clock=ManualClock()), (b"content-length", b"0"))

    await answer(policy(), one, arguments=((), {}))

    assert one.capture is not None
    one.capture.end()


async def test_the_answer_to_a_head_is_not_kept() -> None:
    one = exchange(Cache(clock=ManualClock()), method="HEAD")

    assert await answer(policy(), one, arguments=((), {})) is None
    assert one.capture is None


def test_nothing_that_is_stored_is_a_timeout() -> None:
    assert (status_of(NotStoredError()), NotStoredError.code) == (504, "not_stored")
