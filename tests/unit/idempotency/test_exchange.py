import asyncio
import logging
from datetime import timedelta

import pytest

from fastapi_baseline.idempotency import (
    IdempotencyUnavailableError,
    MemoryIdempotencyStore,
    Record,
    StoredResponse,
)
from fastapi_baseline.idempotency.exchange import Claim, Exchange
from fastapi_baseline.settings import IdempotencySettings
from fastapi_baseline.testing.clock import ManualClock

MINUTE = timedelta(minutes=1)


async def claimed(store: MemoryIdempotencyStore) -> Exchange:
    exchange = Exchange(store, IdempotencySettings())
    exchange.claim = Claim(key="k", token="t", lifetime=MINUTE)
    assert await store.claim("k", token="t", fingerprint="f", lock_timeout=MINUTE) is None
    return exchange


async def seen(store: MemoryIdempotencyStore) -> Record | None:
    return await store.claim("k", token="other", fingerprint="f", lock_timeout=MINUTE)


@pytest.mark.parametrize("status", [200, 201, 204, 303, 400, 404, 409, 422])
async def test_remembers_an_outcome(status: int) -> None:
    store = MemoryIdempotencyStore()
    exchange = await claimed(store)

    await exchange.settle(status, [(b"a", b"b")], body=b"x")

    record = await seen(store)
    assert record is not None
    assert record.response == StoredResponse(status=status, headers=[(b"a", b"b")], body=b"x")


@pytest.mark.parametrize("status", [401, 403, 408, 412, 425, 428, 429, 500, 502, 503, 504, None])
async def test_lets_a_request_be_repeated_that_was_not_carried_out(status: int | None) -> None:
    store = MemoryIdempotencyStore()
    exchange = await claimed(store)

    await exchange.settle(status, [], body=b"x")

    assert await seen(store) is None


async def test_settles_once() -> None:
    store = MemoryIdempotencyStore()
    exchange = await claimed(store)
    await exchange.settle(200, [], body=b"first")

    await exchange.settle(500, [], body=None)

    record = await seen(store)
    assert record is not None
    assert record.response == StoredResponse(status=200, headers=[], body=b"first")


async def test_a_claim_that_was_too_slow_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    store = MemoryIdempotencyStore(clock=clock)
    exchange = await claimed(store)
    clock.advance(MINUTE)
    assert await seen(store) is None

    with caplog.at_level(logging.WARNING):
        await exchange.settle(200, [], body=b"late")

    record = await store.claim("k", token="third", fingerprint="f", lock_timeout=MINUTE)
    assert record == Record(fingerprint="f", response=None)
    assert "IDEMPOTENCY__LOCK_TIMEOUT" in caplog.text


class AwayStore(MemoryIdempotencyStore):
    async def complete(
        self, key: str, *, token: str, response: StoredResponse, lifetime: timedelta
    ) -> bool:
        raise IdempotencyUnavailableError from ConnectionError("gone")


async def test_an_answer_is_given_even_if_it_cannot_be_remembered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exchange = await claimed(AwayStore())

    with caplog.at_level(logging.WARNING):
        await exchange.settle(200, [], body=b"x")

    assert "ConnectionError('gone')" in caplog.text


class SlowStore(MemoryIdempotencyStore):
    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.done = asyncio.Event()

    async def complete(
        self, key: str, *, token: str, response: StoredResponse, lifetime: timedelta
    ) -> bool:
        self.asked.set()
        await self.go_on.wait()
        kept = await super().complete(key, token=token, response=response, lifetime=lifetime)
        self.done.set()
        return kept


async def test_remembers_also_if_nobody_waits_for_it_any_more() -> None:
    store = SlowStore()
    exchange = await claimed(store)
    waiting = asyncio.ensure_future(exchange.settle(200, [], body=b"x"))
    await store.asked.wait()

    waiting.cancel()
    await asyncio.wait([waiting])
    store.go_on.set()
    await asyncio.wait_for(store.done.wait(), timeout=10)

    record = await seen(store)
    assert waiting.cancelled()
    assert record is not None
    assert record.response is not None
