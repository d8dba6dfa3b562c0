"""The part of each limit that one process grants while it cannot ask what the others have."""

from collections.abc import Sequence
from dataclasses import replace

from fastapi_baseline.rate_limiting.decisions import Demand
from fastapi_baseline.rate_limiting.policies import QuotaPolicy

_MAX_POLICIES = 1_000


class LocalShares:
    """Policies whose quotas are divided among the instances of a service; none is divided to 0."""

    def __init__(self, instances: int) -> None:
        """Divide by the number of `instances`.

        Raises:
            ValueError: If there are none.
        """
        if instances < 1:
            raise ValueError(f"There is at least one instance, and not {instances}")
        self._instances = instances
        self._policies: dict[QuotaPolicy, QuotaPolicy] = {}

    def __len__(self) -> int:
        """Return how many policies are remembered."""
        return len(self._policies)

    def apply(self, demands: Sequence[Demand]) -> Sequence[Demand]:
        """Return the demands on the shares.

        What the whole quota could grant at once is all of a share if it is more.
        """
        if self._instances == 1:
            return demands
        shares = [self._get_share(demand.policy) for demand in demands]
        return [
            Demand(share, key, min(cost, share.capacity) if cost <= policy.capacity else cost)
            for share, (policy, key, cost) in zip(shares, demands, strict=True)
        ]

    def _get_share(self, policy: QuotaPolicy) -> QuotaPolicy:
        share = self._policies.get(policy)
        if share is None:
            # Plans may be made anew for each request.
            if len(self._policies) >= _MAX_POLICIES:
                self._policies.clear()
            share = self._policies[policy] = replace(
                policy,
                quota=_divide(policy.quota, self._instances),
                burst=policy.burst and _divide(policy.burst, self._instances),
            )
        return share


def _divide(amount: int, instances: int) -> int:
    return max(min(amount, 1), amount // instances)
