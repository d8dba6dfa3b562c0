"""The routes of an application, and what each says of those who may use it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRouter, iter_route_contexts
from starlette.routing import BaseRoute, Host, Mount

from fastapi_baseline.access import decides_access, is_public
from fastapi_baseline.auth.dependencies import get_principal
from fastapi_baseline.auth.guards import RequireRoles, RequireScopes
from fastapi_baseline.auth.step_up import RequireRecentAuth

_OF_FRAMEWORK = "fastapi.applications"
"""Where the functions are that answer with the OpenAPI document and its pages."""


@dataclass(frozen=True, slots=True)
class RouteName:
    """A route, as people find it again: its methods, its path, and what answers there."""

    methods: tuple[str, ...]
    path: str
    endpoint: str

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{','.join(self.methods) or 'WEBSOCKET'} {self.path} ({self.endpoint})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRoute:
    """A route, and what it says of access."""

    name: RouteName
    calls: tuple[object, ...]
    """The dependencies that are called before it answers, also those of dependencies."""
    is_guarded: bool
    """Whether something lets some in and others not."""
    is_public: bool
    """Whether it is marked as meant for everybody."""
    is_mounted: bool
    asks_who: bool = False
    """Whether it asks who is asking, and not only something else, such as where from."""
    unread_scopes: tuple[str, ...] = ()
    """Scopes that were given to `Security`, and that none of its dependencies reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What holds for all routes of one application."""

    prefix: str = ""
    is_guarded: bool = False
    is_public: bool = False
    is_mounted: bool = False


_TOP = _Place()


def access_routes_of(app: Any) -> Iterator[AccessRoute]:
    """Yield all routes of an application, also those of its routers, mounts and frontends.

    An application that is mounted and has no routes is one. The OpenAPI document is none, and nor
    are its pages: who may see them is a setting.
    """
    return _routes_in(app, _TOP)


def mounted_apps_of(app: Any) -> Iterator[Any]:
    """Yield all applications with routes that are mounted in one, at any depth."""
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, Mount | Host):
            mounted = _without_layers(context.original_route)
            if hasattr(mounted, "routes"):
                yield mounted
                yield from mounted_apps_of(mounted)


def _routes_in(app: Any, place: _Place) -> Iterator[AccessRoute]:
    for context in iter_route_contexts(app.routes):
        original: Any = context.original_route
        if isinstance(original, Mount | Host):
            path = (context.path or "") if isinstance(original, Mount) else ""
            yield from _routes_of_mount(original, path, place)
        elif getattr(context.endpoint, "__module__", None) != _OF_FRAMEWORK:
            yield _describe(context, original, place)
    router = getattr(app, "router", None)
    if isinstance(router, APIRouter):
        # Nothing public names the frontends that an application serves.
        for frontend in router._iter_low_priority_routes():  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] -- see above
            original: Any = getattr(frontend, "original_route", frontend)
            yield _describe(frontend, original, place)


def _routes_of_mount(mount: Mount | Host, path: str, place: _Place) -> Iterator[AccessRoute]:
    mounted = _without_layers(mount)
    found = (mounted, mount.app)
    below = _Place(
        prefix=f"{place.prefix}{path}",
        is_guarded=place.is_guarded or any(decides_access(one) for one in found),
        is_public=place.is_public or any(is_public(one) for one in found),
        is_mounted=True,
    )
    if hasattr(mounted, "routes"):
        yield from _routes_in(mounted, below)
    else:
        yield AccessRoute(
            name=RouteName(("*",), f"{below.prefix}/*", _name_of(mounted)),
            calls=(),
            is_guarded=below.is_guarded,
            is_public=below.is_public,
            is_mounted=True,
        )


def _describe(route: Any, original: BaseRoute, place: _Place) -> AccessRoute:
    endpoint = getattr(route, "endpoint", None) or original
    dependant = getattr(route, "dependant", None)
    dependants = tuple(_walk(dependant)) if isinstance(dependant, Dependant) else ()
    calls = tuple(one.call for one in dependants)
    marked = (original, endpoint, *calls)
    return AccessRoute(
        name=RouteName(_methods_of(route), _path_of(route, original, place), _name_of(endpoint)),
        calls=calls,
        is_guarded=place.is_guarded or any(decides_access(one) for one in marked),
        is_public=place.is_public or any(is_public(one) for one in marked),
        is_mounted=place.is_mounted,
        asks_who=any(asks_who(call) for call in calls),
        unread_scopes=tuple(_unread_scopes(dependants)),
    )


def asks_who(call: object) -> bool:
    """Return whether a dependency refuses who does not say who is asking."""
    return call is get_principal or isinstance(
        call, RequireScopes | RequireRoles | RequireRecentAuth
    )


def _walk(dependant: Dependant) -> Iterator[Dependant]:
    """Yield what a route depends on, but not the route itself."""
    for one in dependant.dependencies:
        yield one
        yield from _walk(one)


def _unread_scopes(dependants: Iterable[Dependant]) -> Iterator[str]:
    for dependant in dependants:
        below = (dependant, *_walk(dependant))
        is_ours = any(decides_access(one.call) for one in below)
        if is_ours and not any(one.security_scopes_param_name for one in below):
            yield from dependant.own_oauth_scopes or ()


def _without_layers(mount: Mount | Host) -> Any:
    """Return what is mounted, without what the mount has put around it."""
    return getattr(mount, "_base_app", mount.app)


def _methods_of(route: Any) -> tuple[str, ...]:
    return tuple(sorted(getattr(route, "methods", None) or ()))


def _path_of(route: Any, original: BaseRoute, place: _Place) -> str:
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    # One route stands for all frontends of a router.
    frontends: Sequence[Any] = getattr(original, "routes", ())
    path = path or " ".join(one.path for one in frontends)
    return f"{place.prefix}{getattr(route, 'frontend_prefix', '')}{path}"


def _name_of(endpoint: Any) -> str:
    while isinstance(endpoint, partial):
        endpoint = endpoint.func
    # A function has a name of its own; of an object, its class says what it is.
    named: Any = endpoint if hasattr(endpoint, "__qualname__") else endpoint.__class__
    return f"{named.__module__}.{named.__qualname__}"
