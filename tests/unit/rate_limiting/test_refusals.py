from datetime import timedelta

from fastapi_baseline.rate_limiting.decisions import Decision, Demand, PolicyOutcome
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.rate_limiting.refusals import RefusalCache
from fastapi_baseline.testing import ManualClock

SECOND = timedelta(seconds=1)
POLICY = QuotaPolicy(name="p", quota=1, window=timedelta(minutes=1))


def refuse(seconds: float) -> Decision:
    wait = seconds * SECOND
    outcome = PolicyOutcome(POLICY, allowed=False, remaining=0, reset=wait, retry_after=wait)
    return Decision(allowed=False, outcomes=(outcome,), retry_after=wait, source="redis")


def test_remembers_a_refusal_until_it_is_over() -> None:
    clock = ManualClock()
    refusals = RefusalCache(clock=clock, max_entries=10)
    demands = [Demand(POLICY, "ann")]
    refusals.put(demands, refuse(2))

    clock.advance(SECOND)
    before = refusals.find(demands)
    clock.advance(SECOND)
    after = refusals.find(demands)

    assert before == refuse(1)
    assert after is None
    assert len(refusals) == 0


def test_a_refusal_that_is_over_is_not_found_behind_one_that_is_not() -> None:
    clock = ManualClock()
    refusals = RefusalCache(clock=clock, max_entries=10)
    refusals.put([Demand(POLICY, "ann")], refuse(4))
    refusals.put([Demand(POLICY, "bob")], refuse(1))

    clock.advance(SECOND)

    assert refusals.find([Demand(POLICY, "bob")]) is None
    assert len(refusals) == 1


def test_forgets_the_oldest_when_it_is_full() -> None:
    refusals = RefusalCache(clock=ManualClock(), max_entries=2)
    for key in ("ann", "bob", "eve"):
        refusals.put([Demand(POLICY, key)], refuse(2))

    found = [refusals.find([Demand(POLICY, key)]) for key in ("ann", "bob", "eve")]

    assert [decision is not None for decision in found] == [False, True, True]


def test_drops_what_has_to_do_with_a_counter() -> None:
    refusals = RefusalCache(clock=ManualClock(), max_entries=10)
    refusals.put([Demand(POLICY, "ann", 7)], refuse(2))
    refusals.put([Demand(POLICY, "bob")], refuse(2))

    refusals.drop([Demand(POLICY, "ann")])

    assert refusals.find([Demand(POLICY, "ann", 7)]) is None
    assert refusals.find([Demand(POLICY, "bob")]) is not None
