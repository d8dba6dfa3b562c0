from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fastapi_baseline.errors import UnavailableError
from fastapi_baseline.rate_limiting.decisions import Decision, Demand
from fastapi_baseline.rate_limiting.engine import CLOSED_RETRY_AFTER, RateLimitEngine
from fastapi_baseline.rate_limiting.memory import MemoryRateLimitStore
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.testing import ManualClock

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
ZERO = timedelta(0)
TEN = QuotaPolicy(name="ten", quota=10, window=MINUTE)
TWENTY = QuotaPolicy(name="twenty", quota=20, window=MINUTE)
OPEN = replace(TEN, name="open", failure_mode="open")
CLOSED = replace(TEN, name="closed", failure_mode="closed")


class SharedStore(MemoryRateLimitStore):
    """A shared store that can go away, and counts how often it is asked."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.is_away = False
        self.calls = 0

    def _ask(self) -> None:
        self.calls += 1
        if self.is_away:
            raise UnavailableError

    async def acquire(self, demands: Sequence[Demand]) -> Decision:
        self._ask()
        return (await super().acquire(demands))._replace(source="redis")

    async def peek(self, demands: Sequence[Demand]) -> Decision:
        self._ask()
        return (await super().peek(demands))._replace(source="redis")

    async def charge(self, demands: Sequence[Demand]) -> None:
        self._ask()
        await super().charge(demands)

    async def forget(self, demands: Sequence[Demand]) -> None:
        self._ask()
        await super().forget(demands)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def shared(clock: ManualClock) -> SharedStore:
    return SharedStore(clock)


@pytest.fixture
def engine(clock: ManualClock, shared: SharedStore) -> RateLimitEngine:
    return make_engine(clock, shared)


def make_engine(
    clock: ManualClock, shared: SharedStore | None = None, **options: Any
) -> RateLimitEngine:
    return RateLimitEngine(
        local=MemoryRateLimitStore(clock=clock), shared=shared, clock=clock, **options
    )


async def test_asks_the_shared_store_once_for_all_policies(
    engine: RateLimitEngine, shared: SharedStore
) -> None:
    decision = await engine.acquire([Demand(TEN, "ann"), Demand(TWENTY, "ann")])

    assert decision.source == "redis"
    assert [outcome.remaining for outcome in decision.outcomes] == [9, 19]
    assert (shared.calls, engine.is_local) == (1, False)


async def test_decides_by_itself_without_a_shared_store(clock: ManualClock) -> None:
    engine = make_engine(clock, instances=5)

    first = await engine.acquire([Demand(TEN, "ann", 9)])
    second = engine.acquire_nowait([Demand(TEN, "ann")])

    assert (first.source, second.source, engine.is_local) == ("local", "local", True)
    assert second.outcomes[0].remaining == 0


async def test_counts_by_itself_while_the_store_is_away(
    engine: RateLimitEngine, shared: SharedStore
) -> None:
    await engine.acquire([Demand(TEN, "ann", 5)])
    shared.is_away = True

    decisions = [await engine.acquire([Demand(TEN, "ann", 6)]) for _ in range(2)]

    assert [decision.allowed for decision in decisions] == [True, False]
    assert [decision.source for decision in decisions] == ["local", "local"]


async def test_goes_back_to_the_store_when_it_is_there_again(
    engine: RateLimitEngine, shared: SharedStore
) -> None:
    shared.is_away = True
    await engine.acquire([Demand(TEN, "ann", 10)])
    shared.is_away = False

    decision = await engine.acquire([Demand(TEN, "ann")])

    assert (decision.source, decision.outcomes[0].remaining) == ("redis", 9)


@pytest.mark.parametrize(("burst", "share"), [(None, 3), (8, 2), (2, 1)])
async def test_grants_only_its_share_by_itself(
    clock: ManualClock, shared: SharedStore, burst: int | None, share: int
) -> None:
    engine = make_engine(clock, shared, instances=3)
    shared.is_away = True
    policy = replace(TEN, burst=burst)

    decisions = [await engine.acquire([Demand(policy, "ann")]) for _ in range(4)]

    assert [decision.allowed for decision in decisions].count(True) == share
    assert decisions[0].outcomes[0].policy is policy


async def test_a_share_is_never_nothing(clock: ManualClock, shared: SharedStore) -> None:
    engine = make_engine(clock, shared, instances=100)
    shared.is_away = True
    none = QuotaPolicy(name="none", quota=0, window=MINUTE)

    decisions = [await engine.acquire([Demand(policy, "ann", 10)]) for policy in (TEN, TEN, none)]

    assert [decision.allowed for decision in decisions] == [True, False, False]


async def test_what_is_above_the_quota_is_above_the_share(
    clock: ManualClock, shared: SharedStore
) -> None:
    engine = make_engine(clock, shared, instances=2)
    shared.is_away = True

    decision = await engine.acquire([Demand(TEN, "ann", 11)])

    assert not decision.allowed


async def test_an_open_policy_refuses_nobody_while_the_store_is_away(
    engine: RateLimitEngine, shared: SharedStore
) -> None:
    shared.is_away = True

    decision = await engine.acquire([Demand(OPEN, "ann", 11)])

    assert (decision.allowed, decision.source) == (True, "open")
    assert decision.outcomes[0].remaining == 10


async def test_a_closed_policy_refuses_everybody_while_the_store_is_away(
    engine: RateLimitEngine, shared: SharedStore
) -> None:
    shared.is_away = True

    decision = await engine.acquire([Demand(TEN, "ann"), Demand(CLOSED, "ann"), Demand(OPEN, "a")])

    assert (decision.allowed, decision.source) == (False, "closed")
    assert decision.violated == (CLOSED,)
    assert decision.retry_after == CLOSED_RETRY_AFTER
    assert [outcome.remaining for outcome in decision.outcomes] == [10, 0, 10]


async def test_nothing_is_taken_when_a_closed_policy_refuses(
    engine: RateLimitEngine, shared: SharedStore
) -> None:
    shared.is_away = True
    await engine.acquire([Demand(TEN, "ann", 10), Demand(CLOSED, "ann")])

    decision = await engine.acquire([Demand(TEN, "ann", 10)])

    assert decision.allowed


async def test_open_and_local_policies_are_decided_on_each_in_its_way(
    engine: RateLimitEngine, shared: SharedStore
) -> None:
    shared.is_away = True
    both = [Demand(OPEN, "ann"), Demand(TEN, "ann", 10)]

    decisions = [await engine.acquire(both) for _ in range(2)]

    assert [decision.allowed for decision in decisions] == [True, False]
    assert decisions[1].violated == (TEN,)
    assert decisions[1].source == "local"


async def test_a_closed_policy_in_shadow_mode_refuses_nobody(
    engine: RateLimitEngine, shared: SharedStore
) -> None:
    shared.is_away = True
    shadow = replace(CLOSED, shadow=True)

    decision = await engine.acquire([Demand(shadow, "ann"), Demand(TEN, "ann")])

    assert (decision.allowed, decision.source) == (True, "local")
    assert decision.shadowed == (shadow,)
    assert decision.outcomes[1].remaining == 9


async def test_whoever_was_refused_costs_the_store_nothing(
    engine: RateLimitEngine, shared: SharedStore, clock: ManualClock
) -> None:
    demands = [Demand(TEN, "ann", 10), Demand(TWENTY, "ann")]
    await engine.acquire(demands)
    first = await engine.acquire(demands)
    calls = shared.calls

    clock.advance(SECOND)
    second = await engine.acquire(demands)

    assert shared.calls == calls
    assert second.retry_after == first.retry_after - SECOND
    assert second == first._replace(
        retry_after=second.retry_after,
        outcomes=(
            first.outcomes[0]._replace(reset=59 * SECOND, retry_after=59 * SECOND),
            first.outcomes[1]._replace(reset=first.outcomes[1].reset - SECOND),
        ),
    )


async def test_the_store_is_asked_again_when_it_would_grant(
    engine: RateLimitEngine, clock: ManualClock
) -> None:
    await engine.acquire([Demand(TEN, "ann", 10)])
    refused = await engine.acquire([Demand(TEN, "ann", 1)])

    clock.advance(refused.retry_after)
    decision = await engine.acquire([Demand(TEN, "ann", 1)])

    assert refused.retry_after == 6 * SECOND
    assert decision.allowed


async def test_the_store_is_asked_again_after_some_seconds_anyway(
    engine: RateLimitEngine, shared: SharedStore, clock: ManualClock
) -> None:
    await engine.acquire([Demand(TEN, "ann", 10)])
    await engine.acquire([Demand(TEN, "ann", 10)])
    await shared.refund([Demand(TEN, "ann", 10)])

    clock.advance(5 * SECOND)
    decision = await engine.acquire([Demand(TEN, "ann", 10)])

    assert decision.allowed


async def test_other_costs_and_callers_are_not_taken_for_the_refused_ones(
    engine: RateLimitEngine,
) -> None:
    await engine.acquire([Demand(TEN, "ann", 5)])
    await engine.acquire([Demand(TEN, "ann", 6)])

    decisions = [
        await engine.acquire([demand]) for demand in (Demand(TEN, "ann", 5), Demand(TEN, "bob", 6))
    ]

    assert [decision.allowed for decision in decisions] == [True, True]


async def test_a_refusal_is_forgotten_when_something_is_given_back(
    engine: RateLimitEngine,
) -> None:
    demand = Demand(TEN, "ann", 10)
    await engine.acquire([demand])
    await engine.acquire([demand, Demand(TWENTY, "ann")])

    await engine.refund([demand], source="redis")

    assert (await engine.acquire([demand, Demand(TWENTY, "ann")])).allowed


async def test_gives_back_where_it_was_taken(
    clock: ManualClock, shared: SharedStore, engine: RateLimitEngine
) -> None:
    shared.is_away = True
    decision = await engine.acquire([Demand(TEN, "ann", 10)])
    shared.is_away = False
    await shared.charge([Demand(TEN, "ann", 10)])

    await engine.refund([Demand(TEN, "ann", 4)], source=decision.source)

    assert (await engine.peek([Demand(TEN, "ann")])).outcomes[0].remaining == 0
    shared.is_away = True
    assert (await engine.peek([Demand(TEN, "ann")])).outcomes[0].remaining == 4


@pytest.mark.parametrize("source", ["open", "closed"])
async def test_gives_back_nothing_where_nothing_was_taken(
    engine: RateLimitEngine, source: Any
) -> None:
    await engine.acquire([Demand(TEN, "ann", 10)])

    await engine.refund([Demand(TEN, "ann", 4)], source=source)
    await engine.charge([Demand(TEN, "bob", 4)], source=source)

    left = [await engine.peek([Demand(TEN, key)]) for key in ("ann", "bob")]
    assert [decision.outcomes[0].remaining for decision in left] == [0, 10]


async def test_gives_back_nothing_while_the_store_is_away(
    engine: RateLimitEngine, shared: SharedStore
) -> None:
    await engine.acquire([Demand(TEN, "ann", 10)])
    shared.is_away = True

    await engine.refund([Demand(TEN, "ann", 10)])

    shared.is_away = False
    assert not (await engine.acquire([Demand(TEN, "ann")])).allowed


async def test_charges_afterwards(engine: RateLimitEngine, shared: SharedStore) -> None:
    await engine.charge([Demand(TEN, "ann", 12)])
    there = await engine.acquire([Demand(TEN, "ann")])
    shared.is_away = True
    await engine.charge([Demand(TEN, "bob", 12)], source="redis")
    away = await engine.acquire([Demand(TEN, "bob")])

    assert (there.allowed, there.source) == (False, "redis")
    assert (away.allowed, away.source) == (False, "local")


async def test_looks_by_itself_while_the_store_is_away(
    engine: RateLimitEngine, shared: SharedStore
) -> None:
    shared.is_away = True

    look = await engine.peek([Demand(TEN, "ann"), Demand(CLOSED, "ann")])

    assert (look.allowed, look.source) == (False, "closed")


async def test_looks_and_gives_back_without_a_shared_store(clock: ManualClock) -> None:
    engine = make_engine(clock)
    await engine.acquire([Demand(TEN, "ann", 9)])

    await engine.refund([Demand(TEN, "ann", 4)])
    await engine.charge([Demand(TEN, "ann", 2)])

    assert (await engine.peek([Demand(TEN, "ann")])).outcomes[0].remaining == 3


async def test_forgets_everywhere(engine: RateLimitEngine, shared: SharedStore) -> None:
    demand = Demand(TEN, "ann", 10)
    for is_away in (False, True):
        shared.is_away = is_away
        await engine.acquire([demand])
    shared.is_away = False
    await engine.acquire([demand])

    await engine.forget([demand])

    there = await engine.acquire([demand])
    shared.is_away = True
    away = await engine.acquire([demand])
    assert (there.allowed, away.allowed) == (True, True)


async def test_says_that_the_store_has_not_forgotten(
    engine: RateLimitEngine, shared: SharedStore
) -> None:
    shared.is_away = True

    with pytest.raises(UnavailableError):
        await engine.forget([Demand(TEN, "ann")])


async def test_somebody_is_told_of_each_decision(clock: ManualClock, shared: SharedStore) -> None:
    told: list[Decision] = []
    engine = make_engine(clock, shared, on_decision=told.append)
    demands = [Demand(TEN, "ann", 10)]

    decisions = [await engine.acquire(demands) for _ in range(3)]
    decisions.append(engine.acquire_nowait(demands))
    await engine.peek(demands)

    assert told == decisions


def test_there_is_at_least_one_instance(clock: ManualClock, shared: SharedStore) -> None:
    with pytest.raises(ValueError, match="at least one instance"):
        make_engine(clock, shared, instances=0)
