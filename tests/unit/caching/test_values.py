import asyncio
from datetime import date, timedelta

import pytest

from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.errors import UncacheableValueError
from fastapi_baseline.caching.values import is_covered_by_stale
from fastapi_baseline.errors import (
    ConflictError,
    DeadlineExceededError,
    NotFoundError,
    UnavailableError,
)
from fastapi_baseline.settings import CacheSettings
from fastapi_baseline.testing.clock import ManualClock

MINUTE = timedelta(minutes=1)


class Source:
    """What makes values, and counts how often."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def make(self) -> dict[str, int]:
        self.count += 1
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return {"count": self.count}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cache(clock: ManualClock) -> Cache:
    return Cache(clock=clock, random=lambda: 0.0)


@pytest.fixture
def source() -> Source:
    return Source()


async def test_makes_a_value_once(cache: Cache, source: Source) -> None:
    values = [await cache.get_or_set("k", source.make) for _ in range(3)]

    assert values == [{"count": 1}] * 3


async def test_makes_it_again_when_it_has_expired(
    cache: Cache, source: Source, clock: ManualClock
) -> None:
    await cache.get_or_set("k", source.make, expire=MINUTE)
    clock.advance(MINUTE)

    assert await cache.get_or_set("k", source.make) == {"count": 2}


async def test_keys_and_namespaces_do_not_know_each_other(cache: Cache, source: Source) -> None:
    for key, namespace in (("k", ""), ("l", ""), ("k", "n"), ("k", "m")):
        await cache.get_or_set(key, source.make, namespace=namespace)

    assert source.count == 4


async def test_makes_it_again_when_a_tag_was_invalidated(cache: Cache, source: Source) -> None:
    await cache.get_or_set("k", source.make, tags=["t"])
    await cache.invalidate("t")

    assert await cache.get_or_set("k", source.make, tags=["t"]) == {"count": 2}


async def test_everybody_has_a_value_of_their_own(cache: Cache, source: Source) -> None:
    await cache.get_or_set("k", source.make)
    changed = await cache.get_or_set("k", source.make)
    changed["count"] = 100

    assert await cache.get_or_set("k", source.make) == {"count": 1}


async def test_nothing_is_a_value_too(cache: Cache) -> None:
    count = 0

    async def find_nothing() -> None:
        nonlocal count
        count += 1

    assert await cache.get_or_set("k", find_nothing) is None
    assert await cache.get_or_set("k", find_nothing) is None
    assert count == 1


async def test_a_typed_value_keeps_its_type(cache: Cache) -> None:
    async def read() -> list[date]:
        return [date(2026, 1, 2)]

    values = [await cache.get_or_set("k", read, type_=list[date]) for _ in range(2)]

    assert values == [[date(2026, 1, 2)]] * 2


async def test_what_was_kept_for_another_type_is_made_again(cache: Cache) -> None:
    async def number() -> int:
        return 1

    async def text() -> str:
        return "a"

    await cache.get_or_set("k", number, type_=int)

    assert await cache.get_or_set("k", text, type_=str) == "a"


async def test_a_value_that_cannot_be_kept_is_an_error_and_holds_nobody_up(cache: Cache) -> None:
    async def read() -> date:
        return date(2026, 1, 2)

    for _ in range(2):
        with pytest.raises(UncacheableValueError):
            await cache.get_or_set("k", read)


async def test_of_thirty_at_once_one_makes_it(cache: Cache, source: Source) -> None:
    source.go_on.clear()
    wanted = [asyncio.ensure_future(cache.get_or_set("k", source.make)) for _ in range(30)]
    await asyncio.sleep(0)
    source.go_on.set()

    assert await asyncio.gather(*wanted) == [{"count": 1}] * 30


async def test_whoever_makes_it_and_is_cancelled_harms_nobody(cache: Cache, source: Source) -> None:
    source.go_on.clear()
    leader, *others = (asyncio.ensure_future(cache.get_or_set("k", source.make)) for _ in range(5))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    leader.cancel()
    await asyncio.wait([leader])
    source.go_on.set()
    values = await asyncio.gather(*others)

    assert leader.cancelled()
    assert all(value["count"] > 1 for value in values)
    assert await cache.get_or_set("k", source.make) in values


async def test_an_error_is_for_whoever_made_it_and_the_others_try_themselves(
    cache: Cache, source: Source
) -> None:
    source.go_on.clear()
    source.error = RuntimeError()
    wanted = [asyncio.ensure_future(cache.get_or_set("k", source.make)) for _ in range(3)]
    await asyncio.sleep(0)
    source.go_on.set()

    outcomes = await asyncio.gather(*wanted, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [RuntimeError] * 3
    assert source.count == 3


async def test_a_stale_value_is_given_while_it_is_made_anew(
    cache: Cache, source: Source, clock: ManualClock
) -> None:
    async def get() -> dict[str, int]:
        return await cache.get_or_set("k", source.make, expire=MINUTE, stale=MINUTE)

    async with cache.lifespan(None):
        await get()
        clock.advance(MINUTE)
        stale = await get()
        for _ in range(10):
            await asyncio.sleep(0)
        fresh = await get()

    assert (stale, fresh) == ({"count": 1}, {"count": 2})


@pytest.mark.parametrize("error", [UnavailableError(), OSError()], ids=["ours", "any"])
async def test_an_old_value_is_given_instead_of_an_error(
    cache: Cache, source: Source, clock: ManualClock, error: Exception
) -> None:
    async def get() -> dict[str, int]:
        return await cache.get_or_set("k", source.make, expire=MINUTE, stale_if_error=MINUTE)

    await get()
    clock.advance(MINUTE)
    source.error = error
    instead = await get()
    clock.advance(MINUTE)

    assert instead == {"count": 1}
    with pytest.raises(type(error)):
        await get()


async def test_an_error_that_is_the_answer_is_not_hidden(
    cache: Cache, source: Source, clock: ManualClock
) -> None:
    await cache.get_or_set("k", source.make, expire=MINUTE, stale_if_error=MINUTE)
    clock.advance(MINUTE)
    source.error = NotFoundError()

    with pytest.raises(NotFoundError):
        await cache.get_or_set("k", source.make)


async def test_what_was_invalidated_is_not_given_instead_of_an_error(
    cache: Cache, source: Source
) -> None:
    await cache.get_or_set("k", source.make, tags=["t"], stale_if_error=MINUTE)
    await cache.invalidate("t")
    source.error = UnavailableError()

    with pytest.raises(UnavailableError):
        await cache.get_or_set("k", source.make, tags=["t"], stale_if_error=MINUTE)


async def test_makes_each_value_if_the_cache_is_switched_off(source: Source) -> None:
    cache = Cache(settings=CacheSettings(enabled=False))

    assert [await cache.get_or_set("k", source.make) for _ in range(2)] == [
        {"count": 1},
        {"count": 2},
    ]


@pytest.mark.parametrize(
    ("error", "is_covered"),
    [
        (RuntimeError(), True),
        (UnavailableError(), True),
        (DeadlineExceededError(), True),
        (NotFoundError(), False),
        (ConflictError(), False),
        (UncacheableValueError(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_old_copy_covers_failures_and_no_answers(error: Exception, *, is_covered: bool) -> None:
    assert is_covered_by_stale(error) is is_covered
