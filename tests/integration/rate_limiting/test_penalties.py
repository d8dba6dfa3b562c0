from datetime import timedelta

import pytest

from fastapi_baseline.rate_limiting.decisions import Demand
from fastapi_baseline.rate_limiting.engine import RateLimitEngine
from fastapi_baseline.rate_limiting.memory import MemoryRateLimitStore
from fastapi_baseline.rate_limiting.penalties import Penalty, PenaltyBox
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.rate_limiting.redis import RedisRateLimitStore
from fastapi_baseline.redis import GuardedRedis
from fastapi_baseline.testing import ManualClock

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TEN = QuotaPolicy(name="ten", quota=10, window=MINUTE)
PENALTY = Penalty(name="abuse", strikes=2, window=MINUTE, duration=HOUR)


@pytest.fixture(params=["memory", "redis"])
def engine(request: pytest.FixtureRequest, clock: ManualClock) -> RateLimitEngine:
    local = MemoryRateLimitStore(clock=clock)
    if request.param == "memory":
        return RateLimitEngine(local=local, clock=clock)
    guard: GuardedRedis = request.getfixturevalue("guard")
    shared = RedisRateLimitStore(guard, clock=clock)
    return RateLimitEngine(local=local, shared=shared, clock=clock)


@pytest.fixture
def box(engine: RateLimitEngine) -> PenaltyBox:
    return PenaltyBox(PENALTY, engine=engine)


async def is_served(engine: RateLimitEngine, box: PenaltyBox, key: str) -> bool:
    return (await engine.acquire([Demand(TEN, key), box.get_demand(key)])).allowed


async def test_too_many_strikes_are_a_ban(engine: RateLimitEngine, box: PenaltyBox) -> None:
    bans = [await box.strike("ann") for _ in range(3)]

    served = [await is_served(engine, box, key) for key in ("ann", "bob")]

    assert bans == [False, False, True]
    assert served == [False, True]


async def test_a_ban_takes_nothing_from_the_limits(
    engine: RateLimitEngine, box: PenaltyBox
) -> None:
    await box.ban("ann")
    await is_served(engine, box, "ann")

    assert (await engine.peek([Demand(TEN, "ann")])).outcomes[0].remaining == 10


async def test_a_ban_says_when_it_is_over(
    engine: RateLimitEngine, box: PenaltyBox, clock: ManualClock
) -> None:
    await box.ban("ann")
    clock.advance(MINUTE)
    await box.ban("ann")

    refused = await engine.acquire([box.get_demand("ann")])
    clock.advance(refused.retry_after)

    assert refused.retry_after == HOUR - MINUTE
    assert [policy.name for policy in refused.violated] == ["abuse-ban"]
    assert await is_served(engine, box, "ann")


async def test_strikes_are_forgotten_after_their_window(
    engine: RateLimitEngine, box: PenaltyBox, clock: ManualClock
) -> None:
    for _ in range(2):
        await box.strike("ann")
    clock.advance(MINUTE)

    assert not await box.strike("ann")


async def test_a_pardon_ends_a_ban_and_forgets_the_strikes(
    engine: RateLimitEngine, box: PenaltyBox
) -> None:
    for _ in range(3):
        await box.strike("ann")
    await is_served(engine, box, "ann")

    await box.pardon("ann")

    assert await is_served(engine, box, "ann")
    assert not await box.strike("ann")
