import asyncio
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from fastapi_baseline.rate_limiting.concurrency import ConcurrencyPolicy, LeaseStore
from fastapi_baseline.rate_limiting.memory_leases import MemoryLeaseStore
from fastapi_baseline.rate_limiting.redis_leases import RedisLeaseStore
from fastapi_baseline.redis import GuardedRedis
from fastapi_baseline.testing import ManualClock

SECOND = timedelta(seconds=1)
TWO = ConcurrencyPolicy(name="two", quota=2, lease=10 * SECOND)


async def get_names(redis: Redis) -> list[Any]:
    return await redis.keys()  # pyright: ignore[reportUnknownMemberType] -- untyped keywords


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, clock: ManualClock) -> LeaseStore:
    if request.param == "memory":
        return MemoryLeaseStore(clock=clock)
    return RedisLeaseStore(request.getfixturevalue("guard"), clock=clock)


async def test_gives_as_many_places_as_there_are(store: LeaseStore) -> None:
    left = [await store.acquire(TWO, "ann", token) for token in "abc"]

    assert left == [1, 0, None]


async def test_a_place_that_is_given_back_is_free(store: LeaseStore) -> None:
    for token in "ab":
        await store.acquire(TWO, "ann", token)

    await store.release(TWO, "ann", "a")
    await store.release(TWO, "ann", "a")
    await store.release(TWO, "ann", "unknown")

    assert [await store.acquire(TWO, "ann", token) for token in "cd"] == [0, None]


async def test_callers_and_policies_have_places_of_their_own(store: LeaseStore) -> None:
    one = ConcurrencyPolicy(name="one", quota=1)
    await store.acquire(one, "ann", "a")

    left = [await store.acquire(one, "bob", "b"), await store.acquire(TWO, "ann", "c")]

    assert left == [0, 1]


async def test_a_place_is_free_when_its_lease_is_over(
    store: LeaseStore, clock: ManualClock
) -> None:
    await store.acquire(TWO, "ann", "a")
    clock.advance(5 * SECOND)
    await store.acquire(TWO, "ann", "b")

    clock.advance(5 * SECOND)

    assert [await store.acquire(TWO, "ann", token) for token in "cd"] == [0, None]


async def test_a_lease_begins_anew_when_it_is_renewed(
    store: LeaseStore, clock: ManualClock
) -> None:
    await store.acquire(TWO, "ann", "a")
    clock.advance(9 * SECOND)
    is_renewed = await store.renew(TWO, "ann", "a")

    clock.advance(9 * SECOND)

    assert is_renewed
    assert [await store.acquire(TWO, "ann", token) for token in "bc"] == [0, None]


async def test_a_lease_that_is_over_is_not_renewed(store: LeaseStore, clock: ManualClock) -> None:
    await store.acquire(TWO, "ann", "a")
    clock.advance(10 * SECOND)

    assert not await store.renew(TWO, "ann", "a")
    assert not await store.renew(TWO, "bob", "a")


async def test_the_same_request_has_one_place(store: LeaseStore) -> None:
    left = [await store.acquire(TWO, "ann", token) for token in "aab"]

    assert left == [1, 1, 0]


async def test_of_many_at_once_as_many_as_may_have_places(store: LeaseStore) -> None:
    left = await asyncio.gather(*(store.acquire(TWO, "ann", str(number)) for number in range(20)))

    assert left.count(None) == 18


async def test_redis_keeps_no_places_of_nobody(guard: GuardedRedis, redis: Redis) -> None:
    store = RedisLeaseStore(guard)
    short = ConcurrencyPolicy(name="short", quota=2, lease=timedelta(milliseconds=1))
    await store.acquire(short, "ann", "a")
    await store.acquire(TWO, "bob", "b")
    await store.release(TWO, "bob", "b")

    async with asyncio.timeout(10):
        while await get_names(redis):  # noqa: ASYNC110 -- the server does not say when it forgets
            await asyncio.sleep(0.001)


async def test_a_set_in_redis_lives_as_long_as_its_longest_lease(
    guard: GuardedRedis, redis: Redis
) -> None:
    store = RedisLeaseStore(guard)
    short = ConcurrencyPolicy(name="two", quota=2, lease=SECOND)
    await store.acquire(TWO, "ann", "a")
    await store.acquire(short, "ann", "b")

    (name,) = await get_names(redis)

    assert 9_000 < await redis.pttl(name) <= 10_002
