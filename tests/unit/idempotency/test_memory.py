from datetime import timedelta

import pytest

from fastapi_baseline.idempotency import (
    IdempotencyUnavailableError,
    MemoryIdempotencyStore,
    StoredResponse,
)
from fastapi_baseline.testing.clock import ManualClock

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


async def claim(store: MemoryIdempotencyStore, key: str) -> bool:
    return await store.claim(key, token=key, fingerprint="f", lock_timeout=MINUTE) is None


async def complete(store: MemoryIdempotencyStore, key: str, *, body: bytes = b"") -> None:
    assert await claim(store, key)
    response = StoredResponse(status=200, headers=[], body=body)
    assert await store.complete(key, token=key, response=response, lifetime=DAY)


async def test_a_full_store_forgets_the_oldest_response() -> None:
    store = MemoryIdempotencyStore(max_entries=2)
    for key in ("a", "b", "c"):
        await complete(store, key)

    assert len(store) == 2
    assert [await claim(store, key) for key in ("c", "b", "a")] == [False, False, True]


async def test_a_full_store_keeps_requests_that_are_being_carried_out() -> None:
    store = MemoryIdempotencyStore(max_entries=2)
    await claim(store, "running")
    await complete(store, "done")

    await claim(store, "third")

    assert await store.claim("running", token="x", fingerprint="f", lock_timeout=MINUTE)
    with pytest.raises(IdempotencyUnavailableError):
        await claim(store, "fourth")


async def test_a_full_store_gives_the_room_of_what_has_expired() -> None:
    clock = ManualClock()
    store = MemoryIdempotencyStore(max_entries=1, clock=clock)
    await claim(store, "a")

    clock.advance(MINUTE)

    assert await claim(store, "b")
    assert len(store) == 1


async def test_bodies_have_a_limit_of_their_own() -> None:
    store = MemoryIdempotencyStore(max_bytes=10)
    for key in ("a", "b", "c"):
        await complete(store, key, body=b"12345")

    assert len(store) == 2
    assert await claim(store, "a")


async def test_what_is_dropped_no_longer_counts() -> None:
    clock = ManualClock()
    store = MemoryIdempotencyStore(max_bytes=10, clock=clock)
    for key in ("a", "b"):
        await complete(store, key, body=b"12345")
    clock.advance(DAY)

    for key in ("a", "b"):
        await complete(store, key, body=b"12345")

    assert len(store) == 2
