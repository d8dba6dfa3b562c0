import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.coherence import MAX_UNDELIVERED
from fastapi_baseline.caching.freshness import Lifetime
from fastapi_baseline.testing.clock import ManualClock

KEY = "n:k"
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def namespace(worker_id: str) -> str:
    # What is published is heard in all databases of a server, which other workers use as well.
    return f"shop-of-{worker_id}"


@pytest.fixture
async def listening(processes: list[Any], client: Any, namespace: str) -> AsyncGenerator[list[Any]]:
    async with AsyncExitStack() as stack:
        for process in processes:
            await stack.enter_async_context(process.cache.lifespan(None))
        await heard_by(client, namespace, len(processes))
        yield processes


async def heard_by(client: Any, namespace: str, count: int) -> None:
    async with asyncio.timeout(30):
        while (await client.pubsub_numsub(f"cache:1:{namespace}"))[0][1] < count:  # noqa: ASYNC110 -- Redis is another process
            await asyncio.sleep(0.001)


async def put(
    cache: Cache,
    body: bytes = b"x",
    *,
    stale: timedelta | None = None,
    stale_if_error: timedelta | None = None,
) -> None:
    lifetime = Lifetime(expire=HOUR, stale=stale, stale_if_error=stale_if_error)
    await cache.put(KEY, cache.make_entry(body, lifetime=lifetime, tags=("t",)))


async def body_of(cache: Cache) -> bytes | None:
    found = await cache.find(KEY, tags=("t",))
    return None if found is None else found.entry.body


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 -- Redis is another process
            await asyncio.sleep(0.001)


async def test_what_one_process_puts_another_one_finds(processes: list[Any]) -> None:
    one, other = (process.cache for process in processes)
    await put(one)

    first = await other.find(KEY)
    second = await other.find(KEY)

    assert first is not None
    assert second is not None
    assert [first.level, second.level] == ["remote", "local"]


@pytest.mark.parametrize("how", ["tag", "key", "namespace", "everything"])
async def test_what_one_process_invalidates_another_one_forgets_at_once(
    listening: list[Any], how: str
) -> None:
    one, other = (process.cache for process in listening)
    await put(one)
    assert await body_of(other) == b"x"

    match how:
        case "tag":
            await one.invalidate("t")
        case "key":
            await one.delete(KEY)
        case "namespace":
            await one.clear("n")
        case _:
            await one.clear()

    await until(lambda: other.find_fresh_local(KEY) is None)
    assert await body_of(other) is None


async def test_what_others_invalidate_while_it_is_made_is_not_kept(listening: list[Any]) -> None:
    one, other = (process.cache for process in listening)
    flight = await other.flight(KEY, tags=("t",))

    await one.invalidate("t")
    entry = other.make_entry(b"old", lifetime=Lifetime(expire=HOUR), tags=("t",))
    await flight.complete(entry)

    assert await body_of(one) is None
    assert await body_of(other) is None


async def test_without_a_word_a_copy_is_believed_for_some_seconds_only(
    processes: list[Any], clock: ManualClock
) -> None:
    one, other = (process.cache for process in processes)
    await put(one)
    assert await body_of(other) == b"x"

    await one.invalidate("t")
    at_once = await body_of(other)
    clock.advance(5 * SECOND)

    assert at_once == b"x"
    assert other.find_fresh_local(KEY) is None
    assert await body_of(other) is None


async def test_listens_again_after_its_connection_was_lost(
    listening: list[Any], client: Any, namespace: str
) -> None:
    one, other = (process.cache for process in listening)
    await put(one)
    await client.client_kill_filter(_type="pubsub")
    await heard_by(client, namespace, len(listening))
    assert await body_of(other) == b"x"

    await one.invalidate("t")

    await until(lambda: other.find_fresh_local(KEY) is None)


async def test_goes_on_without_redis(processes: list[Any], clock: ManualClock) -> None:
    process = processes[0]
    await put(process.cache)
    process.redis.is_away = True
    kept = await body_of(process.cache)
    clock.advance(5 * SECOND)

    async def make() -> int:
        return 1

    value = await process.cache.get_or_set("v", make, tags=["t"])
    await put(process.cache, b"new")
    await process.cache.delete("n:other")

    assert kept == b"x"
    assert value == 1
    assert await body_of(process.cache) == b"new"
    assert await process.cache.clear() == 2


async def test_what_redis_cannot_confirm_is_given_only_if_it_cannot_be_made(
    processes: list[Any], clock: ManualClock
) -> None:
    process = processes[0]
    await put(process.cache, stale_if_error=HOUR)
    process.redis.is_away = True
    clock.advance(5 * SECOND)

    found = await process.cache.find(KEY)

    assert found is not None
    assert found.state == "fallback"


async def test_an_invalidation_that_redis_did_not_take_holds_here(processes: list[Any]) -> None:
    process = processes[0]
    await put(process.cache)
    process.redis.is_away = True

    await process.cache.invalidate("t")

    assert await body_of(process.cache) is None
    assert process.cache.undelivered == 1


async def test_is_told_to_redis_before_it_is_asked_again(processes: list[Any]) -> None:
    one, other = processes
    await put(one.cache)
    one.redis.is_away = True
    await one.cache.invalidate("t")
    one.redis.is_away = False

    mine = await body_of(one.cache)

    assert mine is None
    assert await body_of(other.cache) is None
    assert one.cache.undelivered == 0


async def test_is_told_to_redis_by_itself_when_that_is_back(
    listening: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="fastapi_baseline.caching")
    one, other = listening
    await put(one.cache)
    assert await body_of(other.cache) == b"x"
    one.redis.is_away = True
    for tag in ("t", "u", "v"):
        await one.cache.invalidate(tag)

    one.redis.is_away = False

    # Redis has been told when the second line is written; the other process hears of it as well.
    await until(lambda: len(caplog.records) == 2)
    await until(lambda: other.cache.find_fresh_local(KEY) is None)
    assert await body_of(other.cache) is None
    assert len(caplog.records) == 2


async def test_with_more_than_can_wait_everything_is_forgotten(processes: list[Any]) -> None:
    one, other = processes
    await put(one.cache)
    one.redis.is_away = True
    await one.cache.invalidate(*(f"other:{number}" for number in range(MAX_UNDELIVERED + 1)))
    assert one.cache.undelivered == 1
    one.redis.is_away = False

    await one.cache.find("n:any")

    assert await body_of(other.cache) is None


async def test_an_invalidation_that_is_cancelled_is_not_lost(processes: list[Any]) -> None:
    one, other = processes
    await put(one.cache)
    task = asyncio.ensure_future(one.cache.invalidate("t"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert await body_of(one.cache) is None
    assert await body_of(other.cache) is None


async def test_one_process_makes_what_several_want(processes: list[Any]) -> None:
    count = 0

    async def make() -> int:
        nonlocal count
        count += 1
        await asyncio.sleep(0.02)
        return count

    values = await asyncio.gather(
        *(process.cache.get_or_set("k", make) for process in processes for _ in range(15))
    )

    assert values == [1] * 30


async def test_a_process_whose_maker_is_cancelled_lets_the_other_one_make_it(
    listening: list[Any],
) -> None:
    one, other = (process.cache for process in listening)
    hangs = asyncio.Event()

    async def hang() -> int:
        hangs.set()
        await asyncio.Event().wait()
        return 1

    async def make() -> int:
        return 2

    leader = asyncio.ensure_future(one.get_or_set("k", hang))
    await hangs.wait()
    waiting = asyncio.ensure_future(other.get_or_set("k", make))
    leader.cancel()

    # The clock stands still: nobody has waited for the lock to end.
    async with asyncio.timeout(4):
        assert await waiting == 2


async def test_waits_for_another_process_only_for_so_long(
    processes: list[Any], clock: ManualClock
) -> None:
    one, other = (process.cache for process in processes)
    await one.flight(KEY)
    waiting = asyncio.ensure_future(other.flight(KEY))
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    clock.advance(5 * SECOND)

    flight = await waiting

    assert not done
    assert flight.found is None


async def test_one_process_makes_anew_what_is_due_in_all(listening: list[Any]) -> None:
    one, other = (process.cache for process in listening)
    await put(one, stale=HOUR)
    seen = await other.find(KEY)
    assert seen is not None
    go_on = asyncio.Event()
    made: list[str] = []

    def remake(cache: Cache, name: str) -> Any:
        async def make() -> Any:
            made.append(name)
            await go_on.wait()
            lifetime = Lifetime(expire=HOUR, stale=HOUR)
            return cache.make_entry(name.encode(), lifetime=lifetime, tags=("t",))

        return make

    assert one.refresh(KEY, remake(one, "one"), seen=seen.entry, tags=("t",))
    await until(lambda: made == ["one"])
    assert other.refresh(KEY, remake(other, "other"), seen=seen.entry, tags=("t",))
    waited = other.flight(KEY, tags=("t",))
    assert (await waited).found is not None
    go_on.set()

    await until(lambda: (one.find_fresh_local(KEY) or seen.entry).body == b"one")
    assert made == ["one"]


async def test_gives_back_a_lock_for_what_is_not_kept(listening: list[Any]) -> None:
    one, other = (process.cache for process in listening)
    flight = await one.flight(KEY)
    large = one.make_entry(b"x" * 2_000_000, lifetime=Lifetime(expire=HOUR))

    await flight.complete(large)

    async with asyncio.timeout(4):
        assert (await other.flight(KEY)).found is None


async def test_a_variant_survives_that_the_entry_is_read_again(
    processes: list[Any], clock: ManualClock
) -> None:
    cache = processes[0].cache
    await put(cache)
    found = await cache.find(KEY)
    cache.add_variant(KEY, found.entry, coding="gzip", body=b"z")
    clock.advance(6 * SECOND)

    again = await cache.find(KEY)

    assert again.level == "remote"
    assert again.entry.variants == {"gzip": b"z"}
