from collections.abc import Generator
from functools import partial, wraps
from typing import Any, cast

import pytest
from starlette.types import Message, Scope

from fastapi_baseline.caching.exchange import Exchange
from fastapi_baseline.caching.site import Site
from fastapi_baseline.context import RequestContext, request_context

SITE = cast("Site", None)


async def ignore(message: Message) -> None:
    pass


def http(**changes: Any) -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "headers": [(b"authorization", b"ann")],
        "state": {"pool": 1},
        **changes,
    }


def endpoint() -> None: ...


def other() -> None: ...


@wraps(endpoint)
def wrapped() -> None: ...


class Routes:
    def get(self) -> None: ...


@pytest.mark.parametrize(
    ("found", "function", "is_taken"),
    [
        (endpoint, endpoint, True),
        (wrapped, endpoint, True),
        (partial(endpoint), endpoint, True),
        (Routes().get, Routes.get, True),
        (other, endpoint, False),
        (None, endpoint, False),
    ],
    ids=["itself", "wrapped", "partial", "method", "another", "none"],
)
def test_only_the_function_that_answers_the_request_takes_it(
    found: Any, function: Any, *, is_taken: bool
) -> None:
    assert Exchange(SITE, http(endpoint=found), ignore).take(function) is is_taken


def test_a_request_is_taken_once() -> None:
    exchange = Exchange(SITE, http(), ignore)

    assert exchange.take(endpoint)
    assert not exchange.take(endpoint)


async def test_a_forwarded_response_has_one_header_more() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    exchange = Exchange(SITE, http(), send)
    exchange.forward("bypass")
    original: Message = {"type": "http.response.start", "status": 200, "headers": []}

    await exchange.send(original)

    assert sent[0]["headers"] == [(b"cache-status", b"baseline; fwd=bypass")]
    assert original["headers"] == []


@pytest.fixture
def current() -> Generator[RequestContext]:
    request = RequestContext(request_id="1", tenant="one")
    token = request_context.set(request)
    yield request
    request_context.reset(token)


def test_a_request_can_be_made_again_as_it_came(current: RequestContext) -> None:
    scope = http(method="HEAD", app="app", user="outer", **{"fastapi.telemetry": object()})
    exchange = Exchange(SITE, scope, ignore)
    current.principal = "ann"
    scope.update(route="route", endpoint=endpoint, root_path="/mounted", path_params={})
    scope["state"]["of this request"] = 1

    origin = exchange.origin()

    assert (origin.request_id, origin.tenant, origin.principal) == ("1", "one", None)
    assert origin.scope == http(app="app", user="outer")
