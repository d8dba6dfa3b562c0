import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.freshness import Lifetime
from fastapi_baseline.testing.clock import ManualClock

KEY = "n:k"
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cache(store: Any, clock: ManualClock) -> Cache:
    return Cache(remote=store, clock=clock, random=lambda: 0.0)


def entry(cache: Cache, body: bytes = b"x") -> Entry:
    return cache.make_entry(body, lifetime=Lifetime(expire=HOUR, stale=HOUR), tags=("t",))


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("that never happens")


async def test_what_is_made_is_stored_for_all(cache: Cache, store: Any) -> None:
    flight = await cache.flight(KEY)
    kept = entry(cache)
    await flight.complete(kept)

    assert store.entries == {KEY: kept}
    assert store.locks == {}


async def test_who_is_cancelled_while_he_asks_lets_the_others_go(cache: Cache, store: Any) -> None:
    go_on = store.hold("claim")
    leader = asyncio.ensure_future(cache.flight(KEY))
    await until(lambda: store.calls == ["claim"])
    other = asyncio.ensure_future(cache.flight(KEY))
    await asyncio.sleep(0)

    leader.cancel()
    go_on.set()

    assert (await other).found is None
    assert leader.cancelled()


async def test_who_is_cancelled_while_he_asks_gives_back_what_he_may_have_got(
    cache: Cache, store: Any
) -> None:
    store.hold("claim")

    async with asyncio.timeout(10), cache.lifespan(None):
        leader = asyncio.ensure_future(cache.flight(KEY))
        await until(lambda: store.calls == ["claim"])
        leader.cancel()
        await until(lambda: store.locks == {})


async def test_who_is_cancelled_while_he_stores_gives_back_the_lock(
    cache: Cache, store: Any
) -> None:
    store.hold("put")

    async with cache.lifespan(None):
        flight = await cache.flight(KEY)
        completing = asyncio.ensure_future(flight.complete(entry(cache)))
        await until(lambda: "put" in store.calls)
        completing.cancel()
        await until(lambda: store.locks == {})

    assert cache.find_fresh_local(KEY) is not None


async def test_what_the_store_refuses_is_not_kept_here_either(cache: Cache, store: Any) -> None:
    store.refuses = True
    flight = await cache.flight(KEY)

    await flight.complete(entry(cache))

    assert cache.find_fresh_local(KEY) is None


async def test_without_the_store_one_makes_it_for_this_process(cache: Cache, store: Any) -> None:
    store.is_away = True
    leader = await cache.flight(KEY)
    other = asyncio.ensure_future(cache.flight(KEY))
    await asyncio.sleep(0)

    await leader.complete(entry(cache))

    assert leader.found is None
    assert (await other).found is not None
    assert cache.find_fresh_local(KEY) is not None
    assert "put" not in store.calls


async def test_what_another_process_has_made_meanwhile_is_given(cache: Cache, store: Any) -> None:
    store.locks[KEY] = "another process"
    waiting = [asyncio.ensure_future(cache.flight(KEY)) for _ in range(3)]
    await until(lambda: "claim" in store.calls)
    store.entries[KEY] = entry(cache)

    flights = await asyncio.gather(*waiting)

    assert [flight.found is not None for flight in flights] == [True] * 3
    assert store.calls.count("claim") == 2


async def test_another_process_is_not_waited_for_for_ever(
    cache: Cache, store: Any, clock: ManualClock
) -> None:
    store.locks[KEY] = "another process"
    waiting = asyncio.ensure_future(cache.flight(KEY))
    await until(lambda: "claim" in store.calls)
    clock.advance(5 * SECOND)

    assert (await waiting).found is None


async def test_what_was_invalidated_before_it_was_begun_does_no_harm(
    cache: Cache, store: Any
) -> None:
    store.locks[KEY] = "another process"
    waiting = asyncio.ensure_future(cache.flight(KEY, tags=("t",)))
    await until(lambda: "claim" in store.calls)
    await cache.invalidate("t")
    del store.locks[KEY]
    flight = await waiting

    await flight.complete(entry(cache))

    assert cache.find_fresh_local(KEY) is not None


async def test_what_another_process_makes_anew_is_left_to_it(cache: Cache, store: Any) -> None:
    seen = entry(cache)
    await cache.put(KEY, seen)
    store.locks[KEY] = "another process"
    store.calls.clear()
    made: list[str] = []

    async def make() -> Entry:
        made.append("here")
        return entry(cache)

    async with cache.lifespan(None):
        cache.refresh(KEY, make, seen=seen)
        await until(lambda: "claim" in store.calls)
        for _ in range(10):
            await asyncio.sleep(0)

    assert made == []
    assert store.locks == {KEY: "another process"}


async def test_what_another_process_has_made_anew_is_taken(
    cache: Cache, store: Any, clock: ManualClock
) -> None:
    seen = entry(cache)
    await cache.put(KEY, seen)
    clock.advance(SECOND)
    store.entries[KEY] = entry(cache, b"new")
    made: list[str] = []

    async def make() -> Entry:
        made.append("here")
        return entry(cache)

    async with cache.lifespan(None):
        cache.refresh(KEY, make, seen=seen)
        await until(lambda: (cache.find_fresh_local(KEY) or seen).body == b"new")
        await until(lambda: store.locks == {})

    assert made == []


async def test_what_is_put_without_a_flight_is_stored_for_all(cache: Cache, store: Any) -> None:
    kept = entry(cache)
    await cache.put(KEY, kept)

    assert store.entries == {KEY: kept}
    assert cache.find_fresh_local(KEY) is kept


async def test_does_not_ask_a_store_that_does_not_know_what_is_invalid(
    cache: Cache, store: Any
) -> None:
    store.is_away = True
    await cache.invalidate("t")
    store.calls.clear()

    flight = await cache.flight(KEY)
    await flight.complete(entry(cache))

    assert store.calls == ["invalidate"]
    assert cache.find_fresh_local(KEY) is not None


async def test_what_is_there_and_stale_is_made_anew(
    cache: Cache, store: Any, clock: ManualClock
) -> None:
    store.entries[KEY] = entry(cache)
    clock.advance(HOUR)

    flight = await cache.flight(KEY)

    assert flight.found is None
    assert store.locks == {KEY: flight.token}


async def test_what_the_store_does_not_take_is_kept_here(cache: Cache, store: Any) -> None:
    flight = await cache.flight(KEY)
    store.is_away = True

    await flight.complete(entry(cache))

    assert cache.find_fresh_local(KEY) is not None
    assert store.entries == {}


async def test_a_lock_that_cannot_be_given_back_is_no_error(
    cache: Cache, store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with cache.lifespan(None):
        flight = await cache.flight(KEY)
        store.is_away = True
        flight.abandon()
        await until(lambda: "release" in store.calls)

    assert caplog.records == []


async def test_who_goes_alone_waits_for_nobody(cache: Cache, store: Any) -> None:
    await cache.flight(KEY)

    alone = await cache.flight_alone(KEY)
    await alone.complete(entry(cache))

    assert not alone.is_leader
    assert cache.find_fresh_local(KEY) is not None
