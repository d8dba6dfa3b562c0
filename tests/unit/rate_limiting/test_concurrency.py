import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fastapi_baseline.errors import UnavailableError
from fastapi_baseline.rate_limiting.concurrency import (
    RETRY_AFTER,
    ConcurrencyLimiter,
    ConcurrencyLimitExceededError,
    ConcurrencyPolicy,
)
from fastapi_baseline.rate_limiting.memory_leases import MemoryLeaseStore
from fastapi_baseline.testing import ManualClock

SECOND = timedelta(seconds=1)
TWO = ConcurrencyPolicy(name="two", quota=2)


class SharedStore(MemoryLeaseStore):
    """A shared store that can go away."""

    is_away = False

    def _ask(self) -> None:
        if self.is_away:
            raise UnavailableError

    async def acquire(self, policy: ConcurrencyPolicy, key: str, token: str) -> int | None:
        self._ask()
        return await super().acquire(policy, key, token)

    async def renew(self, policy: ConcurrencyPolicy, key: str, token: str) -> bool:
        self._ask()
        return await super().renew(policy, key, token)

    async def release(self, policy: ConcurrencyPolicy, key: str, token: str) -> None:
        self._ask()
        await super().release(policy, key, token)


@pytest.fixture
def local() -> MemoryLeaseStore:
    return MemoryLeaseStore(clock=ManualClock())


@pytest.fixture
def shared() -> SharedStore:
    return SharedStore(clock=ManualClock())


@pytest.fixture
def limiter(local: MemoryLeaseStore, shared: SharedStore) -> ConcurrencyLimiter:
    return ConcurrencyLimiter(local=local, shared=shared)


@pytest.mark.parametrize("is_shared", [True, False], ids=["shared", "local"])
async def test_refuses_what_would_be_too_many_at_once(
    local: MemoryLeaseStore, shared: SharedStore, *, is_shared: bool
) -> None:
    limiter = ConcurrencyLimiter(local=local, shared=shared if is_shared else None)

    async with limiter.hold(TWO, "ann") as first, limiter.hold(TWO, "ann") as second:
        with pytest.raises(ConcurrencyLimitExceededError) as refusal:
            async with limiter.hold(TWO, "ann"):
                pass

    assert (first.remaining, second.remaining) == (1, 0)
    assert refusal.value.retry_after == RETRY_AFTER
    assert (len(local), len(shared)) == (0, 0)
    assert first.source == ("redis" if is_shared else "local")


async def test_a_cancelled_request_gives_its_place_back(
    limiter: ConcurrencyLimiter, shared: SharedStore
) -> None:
    has_place = asyncio.Event()

    async def work() -> None:
        async with limiter.hold(TWO, "ann"):
            has_place.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await has_place.wait()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert len(shared) == 0


async def test_shadow_mode_refuses_nobody(limiter: ConcurrencyLimiter) -> None:
    shadow = replace(TWO, quota=1, shadow=True)

    first = await limiter.acquire(shadow, "ann")
    second = await limiter.acquire(shadow, "ann")
    await limiter.release(second.lease)
    third = await limiter.acquire(shadow, "ann")

    assert [decision.allowed for decision in (first, second, third)] == [True, True, True]
    assert [decision.is_shadowed for decision in (first, second, third)] == [False, True, True]
    assert second.retry_after == timedelta(0)


async def test_each_process_has_its_share_while_the_store_is_away(
    local: MemoryLeaseStore, shared: SharedStore
) -> None:
    limiter = ConcurrencyLimiter(local=local, shared=shared, instances=3)
    shared.is_away = True
    five = replace(TWO, quota=5)

    asked = ((five, "ann"), (five, "ann"), (TWO, "bob"))
    decisions = [await limiter.acquire(policy, key) for policy, key in asked]

    assert [decision.allowed for decision in decisions] == [True, False, True]
    assert [decision.source for decision in decisions] == ["local", "local", "local"]


@pytest.mark.parametrize(("mode", "allowed"), [("open", True), ("closed", False)])
async def test_a_policy_says_what_holds_while_the_store_is_away(
    limiter: ConcurrencyLimiter, shared: SharedStore, mode: Any, *, allowed: bool
) -> None:
    shared.is_away = True

    decision = await limiter.acquire(replace(TWO, failure_mode=mode), "ann")

    assert (decision.allowed, decision.source, decision.lease) == (allowed, mode, None)
    assert not decision.is_shadowed


async def test_a_place_is_given_back_where_it_was_taken(
    limiter: ConcurrencyLimiter, local: MemoryLeaseStore, shared: SharedStore
) -> None:
    shared.is_away = True

    async with limiter.hold(TWO, "ann"):
        shared.is_away = False

    assert len(local) == 0


async def test_a_store_that_goes_away_harms_no_request(
    limiter: ConcurrencyLimiter, shared: SharedStore
) -> None:
    async with limiter.hold(TWO, "ann") as decision:
        shared.is_away = True
        assert decision.lease is not None
        assert await limiter.renew(decision.lease)

    assert len(shared) == 1


async def test_renews_a_lease_that_is_not_over(limiter: ConcurrencyLimiter) -> None:
    decision = await limiter.acquire(TWO, "ann")
    assert decision.lease is not None

    first = await limiter.renew(decision.lease)
    await limiter.release(decision.lease)
    second = await limiter.renew(decision.lease)

    assert (first, second) == (True, False)


def test_there_is_at_least_one_instance(local: MemoryLeaseStore) -> None:
    with pytest.raises(ValueError, match="at least one instance"):
        ConcurrencyLimiter(local=local, instances=0)


@pytest.mark.parametrize(
    "values", [{"name": ""}, {"name": "é"}, {"quota": 0}, {"lease": timedelta(0)}], ids=str
)
def test_refuses_values_that_no_limit_has(values: Any) -> None:
    usual: Any = {"name": "p", "quota": 1}

    with pytest.raises(ValueError, match=r"printable|At least one|over at once"):
        ConcurrencyPolicy(**{**usual, **values})
