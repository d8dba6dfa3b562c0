import asyncio
from datetime import timedelta
from typing import Any

import pytest

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.levels import Levels
from fastapi_baseline.caching.memory import MemoryCacheStore
from fastapi_baseline.caching.store import Invalidation
from fastapi_baseline.settings import CacheSettings
from fastapi_baseline.testing.clock import ManualClock

KEY = "n:k"
TAG = Invalidation(tags=("t",))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def levels(store: Any, clock: ManualClock) -> Levels:
    return Levels(
        MemoryCacheStore(clock=clock),
        store,
        clock=clock,
        random=lambda: 0.0,
        settings=CacheSettings(),
    )


def entry(clock: ManualClock, body: bytes = b"x", *, error_s: float = 0) -> Entry:
    now = clock.now().timestamp()
    return Entry(
        body=body,
        stored_at=now,
        fresh_until=now + 60,
        stale_until=now + 60,
        error_until=now + 60 + error_s,
        tags=("t",),
    )


async def test_what_is_invalidated_while_it_is_read_is_not_kept(
    levels: Levels, store: Any, clock: ManualClock
) -> None:
    store.entries[KEY] = entry(clock)
    go_on = store.hold("find")
    reading = asyncio.ensure_future(levels.find(KEY, tags=()))
    await asyncio.sleep(0)

    levels.forget(TAG)
    go_on.set()

    assert await reading is None
    assert levels.find_fresh_local(KEY) is None


async def test_what_is_read_while_an_invalidation_is_told_is_not_kept(
    levels: Levels, store: Any, clock: ManualClock
) -> None:
    store.entries[KEY] = entry(clock)
    go_on = store.hold("invalidate")
    invalidating = asyncio.ensure_future(levels.invalidate(TAG))
    await asyncio.sleep(0)
    await levels.find(KEY, tags=())

    go_on.set()
    await invalidating

    assert levels.find_fresh_local(KEY) is None
    assert await levels.find(KEY, tags=()) is None


async def test_the_store_is_not_asked_again_for_what_is_believed(
    levels: Levels, store: Any, clock: ManualClock
) -> None:
    store.entries[KEY] = entry(clock)
    for _ in range(3):
        await levels.find(KEY, tags=())
    clock.advance(timedelta(seconds=5))
    await levels.find(KEY, tags=())

    assert store.calls == ["find", "find"]


async def test_what_the_store_has_no_more_is_forgotten(
    levels: Levels, store: Any, clock: ManualClock
) -> None:
    store.entries[KEY] = entry(clock)
    await levels.find(KEY, tags=())
    clock.advance(timedelta(seconds=5))
    store.entries.clear()

    assert await levels.find(KEY, tags=()) is None
    assert len(levels.local) == 0


async def test_an_expired_copy_is_asked_for_anew(
    levels: Levels, store: Any, clock: ManualClock
) -> None:
    store.entries[KEY] = entry(clock, error_s=60)
    await levels.find(KEY, tags=())
    clock.advance(timedelta(seconds=56))
    await levels.find(KEY, tags=())
    clock.advance(timedelta(seconds=4))
    store.entries[KEY] = entry(clock, b"new")

    found = await levels.find(KEY, tags=())

    assert found is not None
    assert (found.entry.body, found.state) == (b"new", "fresh")


@pytest.mark.parametrize(
    ("error_s", "state"), [(60, "fallback"), (0, None)], ids=["with", "without"]
)
async def test_a_copy_that_nobody_confirms_is_a_fallback_if_it_may_be(
    levels: Levels, store: Any, clock: ManualClock, error_s: float, state: str | None
) -> None:
    store.entries[KEY] = entry(clock, error_s=error_s)
    await levels.find(KEY, tags=())
    store.is_away = True
    clock.advance(timedelta(seconds=5))

    found = await levels.find(KEY, tags=())

    assert (found and found.state) == state


async def test_an_invalidated_copy_is_no_fallback(
    levels: Levels, store: Any, clock: ManualClock
) -> None:
    store.entries[KEY] = entry(clock, error_s=60)
    await levels.find(KEY, tags=())
    store.is_away = True

    await levels.invalidate(TAG)

    assert await levels.find(KEY, tags=()) is None


async def test_the_store_is_not_asked_before_it_knows_what_is_invalid(
    levels: Levels, store: Any, clock: ManualClock
) -> None:
    store.is_away = True
    await levels.invalidate(TAG)
    store.is_away = False
    store.entries[KEY] = entry(clock)
    store.calls.clear()

    await levels.find(KEY, tags=())

    assert store.calls == ["invalidate", "find"]
