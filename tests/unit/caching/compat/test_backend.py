from datetime import timedelta

import pytest

from fastapi_baseline.caching import Cache
from fastapi_baseline.caching.compat import BaselineBackend
from fastapi_baseline.caching.compat.coder import UnkeptBytes
from fastapi_baseline.testing import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def backend(clock: ManualClock) -> BaselineBackend:
    return BaselineBackend(Cache(clock=clock))


async def test_what_was_set_is_found_until_it_expires(
    backend: BaselineBackend, clock: ManualClock
) -> None:
    await backend.set("api:users:a", b"value", expire=7)
    clock.advance(timedelta(seconds=5))
    during = await backend.get_with_ttl("api:users:a")
    clock.advance(timedelta(seconds=2))
    after = await backend.get_with_ttl("api:users:a")

    assert (during, after) == ((2, b"value"), (0, None))
    assert await backend.get("api:users:a") is None


async def test_without_a_lifetime_the_settings_say(
    backend: BaselineBackend, clock: ManualClock
) -> None:
    await backend.set("a", b"value")

    assert await backend.get_with_ttl("a") == (60, b"value")


@pytest.mark.parametrize("value", [UnkeptBytes(), b"\x80\x04N."], ids=["unkept", "pickle"])
async def test_some_values_are_not_kept(value: bytes, backend: BaselineBackend) -> None:
    await backend.set("a", value)

    assert await backend.get("a") is None


async def test_clears_one_key(backend: BaselineBackend) -> None:
    await backend.set("api::a", b"value")
    await backend.set("api::b", b"value")

    removed = [await backend.clear("api", "api::a") for _ in range(2)]

    assert (removed, await backend.get("api::b")) == ([1, 0], b"value")


async def test_clears_a_namespace_and_those_below(backend: BaselineBackend) -> None:
    for key in ("api::a", "api:users:a", "api2::a", "apiary:users:a"):
        await backend.set(key, b"value")

    removed = await backend.clear("api")

    left = [
        key
        for key in ("api::a", "api:users:a", "api2::a", "apiary:users:a")
        if await backend.get(key)
    ]
    assert (removed, left) == (1, ["api2::a", "apiary:users:a"])


async def test_clears_nothing_if_nothing_is_named(backend: BaselineBackend) -> None:
    await backend.set("api::a", b"value")

    assert await backend.clear() == 0
    assert await backend.get("api::a") == b"value"


async def test_a_value_of_something_else_is_none(backend: BaselineBackend) -> None:
    async def make() -> int:
        return 7

    await backend.cache.get_or_set("a", make)

    assert await backend.get("a") is None
