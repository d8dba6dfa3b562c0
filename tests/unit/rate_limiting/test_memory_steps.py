import sys
from collections.abc import Callable
from datetime import timedelta
from types import FrameType
from typing import Any

import pytest

from fastapi_baseline.rate_limiting.decisions import Demand
from fastapi_baseline.rate_limiting.memory import MemoryRateLimitStore
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.testing import ManualClock


def steps(call: Callable[[], object]) -> int:
    """Return how many lines of Python a call runs, loops in comprehensions included."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("strategy", ["gcra", "fixed-window", "sliding-window"])
def test_a_decision_takes_as_many_steps_however_many_callers_there_are(strategy: Any) -> None:
    policy = QuotaPolicy(name="p", quota=100, window=timedelta(hours=1), strategy=strategy)
    taken: list[int] = []

    for callers in (100, 20_000):
        store = MemoryRateLimitStore(clock=ManualClock())
        for number in range(callers):
            store.acquire_nowait([Demand(policy, f"caller-{number}")])
        demand = [Demand(policy, "caller-50")]
        taken.append(steps(lambda store=store, demand=demand: store.acquire_nowait(demand)))

    assert taken[0] == taken[1]
