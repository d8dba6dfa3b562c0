"""The limiter that routes declare their limits with: a `slowapi.Limiter` with an engine of ours."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, Unpack

from starlette.requests import HTTPConnection

from fastapi_baseline.rate_limiting.concurrent_requests import ConcurrentRequests
from fastapi_baseline.rate_limiting.declarations import Declaration, declare, exempt
from fastapi_baseline.rate_limiting.exchange import exchange_of
from fastapi_baseline.rate_limiting.requirement import RequiredLimits
from fastapi_baseline.rate_limiting.slowapi_limiter import (
    DeclaringLimiter,
    LimitOptions,
    LimitProvider,
    StandardOptions,
)

Function = TypeVar("Function", bound=Callable[..., Any])


class RateLimiter(DeclaringLimiter):
    """What limits are declared with, as slowapi's `Limiter` does it.

        limiter = RateLimiter()
        app.state.limiter = limiter

        @app.get("/reports")
        @limiter.limit("100/minute")
        async def list_reports() -> list[str]: ...

    The decorators mark a function and return it; it needs no `request`. What enforces the limits
    comes with `create_app()` and `install()`, after the dependencies of a route, so that it knows
    who is asking. Counters are in Redis if there is one (`REDIS_URL`), or in the process.

    What else slowapi takes is taken and has no meaning: where and how it would store and configure
    itself, and `key_style`, since each route counts for itself, whatever stands in its path.
    """

    def limit(  # noqa: PLR0917 -- slowapi's
        self,
        limit_value: LimitProvider,
        key_func: Callable[..., Any] | None = None,
        per_method: bool = False,  # noqa: FBT001, FBT002 -- likewise
        methods: Sequence[str] | None = None,
        error_message: str | Callable[[], str] | None = None,
        exempt_when: Callable[..., Any] | None = None,
        cost: int | Callable[..., Any] = 1,
        override_defaults: bool = True,  # noqa: FBT001, FBT002 -- likewise
        **options: Unpack[LimitOptions],
    ) -> Callable[[Function], Function]:
        """Return a decorator that limits a route, and returns the same function.

        `limit_value`, `key_func`, `exempt_when` and `cost` may be functions of the request or of
        nothing, and may have to be awaited; one with a parameter `key` gets that of the request. A
        `key_func` that returns `None`, and a plan that has no text, are without a limit.

        `name` is what clients see, `burst` how much may be used at once. What `count_if` says no to,
        given the status of the response, is given back. `strategy`, `failure_mode` and `shadow` are
        those of the settings unless they say something else.

        Raises:
            ConfigurationError: If the limit is not understood.
        """
        standard: StandardOptions = {
            "per_method": per_method,
            "methods": methods,
            "error_message": error_message,
            "exempt_when": exempt_when,
            "cost": cost,
            "override_defaults": override_defaults,
        }
        return _decorator(
            self.make_declaration(
                limit_value, key_func=key_func, standard=standard, options=options
            )
        )

    def shared_limit(  # noqa: PLR0917 -- slowapi's
        self,
        limit_value: LimitProvider,
        scope: LimitProvider,
        key_func: Callable[..., Any] | None = None,
        error_message: str | Callable[[], str] | None = None,
        exempt_when: Callable[..., Any] | None = None,
        cost: int | Callable[..., Any] = 1,
        override_defaults: bool = True,  # noqa: FBT001, FBT002 -- likewise
        **options: Unpack[LimitOptions],
    ) -> Callable[[Function], Function]:
        """Return a decorator for routes that share a limit: those with the same `scope`.

        `scope` is a text or a function of the request; the rest is as for `limit`.

        Raises:
            ConfigurationError: If the limit is not understood.
        """
        standard: StandardOptions = {
            "error_message": error_message,
            "exempt_when": exempt_when,
            "cost": cost,
            "override_defaults": override_defaults,
        }
        is_named = isinstance(scope, str)
        named: LimitOptions = {"name": scope if is_named else None, **options}
        scope = f"shared:{scope}" if is_named else scope
        return _decorator(
            self.make_declaration(
                limit_value, key_func=key_func, scope=scope, standard=standard, options=named
            )
        )

    def exempt(self, obj: Function) -> Function:
        """Mark a function as one that has no limits, and return it.

        Limits on all requests of an address or an API key hold for it, too.
        """
        return exempt(obj)

    def require(
        self,
        limit_value: LimitProvider,
        *,
        key: Callable[..., Any] | None = None,
        cost: int | Callable[..., Any] = 1,
        **options: Unpack[LimitOptions],
    ) -> RequiredLimits:
        """Return a dependency that checks a limit in the place where it stands.

            dependencies=[Depends(limiter.require("5/minute")), Depends(get_user)]

        It is besides the limits of the route; `options` are those of `limit`.

        Raises:
            ConfigurationError: If the limit is not understood.
        """
        declaration = self.make_declaration(
            limit_value, key_func=key, standard={"cost": cost}, options=options
        )
        return RequiredLimits(declaration)

    def concurrent(
        self, quota: int, *, key: Callable[..., Any] | None = None, **options: Any
    ) -> ConcurrentRequests:
        """Return a dependency that lets `quota` requests of a caller be answered at once.

        `options` are those of `ConcurrentRequests`.

        Raises:
            ConfigurationError: If no limit has such values.
        """
        return ConcurrentRequests(quota, owner=self, key=key or self.key_function, **options)

    async def refund(self, request: HTTPConnection, cost: int | None = None) -> None:
        """Give back what the limits of the route took for a request, or only `cost` of it.

        Raises:
            ConfigurationError: If the application has no `RateLimitMiddleware`.
        """
        await exchange_of(request).refund(cost)

    async def charge(self, request: HTTPConnection, cost: int) -> None:
        """Take `cost` more for a request from the limits of its route, also if less is left.

        It is for what is known afterwards, such as the size of a result.

        Raises:
            ConfigurationError: If the application has no `RateLimitMiddleware`.
        """
        await exchange_of(request).charge(cost)


Limiter = RateLimiter
"""The name that slowapi has for it."""


def _decorator(declaration: Declaration) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        return declare(function, declaration)

    return decorate
