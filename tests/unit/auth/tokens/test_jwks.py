import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta

import pytest

from fastapi_baseline import context
from fastapi_baseline.auth.tokens.discovery import FetchedKeys
from fastapi_baseline.auth.tokens.errors import IssuerUnavailableError
from fastapi_baseline.auth.tokens.fetching import FetchError
from fastapi_baseline.auth.tokens.jwks import JwksCache
from fastapi_baseline.auth.tokens.keys import import_keys
from fastapi_baseline.auth.tokens.unknown_keys import MAX_REMEMBERED
from fastapi_baseline.context import RequestContext
from fastapi_baseline.settings.auth import TokenSettings
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.signing_keys import SigningKey, make_signing_key

OLD = make_signing_key(kid="old")
NEW = make_signing_key(kid="new")


class Issuer:
    """What is fetched, and how often it was."""

    def __init__(self) -> None:
        self.keys: list[SigningKey] = [OLD]
        self.max_age: timedelta | None = None
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.fetches = 0
        self.contexts: list[object] = []

    async def load(self) -> FetchedKeys:
        self.fetches += 1
        self.contexts.append(context.current())
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        document = {"keys": [dict(key.jwk) for key in self.keys]}
        return FetchedKeys(import_keys(document, algorithms=["ES256"], issuer="i"), self.max_age)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
async def cache(issuer: Issuer, clock: ManualClock) -> AsyncGenerator[JwksCache]:
    cache = JwksCache(
        issuer.load, issuer="https://issuer.test", settings=TokenSettings(), clock=clock
    )
    yield cache
    if issuer.gate is not None:
        issuer.gate.set()
    await cache.close()


async def settle() -> None:
    """Let what is under way come to its end."""
    for _ in range(10):
        await asyncio.sleep(0)


async def has(cache: JwksCache, kid: str | None) -> bool:
    return await cache.find_key(kid, "ES256") is not None


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("It did not happen.")


async def test_fetches_once_what_many_ask_for(cache: JwksCache, issuer: Issuer) -> None:
    found = await asyncio.gather(*(has(cache, "old") for _ in range(100)))

    assert all(found)
    assert issuer.fetches == 1
    assert (cache.counts.succeeded, cache.counts.failed) == (1, 0)


@pytest.mark.parametrize(
    ("told", "believed"),
    [
        (None, timedelta(minutes=10)),
        (timedelta(0), timedelta(minutes=1)),
        (timedelta(seconds=5), timedelta(minutes=1)),
        (timedelta(minutes=30), timedelta(minutes=30)),
        (timedelta(days=30), timedelta(hours=24)),
    ],
    ids=str,
)
async def test_believes_keys_as_long_as_is_told_within_a_minute_and_a_day(
    cache: JwksCache,
    issuer: Issuer,
    clock: ManualClock,
    told: timedelta | None,
    believed: timedelta,
) -> None:
    issuer.max_age = told
    assert await has(cache, "old")
    issuer.keys = [NEW]

    clock.advance(0.8 * believed - timedelta(seconds=1))
    assert await has(cache, "old")
    assert issuer.fetches == 1

    clock.advance(0.2 * believed + timedelta(seconds=1))
    assert not await has(cache, "old")
    assert issuer.fetches == 2


async def test_fetches_keys_before_they_are_too_old_while_nobody_waits(
    cache: JwksCache, issuer: Issuer, clock: ManualClock
) -> None:
    assert await has(cache, "old")
    issuer.keys = [OLD, NEW]
    issuer.gate = asyncio.Event()
    clock.advance(timedelta(minutes=8))

    assert await has(cache, "old")
    assert await has(cache, "old")
    issuer.gate.set()
    await settle()

    assert issuer.fetches == 2
    assert await has(cache, "new")
    assert issuer.fetches == 2


async def test_a_failure_ahead_of_time_is_not_repeated_at_once(
    cache: JwksCache, issuer: Issuer, clock: ManualClock
) -> None:
    assert await has(cache, "old")
    issuer.error = FetchError("down")
    clock.advance(timedelta(minutes=8))

    for _ in range(5):
        assert await has(cache, "old")
        await settle()
    assert issuer.fetches == 2

    clock.advance(timedelta(seconds=1))
    assert await has(cache, "old")
    await settle()
    assert issuer.fetches == 3


async def test_who_comes_after_a_failure_does_not_wait(
    cache: JwksCache, issuer: Issuer, clock: ManualClock
) -> None:
    assert await has(cache, "old")
    issuer.error = FetchError("down")
    clock.advance(timedelta(minutes=10))
    assert await has(cache, "old")

    issuer.gate = asyncio.Event()
    clock.advance(timedelta(seconds=2))
    assert await has(cache, "old")
    await until(lambda: issuer.fetches == 3)

    issuer.error = None
    issuer.keys = [NEW]
    issuer.gate.set()
    await settle()
    assert await has(cache, "new")


async def test_the_last_keys_are_used_for_a_day_if_there_are_no_others(
    cache: JwksCache, issuer: Issuer, clock: ManualClock
) -> None:
    assert await has(cache, "old")
    issuer.error = FetchError("down")

    clock.advance(timedelta(minutes=10, hours=24) - timedelta(microseconds=1))
    assert await has(cache, "old")

    clock.advance(timedelta(microseconds=1))
    with pytest.raises(IssuerUnavailableError):
        await has(cache, "old")


async def test_a_failure_of_long_ago_lets_no_retired_key_be_used_longer(
    cache: JwksCache, issuer: Issuer, clock: ManualClock
) -> None:
    assert await has(cache, "old")
    issuer.error = FetchError("down")
    with pytest.raises(IssuerUnavailableError):
        await has(cache, "unknown")

    issuer.error = None
    issuer.keys = [NEW]
    clock.advance(timedelta(minutes=10))

    assert not await has(cache, "old")


async def test_without_keys_a_failure_is_not_repeated_at_once(
    cache: JwksCache, issuer: Issuer, clock: ManualClock
) -> None:
    issuer.error = FetchError("down")

    for _ in range(5):
        with pytest.raises(IssuerUnavailableError) as caught:
            await has(cache, "old")
        assert caught.value.retry_after == timedelta(seconds=1)
    assert issuer.fetches == 1

    clock.advance(timedelta(seconds=1))
    issuer.error = None
    assert await has(cache, "old")


async def test_pauses_grow_to_a_minute(
    cache: JwksCache, issuer: Issuer, clock: ManualClock
) -> None:
    issuer.error = FetchError("down")
    pauses: list[float] = []

    for _ in range(9):
        with pytest.raises(IssuerUnavailableError) as caught:
            await has(cache, "old")
        assert caught.value.retry_after is not None
        pauses.append(caught.value.retry_after.total_seconds())
        clock.advance(caught.value.retry_after)

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_an_error_that_nobody_foresaw_is_logged_and_counts_as_a_failure(
    cache: JwksCache, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.error = ZeroDivisionError("planted")

    with pytest.raises(IssuerUnavailableError):
        await has(cache, "old")

    assert "The keys of https://issuer.test could not be fetched" in caplog.text
    assert cache.counts.failed == 1


async def test_an_unknown_identifier_is_looked_for_at_once(
    cache: JwksCache, issuer: Issuer
) -> None:
    assert await has(cache, "old")
    issuer.keys = [OLD, NEW]

    assert await has(cache, "new")
    assert issuer.fetches == 2


async def test_the_fetch_that_brought_no_such_key_is_not_done_twice(
    cache: JwksCache, issuer: Issuer
) -> None:
    assert not await has(cache, "unknown")
    assert issuer.fetches == 1

    assert not await has(cache, "other")
    assert issuer.fetches == 1


async def test_unknown_identifiers_are_looked_for_once_in_a_while(
    cache: JwksCache, issuer: Issuer, clock: ManualClock
) -> None:
    assert await has(cache, "old")
    for number in range(100):
        assert not await has(cache, f"a-{number}")
    assert issuer.fetches == 2

    clock.advance(timedelta(seconds=30) - timedelta(microseconds=1))
    assert not await has(cache, "b")
    assert issuer.fetches == 2

    clock.advance(timedelta(microseconds=1))
    assert not await has(cache, "b")
    assert issuer.fetches == 3
    assert await has(cache, "old")


async def test_an_identifier_that_was_not_there_leaves_the_next_look_to_another(
    cache: JwksCache, issuer: Issuer, clock: ManualClock
) -> None:
    assert await has(cache, "old")
    assert not await has(cache, "retired")
    clock.advance(timedelta(seconds=30))

    assert not await has(cache, "retired")
    assert issuer.fetches == 2

    issuer.keys = [OLD, NEW]
    assert await has(cache, "new")
    assert issuer.fetches == 3


async def test_an_identifier_that_was_not_there_is_looked_for_again_later(
    cache: JwksCache, issuer: Issuer, clock: ManualClock
) -> None:
    assert await has(cache, "old")
    assert not await has(cache, "new")
    issuer.keys = [OLD, NEW]

    clock.advance(timedelta(seconds=60))

    assert await has(cache, "new")


async def test_identifiers_that_were_not_there_are_forgotten_if_they_are_too_many(
    issuer: Issuer, clock: ManualClock
) -> None:
    settings = TokenSettings(keys_cooldown=timedelta(seconds=10), keys_max_age=timedelta(hours=20))
    cache = JwksCache(issuer.load, issuer="i", settings=settings, clock=clock)
    issuer.max_age = timedelta(hours=20)
    assert await has(cache, "old")

    for number in range(MAX_REMEMBERED + 1):
        assert not await has(cache, f"kid-{number}")
        clock.advance(timedelta(seconds=10))
    fetches = issuer.fetches

    # The first is forgotten; the last is not, until its time is over.
    assert not await has(cache, f"kid-{MAX_REMEMBERED}")
    assert issuer.fetches == fetches
    assert not await has(cache, "kid-0")
    assert issuer.fetches == fetches + 1


async def test_a_token_without_an_identifier_is_nothing_to_look_for(
    cache: JwksCache, issuer: Issuer
) -> None:
    issuer.keys = [OLD, NEW]

    assert not await has(cache, None)
    assert not await has(cache, None)
    assert issuer.fetches == 1


async def test_a_key_that_nobody_can_be_asked_for_is_not_said_to_be_unknown(
    cache: JwksCache, issuer: Issuer, clock: ManualClock
) -> None:
    assert await has(cache, "old")
    issuer.error = FetchError("down")

    for _ in range(2):
        with pytest.raises(IssuerUnavailableError) as caught:
            await has(cache, "new")
        assert caught.value.retry_after == timedelta(seconds=30)
    assert await has(cache, "old")
    assert issuer.fetches == 2

    clock.advance(timedelta(seconds=60))
    issuer.error = None
    assert not await has(cache, "new")


async def test_who_looks_for_a_key_that_is_being_fetched_waits_for_it(
    cache: JwksCache, issuer: Issuer
) -> None:
    assert await has(cache, "old")
    issuer.keys = [OLD, NEW]
    issuer.gate = asyncio.Event()

    async with asyncio.TaskGroup() as group:
        first = group.create_task(has(cache, "new"))
        await until(lambda: issuer.fetches == 2)
        second = group.create_task(has(cache, "new"))
        await settle()
        assert await has(cache, "old")
        issuer.gate.set()

    assert (first.result(), second.result()) == (True, True)
    assert issuer.fetches == 2


async def test_who_goes_away_takes_the_fetch_from_nobody(cache: JwksCache, issuer: Issuer) -> None:
    assert await has(cache, "old")
    issuer.keys = [OLD, NEW]
    issuer.gate = asyncio.Event()

    async with asyncio.TaskGroup() as group:
        impatient = group.create_task(has(cache, "new"))
        await until(lambda: issuer.fetches == 2)
        impatient.cancel()
        await asyncio.wait({impatient})
        patient = group.create_task(has(cache, "new"))
        await settle()
        issuer.gate.set()

    assert impatient.cancelled()
    assert patient.result()
    assert issuer.fetches == 2


async def test_a_fetch_belongs_to_no_request(cache: JwksCache, issuer: Issuer) -> None:
    token = context.request_context.set(RequestContext(request_id="1"))

    assert await has(cache, "old")

    context.request_context.reset(token)
    assert issuer.contexts == [None]


async def test_closing_gives_up_what_is_under_way(issuer: Issuer, clock: ManualClock) -> None:
    cache = JwksCache(issuer.load, issuer="i", settings=TokenSettings(), clock=clock)
    issuer.gate = asyncio.Event()

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(refused(has(cache, "old")))
        await until(lambda: issuer.fetches == 1)
        await cache.close()

    assert waiting.result()
    await cache.close()
    issuer.gate = None
    assert await has(cache, "old")


async def refused(asking: Awaitable[bool]) -> bool:
    try:
        await asking
    except IssuerUnavailableError:
        return True
    return False


def test_a_fetch_of_a_loop_that_has_ended_is_not_waited_for(clock: ManualClock) -> None:
    issuer = Issuer()
    cache = JwksCache(issuer.load, issuer="i", settings=TokenSettings(), clock=clock)

    async def leave_under_way() -> None:
        assert await has(cache, "old")
        issuer.gate = asyncio.Event()
        clock.advance(timedelta(minutes=8))
        assert await has(cache, "old")

    async def ask_again() -> bool:
        issuer.gate = None
        await cache.close()
        clock.advance(timedelta(minutes=8))
        return await has(cache, "old")

    asyncio.run(leave_under_way())

    assert asyncio.run(ask_again())
