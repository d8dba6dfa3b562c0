import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import timedelta

import pytest

from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.errors import InvalidTagError
from fastapi_baseline.caching.freshness import Lifetime
from fastapi_baseline.caching.memory import MemoryCacheStore
from fastapi_baseline.settings import CacheSettings
from fastapi_baseline.testing.clock import ManualClock

KEY = "n:k"
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cache(clock: ManualClock) -> Cache:
    return make(clock)


def make(clock: ManualClock, settings: CacheSettings | None = None) -> Cache:
    return Cache(clock=clock, random=lambda: 0.0, settings=settings)


def entry(
    cache: Cache,
    body: bytes = b"x",
    *,
    expire: timedelta = MINUTE,
    stale: timedelta | None = None,
    stale_if_error: timedelta | None = None,
    tags: tuple[str, ...] = (),
) -> Entry:
    lifetime = Lifetime(expire=expire, stale=stale, stale_if_error=stale_if_error)
    return cache.make_entry(body, lifetime=lifetime, tags=tags)


async def state_of(cache: Cache, key: str = KEY) -> tuple[str, bool] | None:
    found = await cache.find(key)
    return None if found is None else (found.state, found.is_due)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("that never happens")


def returning(kept: Entry | None) -> Callable[[], Awaitable[Entry | None]]:
    async def give() -> Entry | None:
        return kept

    return give


async def test_finds_what_was_put(cache: Cache) -> None:
    kept = entry(cache)
    await cache.put(KEY, kept)

    found = await cache.find(KEY)

    assert found is not None
    assert (found.entry, found.state, found.level) == (kept, "fresh", "local")
    assert cache.find_fresh_local(KEY) is kept
    assert await cache.find("n:other") is None


async def test_what_has_expired_is_not_found(cache: Cache, clock: ManualClock) -> None:
    await cache.put(KEY, entry(cache))
    clock.advance(MINUTE)

    assert cache.find_fresh_local(KEY) is None
    assert await cache.find(KEY) is None


async def test_what_may_be_stale_is_due_when_it_is(cache: Cache, clock: ManualClock) -> None:
    await cache.put(KEY, entry(cache, stale=MINUTE, stale_if_error=2 * MINUTE))
    states = [await state_of(cache)]
    for _ in range(3):
        clock.advance(MINUTE)
        states.append(await state_of(cache))

    assert states == [("fresh", False), ("stale", True), ("fallback", False), None]


async def test_what_takes_long_to_make_is_due_before_it_is_stale(clock: ManualClock) -> None:
    cache = Cache(clock=clock, random=lambda: 0.5)
    lifetime = Lifetime(expire=MINUTE, stale=MINUTE, jitter=0)
    await cache.put(KEY, cache.make_entry(b"", lifetime=lifetime, making_s=10))
    clock.advance(50 * SECOND)
    early = await state_of(cache)
    clock.advance(5 * SECOND)

    assert early == ("fresh", False)
    assert cache.find_fresh_local(KEY) is None
    assert await state_of(cache) == ("fresh", True)


async def test_an_invalidated_tag_makes_all_that_has_it_invalid(cache: Cache) -> None:
    for number in range(3):
        await cache.put(f"n:{number}", entry(cache, tags=("all", f"one:{number}")))

    await cache.invalidate("one:1", "unknown")
    after_one = [await state_of(cache, f"n:{number}") is not None for number in range(3)]
    await cache.invalidate("all")
    after_all = [cache.find_fresh_local(f"n:{number}") for number in range(3)]

    assert after_one == [True, False, True]
    assert after_all == [None] * 3


async def test_deletes_the_keys_that_are_named(cache: Cache) -> None:
    for key in ("n:a", "n:b", "m:a"):
        await cache.put(key, entry(cache))

    assert await cache.delete("n:a", "n:unknown") == 1
    assert [key async for key, _ in cache.list_entries()] == ["n:b", "m:a"]


async def test_clears_one_namespace_or_all(cache: Cache) -> None:
    for key in ("n:a", "n:b", "nn:a", ":a"):
        await cache.put(key, entry(cache))

    assert await cache.clear("n") == 2
    assert [key async for key, _ in cache.list_entries()] == ["nn:a", ":a"]
    assert [key async for key, _ in cache.list_entries(namespace="")] == [":a"]
    assert await cache.clear() == 2


async def test_refuses_what_is_no_tag_or_namespace(cache: Cache) -> None:
    with pytest.raises(InvalidTagError):
        await cache.invalidate("")
    with pytest.raises(InvalidTagError):
        await cache.clear("n*")


async def test_what_is_too_large_is_not_kept(clock: ManualClock) -> None:
    cache = make(clock, CacheSettings(max_entry_size=10))
    await cache.put(KEY, entry(cache, b"x" * 11))
    await cache.put("n:l", entry(cache, b"x" * 10))

    assert await cache.find(KEY) is None
    assert await cache.find("n:l") is not None


async def test_keeps_nothing_if_it_is_switched_off(clock: ManualClock) -> None:
    cache = make(clock, CacheSettings(enabled=False))
    flight = await cache.flight(KEY)
    await flight.complete(entry(cache))
    await cache.put(KEY, entry(cache))

    assert flight.found is None
    assert await cache.find(KEY) is None
    assert cache.find_fresh_local(KEY) is None


async def test_one_makes_what_many_want(cache: Cache) -> None:
    leader = await cache.flight(KEY)
    others = [asyncio.ensure_future(cache.flight(KEY)) for _ in range(29)]
    await asyncio.sleep(0)
    kept = entry(cache)

    await leader.complete(kept)
    flights = await asyncio.gather(*others)

    assert leader.is_leader
    assert {flight.found.entry is kept for flight in flights if flight.found} == {True}
    assert len([flight for flight in flights if flight.found]) == 29


async def test_who_comes_later_gets_what_is_there(cache: Cache) -> None:
    leader = await cache.flight(KEY)
    await leader.complete(entry(cache))

    late = await cache.flight(KEY)

    assert late.found is not None
    assert late.found.level == "local"


async def test_a_flight_that_fails_lets_all_go_at_once(cache: Cache) -> None:
    leader = await cache.flight(KEY)
    others = [asyncio.ensure_future(cache.flight(KEY)) for _ in range(5)]
    await asyncio.sleep(0)

    leader.abandon()
    flights = await asyncio.gather(*others)

    assert [(flight.found, flight.is_leader) for flight in flights] == [(None, False)] * 5


async def test_who_waits_and_is_cancelled_goes_alone(cache: Cache) -> None:
    leader = await cache.flight(KEY)
    cancelled, waiting = (asyncio.ensure_future(cache.flight(KEY)) for _ in range(2))
    await asyncio.sleep(0)

    cancelled.cancel()
    await asyncio.wait([cancelled])
    await leader.complete(entry(cache))

    assert cancelled.cancelled()
    assert (await waiting).found is not None


async def test_flights_of_other_keys_do_not_wait(cache: Cache) -> None:
    await cache.flight(KEY)

    assert (await cache.flight("n:other")).is_leader


async def test_a_flight_ends_once(cache: Cache) -> None:
    flight = await cache.flight(KEY)
    await flight.complete(entry(cache, b"first"))

    await flight.complete(entry(cache, b"second"))
    flight.abandon()

    kept = cache.find_fresh_local(KEY)
    assert kept is not None
    assert kept.body == b"first"


@pytest.mark.parametrize("how", ["tag", "key", "namespace", "everything"])
async def test_what_is_invalidated_while_it_is_made_is_not_kept(cache: Cache, how: str) -> None:
    flight = await cache.flight(KEY, tags=("t",))
    early = asyncio.ensure_future(cache.flight(KEY, tags=("t",)))
    await asyncio.sleep(0)

    match how:
        case "tag":
            await cache.invalidate("t")
        case "key":
            await cache.delete(KEY)
        case "namespace":
            await cache.clear("n")
        case _:
            await cache.clear()
    late = await cache.flight(KEY, tags=("t",))
    await flight.complete(entry(cache, tags=("t",)))

    assert (await early).found is not None
    assert (late.found, late.is_leader) == (None, True)
    assert await cache.find(KEY) is None


async def test_makes_anew_in_the_background_once_and_for_nobody(cache: Cache) -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")
    who.set("somebody")
    old = entry(cache, stale=MINUTE)
    await cache.put(KEY, old)
    made: list[str] = []
    go_on = asyncio.Event()

    async def remake() -> Entry:
        made.append(who.get())
        await go_on.wait()
        return entry(cache, b"new")

    async with cache.lifespan(None):
        started = [cache.refresh(KEY, remake, seen=old) for _ in range(3)]
        await until(lambda: bool(made))
        go_on.set()
        await until(lambda: (cache.find_fresh_local(KEY) or old).body == b"new")

    assert started == [True, False, False]
    assert made == ["nobody"]


async def test_is_not_due_again_at_once_if_making_it_anew_fails(
    cache: Cache, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    old = entry(cache, stale=MINUTE)
    await cache.put(KEY, old)
    clock.advance(MINUTE)

    async def fail() -> Entry:
        raise RuntimeError("no")

    async with cache.lifespan(None):
        cache.refresh(KEY, fail, seen=old)
        await until(lambda: bool(caplog.records))
        at_once = await state_of(cache)
        clock.advance(3 * SECOND)
        later = await state_of(cache)

    assert (at_once, later) == (("stale", False), ("stale", True))
    assert len(caplog.records) == 1


async def test_without_a_lifespan_there_is_no_background(cache: Cache) -> None:
    old = entry(cache, stale=MINUTE)
    await cache.put(KEY, old)

    assert not cache.refresh(KEY, returning(old), seen=old)
    assert (await cache.flight("n:other")).is_leader


async def test_what_is_made_in_the_background_ends_with_the_application(cache: Cache) -> None:
    old = entry(cache, stale=MINUTE)
    ended: list[bool] = []

    async def hang() -> Entry:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)
        return old

    async with cache.lifespan(None):
        cache.refresh(KEY, hang, seen=old)
        await asyncio.sleep(0)

    assert ended == [True]
    assert not cache.refresh(KEY, hang, seen=old)


async def test_a_variant_is_kept_with_its_entry(cache: Cache) -> None:
    kept = entry(cache)
    await cache.put(KEY, kept)

    cache.add_variant(KEY, kept, coding="gzip", body=b"z")
    cache.add_variant(KEY, entry(cache, b"other"), coding="br", body=b"b")
    cache.add_variant("n:other", kept, coding="br", body=b"b")

    found = cache.find_fresh_local(KEY)
    assert found is not None
    assert found.variants == {"gzip": b"z"}


async def test_keeps_no_more_than_it_may(clock: ManualClock) -> None:
    local = MemoryCacheStore(max_size=10_000, clock=clock)
    cache = Cache(local=local, clock=clock)

    for number in range(1_000):
        await cache.put(f"n:{number}", entry(cache, b"x" * 100))

    assert 0 < local.size <= 10_000
