from dataclasses import replace
from datetime import timedelta

import pytest

from fastapi_baseline.rate_limiting.decisions import (
    Decision,
    PolicyOutcome,
    refuse_negative_cost,
)
from fastapi_baseline.rate_limiting.policies import QuotaPolicy

ZERO = timedelta(0)


def test_names_the_policies_that_refuse_and_those_that_would() -> None:
    policy = QuotaPolicy(name="p", quota=1, window=timedelta(seconds=1))
    shadow = replace(policy, name="shadow", shadow=True)
    outcomes = tuple(
        PolicyOutcome(each, allowed=allowed, remaining=0, reset=ZERO, retry_after=ZERO)
        for each in (policy, shadow)
        for allowed in (True, False)
    )

    decision = Decision(allowed=False, outcomes=outcomes, retry_after=ZERO, source="local")

    assert decision.violated == (policy,)
    assert decision.shadowed == (shadow,)


def test_says_what_is_wrong_with_a_cost() -> None:
    with pytest.raises(ValueError, match="A cost is not negative: -1"):
        refuse_negative_cost(-1)
