import inspect
from datetime import timedelta
from typing import Any

import pytest

from fastapi_baseline.caching import cached
from fastapi_baseline.errors import ConfigurationError

MINUTE = timedelta(minutes=1)


async def test_a_coroutine_function_stays_one() -> None:
    @cached(MINUTE)
    async def get(number: int) -> int:
        """Return a number."""
        return number

    assert inspect.iscoroutinefunction(get)
    assert await get(7) == 7
    assert (get.__name__, get.__doc__) == ("get", "Return a number.")
    assert list(inspect.signature(get).parameters) == ["number"]


def test_a_plain_function_stays_one() -> None:
    @cached(MINUTE)
    def get(number: int) -> int:
        return number

    assert not inspect.iscoroutinefunction(get)
    assert get(7) == 7


def test_seconds_may_be_a_number() -> None:
    @cached(60, coder=object())
    def get() -> int:
        return 7

    assert get() == 7


@pytest.mark.parametrize("name", ["expire", "stale", "stale_if_error", "negative_expire"])
@pytest.mark.parametrize("value", [0, -1, timedelta(0)], ids=str)
def test_a_duration_is_more_than_nothing(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} must be more than nothing"):
        cached(**{name: value})


def test_generators_are_refused() -> None:
    def get() -> Any:
        yield 1

    with pytest.raises(ConfigurationError, match="streams what it yields"):
        cached(MINUTE)(get)
