from collections.abc import Generator
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.requests import Request

from fastapi_baseline.caching.compat import KeyBuilder, make_key
from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.settings import CacheSettings


class Order(BaseModel):
    number: int


async def find(number: int = 0) -> Order:
    return Order(number=number)


async def find_text() -> str:
    return ""


def request(*headers: tuple[bytes, bytes], query: bytes = b"") -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "path": "/a",
            "query_string": query,
            "headers": list(headers),
        }
    )


def key(
    function: Any = find,
    *,
    request: Request | None = None,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
) -> str:
    return make_key(function, "api:users", request=request, args=args, kwargs=kwargs or {})


def test_a_key_says_its_namespace_and_its_function() -> None:
    assert key().startswith(f"api:users:{__name__}.find-")
    assert make_key.is_ours


@pytest.mark.parametrize(
    "other",
    [
        {"request": request((b"authorization", b"a"))},
        {"request": request((b"x-api-key", b"a"))},
        {"request": request((b"host", b"a"))},
        {"request": request(query=b"a")},
        {"request": None},
    ],
    ids=["authorization", "API key", "host", "query", "no request"],
)
def test_requests_that_differ_have_other_keys(other: dict[str, Any]) -> None:
    assert key(**other) != key(request=request())


def test_what_a_route_gets_from_dependencies_makes_no_difference() -> None:
    assert key(request=request(), kwargs={"session": object()}) == key(request=request())


def test_arguments_of_other_functions_make_a_difference() -> None:
    keys = {key(args=(1,)), key(args=(2,)), key(kwargs={"number": 1}), key(kwargs={"number": 2})}

    assert len(keys) == 4
    assert key(kwargs={"a": 1, "b": 2}) == key(kwargs={"b": 2, "a": 1})


@pytest.fixture
def current() -> Generator[RequestContext]:
    found = RequestContext(request_id="1")
    token = request_context.set(found)
    yield found
    request_context.reset(token)


def test_a_function_that_is_called_for_somebody_has_another_key(current: RequestContext) -> None:
    seen = {key()}
    current.principal = "ann"
    seen.add(key())
    current.tenant = "one"
    seen.add(key())

    assert len(seen) == 3


def test_the_settings_say_which_credentials_count() -> None:
    build = KeyBuilder(CacheSettings(credential_headers=("x-token",)))
    keys = {
        build(find, "", request=request((name, b"a")), args=(), kwargs={})
        for name in (b"x-token", b"authorization", b"accept")
    }

    assert len(keys) == 2


def test_another_shape_has_another_key() -> None:
    shapes = {make_key._shape_of(one) for one in (find, find_text, lambda: None)}  # pyright: ignore[reportPrivateUsage] -- what a key is made of

    assert len(shapes) == 3


def test_a_shape_that_nobody_can_describe_is_its_name() -> None:
    class Strange: ...

    async def find_strange() -> Strange:
        return Strange()

    assert "Strange" in make_key._shape_of(find_strange)  # pyright: ignore[reportPrivateUsage] -- as above
