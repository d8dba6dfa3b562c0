"""How many requests of a caller a route works on at once."""

from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from typing import Any

from starlette.requests import HTTPConnection

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting.concurrency import (
    ConcurrencyLimitExceededError,
    ConcurrencyPolicy,
)
from fastapi_baseline.rate_limiting.declarations import LimitOwner
from fastapi_baseline.rate_limiting.demands import find_caller
from fastapi_baseline.rate_limiting.dependency import signature_of
from fastapi_baseline.rate_limiting.errors import RateLimitUnavailableError
from fastapi_baseline.rate_limiting.exchange import exchange_of
from fastapi_baseline.rate_limiting.keys import digest
from fastapi_baseline.rate_limiting.policies import FailureMode
from fastapi_baseline.rate_limiting.requirement import place_of

_LEASE = timedelta(minutes=1)


class ConcurrentRequests:
    """A dependency: refuse a request while as many others of its caller are being answered.

    A request has its place until its response has been sent. Each route counts for itself.
    """

    def __init__(
        self,
        quota: int,
        *,
        owner: LimitOwner,
        key: Callable[..., Any] | None = None,
        name: str = "concurrent-requests",
        lease: timedelta = _LEASE,
        failure_mode: FailureMode | None = None,
        shadow: bool = False,
    ) -> None:
        """Allow `quota` at once, by `key` or by whoever a limiter, the `owner`, says is asking.

        Raises:
            ConfigurationError: If no limit has such values.
        """
        try:
            self._policy = ConcurrencyPolicy(
                name=name,
                quota=quota,
                lease=lease,
                failure_mode=failure_mode or "local",
                shadow=shadow,
            )
        except ValueError as error:
            raise ConfigurationError(f"No limit can be like this: {error}") from error
        self._key_function = key
        self._owner = owner
        self._callers = {} if owner.caller is None else {owner.caller: "caller"}
        self.__signature__ = signature_of(self._callers)

    async def __call__(self, connection: HTTPConnection, **solved: Any) -> AsyncGenerator[None]:
        """Have a place while the request is answered.

        Raises:
            ConcurrencyLimitExceededError: If there is none.
            RateLimitUnavailableError: If nobody can tell, and the limit must hold.
            ConfigurationError: If the application has no `RateLimitMiddleware`.
        """
        exchange = exchange_of(connection)
        limiter = exchange.concurrency if self._owner.enabled else None
        callers = {caller: solved[name] for caller, name in self._callers.items()}
        found = await find_caller(
            connection, key_function=self._key_function, owner=self._owner, callers=callers
        )
        if limiter is None or found is None:
            yield
            return
        key = f"{found[1]}:{digest(place_of(connection.scope))}"
        decision = await limiter.acquire(self._policy, key)
        exchange.places.append(decision)
        if not decision.allowed:
            if decision.source == "closed":
                raise RateLimitUnavailableError(retry_after=decision.retry_after)
            raise ConcurrencyLimitExceededError(retry_after=decision.retry_after)
        try:
            yield
        finally:
            await limiter.release(decision.lease)
