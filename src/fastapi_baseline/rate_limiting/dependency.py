"""What asks the limits of a route, once it is known who sent the request."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from fastapi_baseline.rate_limiting.decisions import Decision, Demand
from fastapi_baseline.rate_limiting.declarations import takes_argument
from fastapi_baseline.rate_limiting.demands import Callers, LimitUse, Wanted, collect
from fastapi_baseline.rate_limiting.errors import RateLimitUnavailableError
from fastapi_baseline.rate_limiting.exchange import LimitedExchange, exchange_of
from fastapi_baseline.rate_limiting.keys import digest, get_caller, text_of
from fastapi_baseline.rate_limiting.problems import answer_refusals


class PlainLimits:
    """Limits for which nothing but one key has to be found out, as most are: asked in less time."""

    def __init__(self, uses: Sequence[LimitUse], key_function: Callable[..., Any]) -> None:
        """Count by `key_function`."""
        self.owner = uses[0].declaration.owner
        self._key_function = key_function
        self._takes_request = takes_argument(key_function)
        unique = {
            (rule.policy.name, use.what): (rule, use) for use in uses for rule in use.rules or ()
        }
        self._rules = [(rule, use, rule.policy, f":{use.what}") for rule, use in unique.values()]

    @classmethod
    def find(cls, uses: Sequence[LimitUse]) -> "PlainLimits | None":
        """Return limits that are plain, or `None` if they are not."""
        keys = {use.declaration.key_function for use in uses}
        owners = {use.declaration.owner for use in uses}
        if len(keys) != 1 or len(owners) != 1:
            return None
        key_function = keys.pop()
        if key_function is None and owners.pop().caller is None:
            key_function = get_caller
        is_plain = key_function and all(use.declaration.is_simple for use in uses)
        return cls(uses, key_function) if key_function and is_plain else None

    async def enforce(self, connection: HTTPConnection, exchange: LimitedExchange) -> None:
        """Take what a request needs from all policies, or from none.

        Raises:
            RateLimitExceeded: If it is above a limit (slowapi's error; status 429).
            RateLimitUnavailableError: If a limit that must hold cannot be checked.
        """
        if not self.owner.enabled:
            return
        key = self._key_function(connection) if self._takes_request else self._key_function()
        if not isinstance(key, str):
            if inspect.isawaitable(key):
                key = await key
            if key is None:
                return
            key = text_of(key)
        tag = f"{{{digest(key)}}}"
        demands = [Demand(policy, tag + what, use.cost) for _, use, policy, what in self._rules]
        if exchange.engine is not None and exchange.engine.is_local:
            # Not awaited: that takes as long as the decision.
            decision = exchange.acquire_nowait(demands)
        else:
            decision = await exchange.acquire(demands)
        if not decision.allowed:
            wanted = [
                Wanted(demand, rule, use, key)
                for demand, (rule, use, _, _) in zip(demands, self._rules, strict=True)
            ]
            raise _refusal(connection, wanted, decision)


class RouteLimits:
    """A dependency: refuse a request that is above one of the limits of its route.

    It comes after the other dependencies of a route, so it knows who is asking, and whoever may not
    enter uses nothing up. Whatever a limiter's `caller` needs is resolved before.
    """

    def __init__(
        self, uses: Sequence[LimitUse], *, filters: Sequence[Callable[[], bool]] = ()
    ) -> None:
        """Enforce `uses`, unless one of the `filters` says that a request is not limited."""
        self.uses = tuple(uses)
        self._filters = filters
        self._callers: dict[Callable[..., Any], str] = {}
        for use in uses:
            caller = use.declaration.owner.caller
            if caller is not None:
                self._callers.setdefault(caller, f"caller_{len(self._callers)}")
        self._plain = PlainLimits.find(uses)
        # FastAPI reads what a dependency needs from its signature.
        self.__signature__ = signature_of(self._callers)

    async def __call__(self, connection: HTTPConnection, **solved: Any) -> None:
        """Use up what the request needs.

        Raises:
            RateLimitExceeded: If it is above a limit (slowapi's error; status 429).
            RateLimitUnavailableError: If a limit that must hold cannot be checked.
            ConfigurationError: If the application has no `RateLimitMiddleware`.
        """
        exchange = exchange_of(connection)
        exchange.is_checked = True
        if exchange.engine is None or (self._filters and any(skips() for skips in self._filters)):
            return
        if self._plain is not None:
            await self._plain.enforce(connection, exchange)
            return
        callers = {caller: solved[name] for caller, name in self._callers.items()}
        await enforce(connection, exchange, self.uses, callers=callers)


async def enforce(
    connection: HTTPConnection,
    exchange: LimitedExchange,
    uses: Sequence[LimitUse],
    *,
    callers: Callers,
) -> None:
    """Take what a request needs from all policies, or from none.

    Raises:
        RateLimitExceeded: If it is above a limit (slowapi's error; status 429).
        RateLimitUnavailableError: If a limit that must hold cannot be checked.
    """
    wanted = await collect(connection, uses, callers)
    if not wanted:
        return
    decision = await exchange.acquire([one.demand for one in wanted])
    if not decision.allowed:
        raise _refusal(connection, wanted, decision)
    for one in wanted:
        counts = one.use.declaration.count_if
        if counts is not None:
            exchange.undecided.append((one.demand, counts, decision))


def _refusal(connection: HTTPConnection, wanted: Sequence[Wanted], decision: Decision) -> Exception:
    if decision.source == "closed":
        answer_refusals(connection.scope, RateLimitUnavailableError)
        return RateLimitUnavailableError(retry_after=decision.retry_after)
    first = next(
        one
        for one, outcome in zip(wanted, decision.outcomes, strict=True)
        if not outcome.allowed and not outcome.policy.shadow
    )
    return first.use.declaration.owner.refuse(
        first.rule.limit,
        decision=decision,
        connection=connection,
        args=(first.caller, first.use.place),
    )


def signature_of(callers: Mapping[Callable[..., Any], str]) -> inspect.Signature:
    """Return what FastAPI resolves before limits are asked: the dependencies that know callers."""
    needs: dict[str, Any] = {"connection": HTTPConnection}
    needs |= {name: Annotated[Any, Depends(caller)] for caller, name in callers.items()}
    return inspect.Signature(
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
            for name, annotation in needs.items()
        ]
    )
