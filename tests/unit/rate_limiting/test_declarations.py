from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting import Limiter
from fastapi_baseline.rate_limiting.declarations import (
    ask,
    declarations_of,
    is_exempt,
    takes_argument,
)

limiter = Limiter()
limit = limiter.limit("1/minute")


def wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def wrapper() -> object:
        return function()

    return wrapper


def make() -> Callable[..., Any]:
    def made() -> int:
        return 1

    return made


def test_a_function_stays_the_same() -> None:
    function = make()

    assert limit(function) is function
    assert limiter.exempt(function) is function
    assert (len(declarations_of(function)), is_exempt(function)) == (1, True)


def test_a_wrapper_has_what_was_declared_for_what_it_wraps() -> None:
    assert len(declarations_of(wrapping(limit(make())))) == 1
    assert len(declarations_of(partial(limit(make())))) == 1


def test_what_is_declared_for_a_wrapper_is_not_for_what_it_wraps() -> None:
    inner = limit(make())

    outer = limit(wrapping(inner))

    assert (len(declarations_of(inner)), len(declarations_of(outer))) == (1, 2)


def test_functions_of_one_factory_have_their_own() -> None:
    first, second = make(), make()
    limit(first)

    assert (len(declarations_of(first)), len(declarations_of(second))) == (1, 0)


def test_a_bound_method_can_carry_none() -> None:
    class Routes:
        def show(self) -> None:
            """Show."""

        @limit
        def limited(self) -> None:
            """Show, sometimes."""

    with pytest.raises(ConfigurationError, match="decorate the function in its class"):
        limit(Routes().show)
    assert len(declarations_of(Routes().limited)) == 1


def with_request(request: object) -> object:
    return request


def with_optional_request(request: object = None) -> object:
    return request


def with_optional(other: int = 1) -> object:
    return other


async def awaited() -> object:
    return "awaited"


@pytest.mark.parametrize(
    ("function", "takes"),
    [
        (with_request, True),
        (with_optional, False),
        (awaited, False),
        (with_optional_request, True),
        (str, True),
    ],
)
def test_knows_what_wants_to_be_told_something(function: Callable[..., Any], takes: bool) -> None:
    assert takes_argument(function) is takes


async def test_asks_with_and_without_an_argument() -> None:
    assert await ask(with_request, "told") == "told"
    assert await ask(with_optional, "told") == 1
    assert await ask(awaited, "told") == "awaited"
