"""Counters in Redis, which all processes of a service share."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from fastapi_baseline.clock import Clock
from fastapi_baseline.rate_limiting import gcra
from fastapi_baseline.rate_limiting.counting_script import COUNT
from fastapi_baseline.rate_limiting.decisions import (
    Decision,
    Demand,
    PolicyOutcome,
    refuse_negative_cost,
)
from fastapi_baseline.rate_limiting.redis_script import RedisScript
from fastapi_baseline.rate_limiting.window_counters import FixedWindow, SlidingWindow
from fastapi_baseline.redis import GuardedRedis, KeySpace

_ZERO = timedelta(0)

# Only a tag that is not empty is one to a cluster.
_NOBODY = "(empty)"


class RedisRateLimitStore:
    """A `RateLimitStore` in Redis; each method is one command, whatever the number of demands.

    Time is what the server's clock says, so processes need not agree about it. A command may be
    sent again after its reply was lost, and then takes twice: never too little. The client must
    give bytes (`decode_responses=False`, which is the default).
    """

    def __init__(
        self, guard: GuardedRedis, *, namespace: str = "service", clock: Clock | None = None
    ) -> None:
        """Keep counters apart from those of other services by `namespace`.

        A test may give the `clock` by which the server shall decide instead of its own; counters
        expire by the server's all the same.
        """
        self._guard = guard
        self._keys = KeySpace("limits", namespace=namespace)
        self._clock = clock
        self._count = RedisScript(guard, COUNT)

    async def acquire(self, demands: Sequence[Demand]) -> Decision:
        """Take from all policies, or from none if one of them refuses.

        Raises:
            RedisUnavailableError: If Redis does not answer in time.
            ValueError: If a cost is negative.
        """
        return await self._decide("a", demands)

    async def peek(self, demands: Sequence[Demand]) -> Decision:
        """Return what `acquire` would, and what remains before it.

        Raises:
            RedisUnavailableError: If Redis does not answer in time.
            ValueError: If a cost is negative.
        """
        return await self._decide("p", demands)

    async def charge(self, demands: Sequence[Demand]) -> None:
        """Take from all policies, also more than is left.

        Raises:
            RedisUnavailableError: If Redis does not answer in time.
        """
        await self._run("c", demands)

    async def refund(self, demands: Sequence[Demand]) -> None:
        """Give back what was taken, up to the full quota.

        Raises:
            RedisUnavailableError: If Redis does not answer in time.
        """
        await self._run("r", demands)

    async def forget(self, demands: Sequence[Demand]) -> None:
        """Let the callers start anew, whatever the costs.

        Raises:
            RedisUnavailableError: If Redis does not answer in time.
        """
        keys = [self._get_key(demand) for demand in demands]
        if keys:
            await self._guard.run(lambda: self._guard.client.unlink(*keys))

    async def _decide(self, task: str, demands: Sequence[Demand]) -> Decision:
        for demand in demands:
            if demand.cost < 0:
                refuse_negative_cost(demand.cost)
        reply = await self._run(task, demands)
        is_granted, now = bool(next(reply)), next(reply)
        taking = is_granted and task == "a"
        outcomes = tuple([_read(demand, reply, now, taking=taking) for demand in demands])
        if is_granted:
            return Decision(is_granted, outcomes, _ZERO, "redis")
        waits = [each.retry_after for each in outcomes if not each.policy.shadow]
        return Decision(is_granted, outcomes, max(waits), "redis")

    async def _run(self, task: str, demands: Sequence[Demand]) -> Iterator[int]:
        if not demands:
            return iter((1, 0))
        keys = [self._get_key(demand) for demand in demands]
        if self._clock is not None:
            microseconds = int(self._clock.monotonic() * 1_000_000 + 0.5)
            task = f"{task} {microseconds // 1_000_000} {microseconds % 1_000_000}"
        args = [task, *[_describe(demand) for demand in demands]]
        reply: list[int] = await self._count.run(keys, args)
        return iter(reply)

    def _get_key(self, demand: Demand) -> str:
        policy, key, _ = demand
        if key.startswith("{"):
            tag, _, rest = key[1:].partition("}")
            if tag:
                return self._keys.key(tag, rest, policy.name)
        return self._keys.key(key or _NOBODY, policy.name)


def _describe(demand: Demand) -> str:
    # One argument rather than six: the library packs each of them by itself.
    policy, _, cost = demand
    shadow = 1 if policy.shadow else 0
    if policy.strategy == "gcra":
        return f"{shadow}g {policy.emission_interval * cost} {policy.tolerance}"
    kind = "f" if policy.strategy == "fixed-window" else "s"
    return f"{shadow}{kind} {cost} {policy.quota} {policy.window_us}"


def _read(demand: Demand, reply: Iterator[int], now: int, *, taking: bool) -> PolicyOutcome:
    policy, _, cost = demand
    if policy.strategy == "gcra":
        ahead = next(reply)
        after = ahead + policy.emission_interval * cost
        wait = -(-gcra.get_wait(policy, after, cost) // 1000)
        if taking and not wait:
            ahead = after
        remaining, reset = gcra.get_remaining(policy, ahead), -(-ahead // 1000)
    else:
        if policy.strategy == "fixed-window":
            counter = FixedWindow(next(reply), next(reply))
        else:
            counter = SlidingWindow(next(reply), next(reply), next(reply))
        wait = counter.get_wait(policy, now, cost)
        if taking and not wait:
            counter = counter.add(cost)
        remaining, reset = counter.get_remaining(policy, now), counter.get_reset(policy, now)
    retry_after = timedelta(0, 0, wait) if wait else _ZERO
    return PolicyOutcome(policy, not wait, remaining, timedelta(0, 0, reset), retry_after)
