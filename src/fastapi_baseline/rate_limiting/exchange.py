"""One request, as the layer around the application and what limits its route share it."""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import Scope

from fastapi_baseline import context
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting.concurrency import ConcurrencyDecision, ConcurrencyLimiter
from fastapi_baseline.rate_limiting.decisions import Decision, Demand
from fastapi_baseline.rate_limiting.declarations import PolicyDefaults
from fastapi_baseline.rate_limiting.engine import RateLimitEngine

SCOPE_KEY = "fastapi_baseline.rate_limits"

StatusCondition = Callable[[int], bool]


class LimitedExchange:
    """What the limits have said to one request, and what they took for it.

    `engine` is `None` where there are no limits.
    """

    __slots__ = (
        "concurrency",
        "decisions",
        "defaults",
        "engine",
        "is_checked",
        "places",
        "taken",
        "undecided",
    )

    def __init__(
        self,
        engine: RateLimitEngine | None,
        defaults: PolicyDefaults,
        concurrency: ConcurrencyLimiter | None = None,
    ) -> None:
        """Begin with nothing."""
        self.engine = engine
        self.concurrency = concurrency
        self.places: list[ConcurrencyDecision] = []
        self.defaults = defaults
        self.decisions: list[Decision] = []
        self.taken: list[tuple[Sequence[Demand], Decision]] = []
        self.undecided: list[tuple[Demand, StatusCondition, Decision]] = []
        """What is given back if the status of the response does not count."""
        self.is_checked = False
        """Whether the limits of the route have been asked."""

    async def acquire(self, demands: Sequence[Demand]) -> Decision:
        """Ask for all demands, remember what is said, and note it for the access log."""
        engine = self.engine
        assert engine is not None  # noqa: S101 -- who has demands has looked
        if engine.is_local:
            return self.acquire_nowait(demands)
        return self._remember(demands, await engine.acquire(demands))

    def acquire_nowait(self, demands: Sequence[Demand]) -> Decision:
        """Do what `acquire` does, without being awaited, where the engine is local."""
        assert self.engine is not None  # noqa: S101 -- as above
        return self._remember(demands, self.engine.acquire_nowait(demands))

    def _remember(self, demands: Sequence[Demand], decision: Decision) -> Decision:
        self.decisions.append(decision)
        if decision.allowed:
            self.taken.append((demands, decision))
        for outcome in decision.outcomes:
            if not outcome.allowed:
                note(decision)
                break
        return decision

    async def refund(self, cost: int | None) -> None:
        """Give back what the route's limits took, or only `cost` of it."""
        if self.engine is None:
            return
        for demands, decision in self.taken:
            given = [one if cost is None else one._replace(cost=cost) for one in demands]
            await self.engine.refund(given, source=decision.source)

    async def charge(self, cost: int) -> None:
        """Take `cost` more from the route's limits, also if less is left."""
        if self.engine is None:
            return
        for demands, decision in self.taken:
            more = [one._replace(cost=cost) for one in demands]
            await self.engine.charge(more, source=decision.source)

    async def settle(self, status: int) -> None:
        """Give back what does not count, once it is known how the request ended."""
        undecided, self.undecided = self.undecided, []
        if self.engine is None:
            return
        for demand, counts, decision in undecided:
            if not counts(status):
                await self.engine.refund([demand], source=decision.source)


def note(decision: Decision) -> None:
    """Say in the access log what became of a request that was above a limit."""
    current = context.current()
    if current is None:
        return
    if decision.allowed:
        outcome = "shadow"
    else:
        outcome = "unavailable" if decision.source == "closed" else "refused"
    current.fields["rate_limit"] = outcome


def find_exchange(scope: Scope) -> LimitedExchange | None:
    """Return what is known of a request's limits, or `None` without the layer that knows it."""
    found: Any = scope.get(SCOPE_KEY)
    return found if isinstance(found, LimitedExchange) else None


def exchange_of(connection: HTTPConnection) -> LimitedExchange:
    """Return what is known of a request's limits.

    Raises:
        ConfigurationError: If the application has no `RateLimitMiddleware`.
    """
    exchange = find_exchange(connection.scope)
    if exchange is None:
        raise ConfigurationError(
            "A limited route needs RateLimitMiddleware around the application, which create_app() "
            "and install() add."
        )
    return exchange
