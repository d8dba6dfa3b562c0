"""A limit in the place where a route's dependencies name it."""

import inspect
from collections.abc import Collection
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import Scope

from fastapi_baseline.rate_limiting.declarations import Declaration
from fastapi_baseline.rate_limiting.demands import LimitUse
from fastapi_baseline.rate_limiting.dependency import enforce, signature_of
from fastapi_baseline.rate_limiting.exchange import exchange_of

_MOST_PLACES = 10_000


class RequiredLimits:
    """A dependency: refuse a request that is above one limit, before what comes after it.

    Each route counts for itself, also if a router has the dependency.
    """

    def __init__(self, declaration: Declaration) -> None:
        """Enforce what `declaration` says."""
        self.declaration = declaration
        caller = declaration.owner.caller
        self._callers = {} if caller is None else {caller: "caller"}
        self._uses: dict[str, LimitUse] = {}
        self.__signature__ = signature_of(self._callers)

    async def __call__(self, connection: HTTPConnection, **solved: Any) -> None:
        """Use up what the request needs.

        Raises:
            RateLimitExceeded: If it is above the limit (slowapi's error; status 429).
            RateLimitUnavailableError: If a limit that must hold cannot be checked.
            ConfigurationError: If the application has no `RateLimitMiddleware`.
        """
        exchange = exchange_of(connection)
        if exchange.engine is None:
            return
        place = place_of(connection.scope)
        use = self._uses.get(place)
        if use is None or use.defaults != exchange.defaults:
            use = LimitUse.of(self.declaration, place=place, defaults=exchange.defaults)
            if len(self._uses) < _MOST_PLACES:
                self._uses[place] = use
        callers = {caller: solved[name] for caller, name in self._callers.items()}
        await enforce(connection, exchange, [use], callers=callers)


def place_of(scope: Scope) -> str:
    """Return what counts for itself: the methods and the template of the route of a request."""
    effective = scope.get("fastapi", {}).get("effective_route_context")
    for found in (getattr(effective, "starlette_route", None), effective, scope.get("route")):
        path = getattr(found, "path_format", None)
        if path:
            methods = getattr(found, "methods", None)
            return describe_place(methods, f"{_mount_of(scope)}{path}")
    return describe_place(None, f"{_mount_of(scope)}{_name_of(scope.get('endpoint'))}")


def describe_place(methods: Collection[str] | None, path: str) -> str:
    """Return the name of a route by its methods and its template, the same in all processes."""
    return f"{','.join(sorted(methods)) if methods else 'WEBSOCKET'} {path}"


def _mount_of(scope: Scope) -> str:
    # Only a mount has set the first: the prefix of the whole application.
    before: str | None = scope.get("app_root_path")
    return "" if before is None else scope.get("root_path", "").removeprefix(before)


def _name_of(endpoint: object) -> str:
    """Return what a function is called, where nothing says which route it belongs to."""
    function = inspect.unwrap(endpoint) if callable(endpoint) else endpoint
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
