"""Where it is counted what callers have used."""

from collections.abc import Sequence
from typing import Protocol

from fastapi_baseline.rate_limiting.decisions import Decision, Demand


class RateLimitStore(Protocol):
    """The counters of all policies.

    Each method is atomic. The demands of one call name each counter once. A store that does not
    answer raises an `UnavailableError`.
    """

    async def acquire(self, demands: Sequence[Demand]) -> Decision:
        """Take from all policies, or from none if one of them refuses.

        A policy in shadow mode does not refuse, and is taken from if it would not.

        Raises:
            ValueError: If a cost is negative.
        """
        ...

    async def peek(self, demands: Sequence[Demand]) -> Decision:
        """Return what `acquire` would, and take nothing: what remains includes the costs."""
        ...

    async def charge(self, demands: Sequence[Demand]) -> None:
        """Take from all policies, also more than is left: for costs that are known afterwards."""
        ...

    async def refund(self, demands: Sequence[Demand]) -> None:
        """Give back what was taken, up to the full quota."""
        ...

    async def forget(self, demands: Sequence[Demand]) -> None:
        """Let the callers start anew, whatever the costs."""
        ...
