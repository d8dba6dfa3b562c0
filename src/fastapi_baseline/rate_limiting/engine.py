"""Decisions about requests: by the store that answers, and by the policies if none does."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import UnavailableError
from fastapi_baseline.rate_limiting.decisions import Decision, Demand, PolicyOutcome, Source
from fastapi_baseline.rate_limiting.memory import MemoryRateLimitStore
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.rate_limiting.refusals import RefusalCache
from fastapi_baseline.rate_limiting.shares import LocalShares
from fastapi_baseline.rate_limiting.store import RateLimitStore

CLOSED_RETRY_AFTER = timedelta(seconds=1)
"""What callers are told to wait while a `closed` policy cannot be asked."""

_ZERO = timedelta(0)
_MAX_REFUSALS = 10_000


class RateLimitEngine:
    """What decides whether a request is within its limits.

    It asks the shared store, once for all demands of a request, and remembers for a few seconds who
    was refused. While the store does not answer, each policy's failure mode says what holds.
    Without a shared store, the memory of this process decides.
    """

    def __init__(
        self,
        *,
        local: MemoryRateLimitStore,
        shared: RateLimitStore | None = None,
        instances: int = 1,
        clock: Clock | None = None,
        on_decision: Callable[[Decision], None] | None = None,
    ) -> None:
        """Ask `shared`, and without it count in `local`, each of `instances` its part.

        Raises:
            ValueError: If there are no instances.
        """
        self._local = local
        self._shared = shared
        # Without a shared store, nobody else counts.
        self._shares = LocalShares(instances if shared is not None else 1)
        self._on_decision = on_decision
        self._refusals = RefusalCache(clock=clock or SystemClock(), max_entries=_MAX_REFUSALS)

    @property
    def is_local(self) -> bool:
        """Whether there is no shared store, so that `acquire_nowait` says the same as `acquire`."""
        return self._shared is None

    async def acquire(self, demands: Sequence[Demand]) -> Decision:
        """Take from all policies, or from none if one of them refuses; `on_decision` is told.

        Raises:
            ValueError: If a cost is negative.
        """
        shared = self._shared
        if shared is None:
            return self.acquire_nowait(demands)
        decision = self._refusals.find(demands)
        if decision is None:
            try:
                decision = await shared.acquire(demands)
            except UnavailableError:
                decision = self._fall_back(demands, self._local.acquire_nowait)
            else:
                if not decision.allowed:
                    self._refusals.put(demands, decision)
        if self._on_decision is not None:
            self._on_decision(decision)
        return decision

    def acquire_nowait(self, demands: Sequence[Demand]) -> Decision:
        """Decide by the memory of this process, as `acquire` does without a shared store.

        Raises:
            ValueError: If a cost is negative.
        """
        decision = self._local.acquire_nowait(demands)
        if self._on_decision is not None:
            self._on_decision(decision)
        return decision

    async def peek(self, demands: Sequence[Demand]) -> Decision:
        """Return what `acquire` would, and what remains before it; nobody is told.

        Raises:
            ValueError: If a cost is negative.
        """
        if self._shared is None:
            return self._local.peek_nowait(demands)
        try:
            return await self._shared.peek(demands)
        except UnavailableError:
            return self._fall_back(demands, self._local.peek_nowait)

    async def charge(self, demands: Sequence[Demand], *, source: Source | None = None) -> None:
        """Take also more than is left, where a decision's `source` took; for costs known later.

        If the shared store does not answer, the memory of this process is charged.
        """
        if self._shared is not None and source in {None, "redis"}:
            try:
                await self._shared.charge(demands)
            except UnavailableError:
                pass
            else:
                return
        if source not in {"open", "closed"}:
            await self._local.charge(self._shares.apply(demands))

    async def refund(self, demands: Sequence[Demand], *, source: Source | None = None) -> None:
        """Give back, to where a decision's `source` took it, up to the full quota.

        If the shared store does not answer, nothing is given back: better too little than too much.
        """
        self._refusals.drop(demands)
        if self._shared is not None and source in {None, "redis"}:
            try:
                await self._shared.refund(demands)
            except UnavailableError:
                return
        elif source not in {"open", "closed"}:
            await self._local.refund(self._shares.apply(demands))

    async def forget(self, demands: Sequence[Demand]) -> None:
        """Let the callers start anew, whatever the costs.

        Other processes may remember a refusal for some seconds.

        Raises:
            UnavailableError: If the shared store does not answer.
        """
        self._refusals.drop(demands)
        await self._local.forget(demands)
        if self._shared is not None:
            await self._shared.forget(demands)

    def _fall_back(
        self, demands: Sequence[Demand], decide: Callable[[Sequence[Demand]], Decision]
    ) -> Decision:
        """Decide without the shared store: nothing is taken if a `closed` policy refuses."""
        modes = {each.policy.failure_mode for each in demands if not each.policy.shadow}
        is_closed = "closed" in modes
        local = [demand for demand in demands if demand.policy.failure_mode == "local"]
        judge = self._local.peek_nowait if is_closed else decide
        decision = judge(self._shares.apply(local))
        outcomes_of_local = iter(decision.outcomes)
        outcomes = tuple(
            next(outcomes_of_local)._replace(policy=demand.policy)
            if demand.policy.failure_mode == "local"
            else _get_fixed_outcome(demand.policy)
            for demand in demands
        )
        if is_closed:
            wait = max(CLOSED_RETRY_AFTER, decision.retry_after)
            return Decision(not is_closed, outcomes, wait, "closed")
        return decision._replace(outcomes=outcomes, source="local" if local else "open")


def _get_fixed_outcome(policy: QuotaPolicy) -> PolicyOutcome:
    is_open = policy.failure_mode == "open"
    wait = _ZERO if is_open else CLOSED_RETRY_AFTER
    return PolicyOutcome(policy, is_open, policy.capacity if is_open else 0, wait, wait)
