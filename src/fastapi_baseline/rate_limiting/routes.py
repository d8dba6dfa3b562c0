"""The routes of an application, and what is attached to them.

FastAPI resolves the dependencies of a router before those of a route. So that limits come after
whatever finds out who is asking, they are attached to the end of what each route depends on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.requests import Request
from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from fastapi_baseline.rate_limiting.dependency import RouteLimits
from fastapi_baseline.rate_limiting.requirement import describe_place


@dataclass(frozen=True, slots=True)
class RouteEndpoint:
    """A route that has an endpoint, with the prefixes of whatever it is in."""

    place: str
    """What counts for itself: its methods and its template."""
    path: str
    methods: frozenset[str]
    endpoint: Any
    route: Any
    """What the framework asks for requests: where an attachment has an effect."""
    dependant: Dependant | None
    """`None` if it is no route of FastAPI's, and so has no dependencies."""
    is_mounted: bool

    @property
    def identity(self) -> object:
        """What tells the route apart from others: what `find_identity` finds for its requests."""
        return self.endpoint if self.dependant is None else self.dependant

    def attach(self, limits: RouteLimits) -> None:
        """Have limits asked for each request, in the place of what was attached before."""
        if self.dependant is not None:
            attach(self.dependant, limits)
        elif isinstance(self.route.app, LimitedApp):
            self.route.app.limits = limits
        else:
            self.route.app = LimitedApp(self.route.app, limits)


class LimitedApp:
    """A route that is no route of FastAPI's, whose limits are asked before it."""

    def __init__(self, app: ASGIApp, limits: RouteLimits) -> None:
        """Ask `limits` before `app`."""
        self.app = app
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            await self.limits(Request(scope, receive, send))
        else:
            await self.limits(WebSocket(scope, receive, send))
        await self.app(scope, receive, send)


def endpoints_of(routes: Sequence[BaseRoute], *, prefix: str = "") -> Iterator[RouteEndpoint]:
    """Yield all routes that have an endpoint, also those of routers and mounted applications."""
    for context in iter_route_contexts(routes):
        original: Any = context.original_route
        if isinstance(original, Mount | Host):
            path = (context.path or "") if isinstance(original, Mount) else ""
            yield from endpoints_of(original.routes, prefix=f"{prefix}{path}")
        elif context.endpoint is not None:
            yield _endpoint_of(context, prefix)


def attach(dependant: Dependant, limits: RouteLimits) -> None:
    """Have a dependency resolved after all others that a route has."""
    kept = [one for one in dependant.dependencies if not isinstance(one.call, RouteLimits)]
    # With a scope, the framework need not find out for each request which one it has.
    asked = get_dependant(path=dependant.path or "", call=limits, scope="function")
    # In place: what handles requests has this list.
    dependant.dependencies[:] = [*kept, asked]


def is_attached(dependant: Dependant) -> bool:
    """Return whether limits are asked for a route."""
    return any(isinstance(one.call, RouteLimits) for one in dependant.dependencies)


def find_identity(scope: Scope) -> object | None:
    """Return what tells the route of a request apart from others, or `None` if it has none.

    That is what it depends on, as far as it is one of FastAPI's, or its endpoint.
    """
    effective = scope.get("fastapi", {}).get("effective_route_context")
    for found in (getattr(effective, "starlette_route", None), effective, scope.get("route")):
        dependant = getattr(found, "dependant", None)
        if dependant is not None:
            return dependant
    return scope.get("endpoint")


def _endpoint_of(context: RouteContext, prefix: str) -> RouteEndpoint:
    path = f"{prefix}{context.path_format or context.path or ''}"
    dependant = getattr(context, "dependant", None)
    return RouteEndpoint(
        place=describe_place(context.methods, path),
        path=path,
        methods=frozenset(context.methods or ()),
        endpoint=context.endpoint,
        route=_effective_of(context),
        dependant=dependant if isinstance(dependant, Dependant) else None,
        is_mounted=bool(prefix),
    )


def _effective_of(context: RouteContext) -> Any:
    """Return the route that is asked: one of Starlette's is made anew where it is included."""
    effective: Any = context._effective_route  # pyright: ignore[reportPrivateUsage] # noqa: SLF001 -- nothing public says which it is
    return effective if isinstance(effective, Route | WebSocketRoute) else context.original_route
