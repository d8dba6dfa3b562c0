"""Fixed and sliding windows in any storage of the library `limits`: Memcached, MongoDB, Valkey.

For Redis and for the memory of the process there are stores of our own, which need one command for
all policies, and no more time for many callers than for few.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from math import ceil
from typing import TypeVar
from urllib.parse import quote

from fastapi_baseline._extras import optional
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting.decisions import (
    Decision,
    Demand,
    PolicyOutcome,
    refuse_negative_cost,
)
from fastapi_baseline.rate_limiting.errors import RateLimitUnavailableError
from fastapi_baseline.rate_limiting.policies import QuotaPolicy

with optional("limits", extra="ratelimit"):
    from limits import RateLimitItem, RateLimitItemPerSecond
    from limits.aio.storage import MemoryStorage, Storage
    from limits.aio.strategies import (
        FixedWindowRateLimiter,
        RateLimiter,
        SlidingWindowCounterRateLimiter,
    )
    from limits.errors import StorageError

T = TypeVar("T")
DEADLINE = timedelta(milliseconds=50)

_ZERO = timedelta(0)


class LimitsRateLimitStore:
    """A `RateLimitStore` in a storage of `limits.aio`, without its strategy `gcra`.

    `limits` has no command for several policies. Each is looked at before the first is taken from;
    of two requests at the same moment, one may still be refused after it took from some of them.
    Nothing can be given back, `reset` and `retry_after` are when something is back rather than
    everything or enough, and windows have whole seconds.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        namespace: str = "service",
        deadline: timedelta = DEADLINE,
        clock: Clock | None = None,
    ) -> None:
        """Wait at most `deadline` for all answers that a decision needs.

        Raises:
            ConfigurationError: If the storage is the memory of the process: that of `limits` looks
                at all callers for each request.
        """
        if isinstance(storage, MemoryStorage):
            raise ConfigurationError("For limits in memory, use MemoryRateLimitStore.")
        self._limiters: dict[str, RateLimiter] = {"fixed-window": FixedWindowRateLimiter(storage)}
        with suppress(NotImplementedError):  # The storage cannot.
            self._limiters["sliding-window"] = SlidingWindowCounterRateLimiter(storage)
        base = storage.base_exceptions
        self._failures = (*(base if isinstance(base, tuple) else (base,)), StorageError, OSError)
        self._namespace = namespace
        self._deadline_s = deadline.total_seconds()
        self._clock = clock or SystemClock()

    async def acquire(self, demands: Sequence[Demand]) -> Decision:
        """Take from all policies, or from none if one of them refuses when it is looked at.

        Raises:
            RateLimitUnavailableError: If the storage does not answer in time.
            ValueError: If a cost is negative, or the storage has not the strategy.
        """
        return await self._run(lambda: self._decide(demands, taking=True))

    async def peek(self, demands: Sequence[Demand]) -> Decision:
        """Return what `acquire` would, and what remains before it.

        Raises:
            RateLimitUnavailableError: If the storage does not answer in time.
            ValueError: If a cost is negative, or the storage has not the strategy.
        """
        return await self._run(lambda: self._decide(demands, taking=False))

    async def charge(self, demands: Sequence[Demand]) -> None:
        """Take from all policies; from a sliding window only if that much is left.

        Raises:
            RateLimitUnavailableError: If the storage does not answer in time.
            ValueError: If the storage has not the strategy.
        """
        for demand in demands:
            if demand.cost:
                await self._run(lambda demand=demand: self._hit(demand))

    async def refund(self, demands: Sequence[Demand]) -> None:
        """Do nothing: `limits` has no way to give back."""

    async def forget(self, demands: Sequence[Demand]) -> None:
        """Let the callers start anew, whatever the costs.

        Raises:
            RateLimitUnavailableError: If the storage does not answer in time.
            ValueError: If the storage has not the strategy.
        """
        for demand in demands:
            limiter, item, names = self._find(demand)
            await self._run(lambda find=(limiter, item, names): find[0].clear(find[1], *find[2]))

    async def _run(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await work()
        except self._failures as error:
            raise RateLimitUnavailableError from error

    async def _decide(self, demands: Sequence[Demand], *, taking: bool) -> Decision:
        fits = [await self._test(demand) for demand in demands]
        if taking and all(
            fit or demand.policy.shadow for fit, demand in zip(fits, demands, strict=True)
        ):
            fits = [
                fit and (not demand.cost or await self._hit(demand))
                for fit, demand in zip(fits, demands, strict=True)
            ]
        outcomes = [
            await self._describe(demand, fit=fit) for fit, demand in zip(fits, demands, strict=True)
        ]
        waits = [each.retry_after for each in outcomes if not each.policy.shadow]
        wait = max(waits, default=_ZERO)
        return Decision(not wait, tuple(outcomes), wait, "redis")

    async def _test(self, demand: Demand) -> bool:
        if demand.cost < 0:
            refuse_negative_cost(demand.cost)
        limiter, item, names = self._find(demand)
        return await limiter.test(item, *names, cost=demand.cost)

    async def _hit(self, demand: Demand) -> bool:
        limiter, item, names = self._find(demand)
        return await limiter.hit(item, *names, cost=demand.cost)

    async def _describe(self, demand: Demand, *, fit: bool) -> PolicyOutcome:
        policy = demand.policy
        limiter, item, names = self._find(demand)
        reset_at, remaining = await limiter.get_window_stats(item, *names)
        reset = timedelta(seconds=max(0, reset_at - self._clock.now().timestamp()))
        if fit:
            return PolicyOutcome(policy, fit, remaining, reset, _ZERO)
        wait = policy.window if demand.cost > policy.quota else reset
        return PolicyOutcome(policy, fit, remaining, reset, max(wait, timedelta.resolution))

    def _find(self, demand: Demand) -> tuple[RateLimiter, RateLimitItem, tuple[str, str]]:
        policy, key, _ = demand
        limiter = self._limiters.get(policy.strategy)
        if limiter is None:
            raise ValueError(f"The storage has no strategy {policy.strategy}")
        # Keys of Memcached have no spaces.
        names = quote(key), quote(policy.name)
        return limiter, _make_item(policy, self._namespace), names


def _make_item(policy: QuotaPolicy, namespace: str) -> RateLimitItem:
    seconds = ceil(policy.window / timedelta(seconds=1))
    return RateLimitItemPerSecond(policy.quota, seconds, namespace=quote(namespace))
