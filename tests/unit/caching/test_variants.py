from datetime import timedelta
from typing import Any

from fastapi_baseline.caching import Cache, Lifetime
from fastapi_baseline.caching.variants import SCOPE_KEY, EncodedBodies, offer_variants
from fastapi_baseline.middleware.compression.variants import ENCODED_BODIES
from fastapi_baseline.testing import ManualClock

MINUTE = Lifetime(expire=timedelta(minutes=1))


def test_both_sides_mean_the_same_place() -> None:
    assert SCOPE_KEY == ENCODED_BODIES


async def test_what_is_kept_in_a_coding_is_found_by_whoever_gets_the_entry_next() -> None:
    cache = Cache(clock=ManualClock())
    entry = cache.make_entry(b"body", lifetime=MINUTE)
    await cache.put(":a", entry)

    EncodedBodies(cache, ":a", entry).keep("gzip", b"packed")

    found = cache.find_fresh_local(":a")
    assert found is not None
    bodies = EncodedBodies(cache, ":a", found)
    assert (bodies.find("gzip"), bodies.find("br")) == (b"packed", None)
    assert bodies.body is found.body


async def test_nothing_is_kept_with_an_entry_that_came_later() -> None:
    clock = ManualClock()
    cache = Cache(clock=clock)
    old = cache.make_entry(b"old", lifetime=MINUTE)
    clock.advance(timedelta(seconds=1))
    await cache.put(":a", cache.make_entry(b"new", lifetime=MINUTE))

    EncodedBodies(cache, ":a", old).keep("gzip", b"packed")

    found = cache.find_fresh_local(":a")
    assert found is not None
    assert found.variants == {}


def test_nothing_is_offered_for_a_response_without_a_body() -> None:
    cache = Cache(clock=ManualClock())
    scope: dict[str, Any] = {}

    offer_variants(cache, ":a", cache.make_entry(b"", lifetime=MINUTE), scope=scope)

    assert scope == {}
