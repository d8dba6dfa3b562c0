"""What is asked of the limits, and what they answer."""

from datetime import timedelta
from typing import Literal, NamedTuple, NoReturn

from fastapi_baseline.rate_limiting.policies import QuotaPolicy

Source = Literal["redis", "local", "open", "closed"]
"""Who decided: the shared store, the memory of this process, or a failure mode."""


# Tuples, since a request makes several: a frozen dataclass takes four times as long to make.
class Demand(NamedTuple):
    """A wish to use something of what a policy grants to whoever `key` stands for.

    What a policy has granted is counted for its name and the key together. The key is opaque, says
    nothing that is secret, and needs no prefix. In Redis Cluster, the demands of one request have
    to share a hash tag: `{caller}:what`; a key without braces is its own tag.

    A `cost` above the capacity of the policy is never granted.
    """

    policy: QuotaPolicy
    key: str
    cost: int = 1


class PolicyOutcome(NamedTuple):
    """What one policy says to one demand.

    `remaining` is what is left after the decision, `reset` the time until everything is back, and
    `retry_after` the time until this demand would be granted: zero if it is. A cost that is above
    the capacity has to wait for the whole window, and is refused then, too.
    """

    policy: QuotaPolicy
    allowed: bool
    remaining: int
    reset: timedelta
    retry_after: timedelta


class Decision(NamedTuple):
    """What all policies together say: a request takes from each of them, or from none.

    `outcomes` has the order of the demands. `retry_after` is zero if the request is allowed.
    """

    allowed: bool
    outcomes: tuple[PolicyOutcome, ...]
    retry_after: timedelta
    source: Source

    @property
    def violated(self) -> tuple[QuotaPolicy, ...]:
        """The policies that refuse the request."""
        return tuple(
            outcome.policy
            for outcome in self.outcomes
            if not outcome.allowed and not outcome.policy.shadow
        )

    @property
    def shadowed(self) -> tuple[QuotaPolicy, ...]:
        """The policies that would refuse the request if they were not in shadow mode."""
        return tuple(
            outcome.policy
            for outcome in self.outcomes
            if not outcome.allowed and outcome.policy.shadow
        )


def refuse_negative_cost(cost: int) -> NoReturn:
    """Say that what is used is not negative: a caller could give itself more than the quota.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"A cost is not negative: {cost}")
