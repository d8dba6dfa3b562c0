"""The generic cell rate algorithm: a leaky bucket, as a meter, that is one number for each caller.

The number is the theoretical arrival time: when a caller who used that much would have everything
back. Times are nanoseconds from any start, and everything is whole numbers, so that nothing drifts.
"""

from fastapi_baseline.rate_limiting.policies import QuotaPolicy

LONGEST_DEBT = 2**52
"""The nanoseconds (52 days) that it takes at most until a caller who was charged too much has
everything back, if that is more than twice the time for what may be used at once."""


def get_wait(policy: QuotaPolicy, after: int, cost: int) -> int:
    """Return how long to wait until the cost is granted: 0 if it is now.

    `after` is how far ahead of now the arrival time would be then.
    """
    if after <= policy.tolerance:
        return 0
    if cost > policy.capacity:
        return policy.window_us * 1000
    return after - policy.tolerance


def get_remaining(policy: QuotaPolicy, ahead: int) -> int:
    """Return how much may be used now, when the arrival time is `ahead` of it."""
    if ahead >= policy.tolerance:
        return 0
    return (policy.tolerance - ahead) // policy.emission_interval


def charge(policy: QuotaPolicy, ahead: int, cost: int) -> int:
    """Return how far ahead of now the arrival time is after a cost that is not asked about.

    It is negative if something is given back.
    """
    after = ahead + policy.emission_interval * cost
    return max(0, min(after, max(2 * policy.tolerance, LONGEST_DEBT)))
