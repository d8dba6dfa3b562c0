"""Which route has answered a request, as its template: `/orders/{id}`."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, Mount, compile_path
from starlette.types import Scope

_REST = "/{path}"
_MOST_REMEMBERED = 1_000
_LONGEST_REMEMBERED = 200


def route_of(scope: Scope) -> str | None:
    """Return the template of the route that answered, or `None` without one.

    Prefixes of included routers and of mounted applications are part of it; what a mounted
    application does not know is `{path}`. Whatever is returned was written in code: nothing of what
    a client has sent is in it.
    """
    # The framework keeps the whole template for its telemetry; in `scope["route"]` is only the part
    # below the prefix of an included router, or below a mount.
    template: str | None = getattr(scope.get("fastapi.telemetry"), "route", None)
    if template is not None:
        return template
    template = _find_innermost(scope)
    # Only a mount has set this: the prefix of the whole application.
    before: str | None = scope.get("app_root_path")
    if before is None and (template is not None or "endpoint" not in scope):
        return template
    mounted = "" if before is None else scope["root_path"].removeprefix(before)
    place = _find_place(scope.get("router"), mounted, scope.get("endpoint"))
    if place is None:
        return None
    if template is None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        found = (one for one in place.paths if _compile(one)[0].match(path))
        template = next((_compile(one)[1] for one in found), _REST if mounted else None)
    return None if template is None else place.prefix + template


def _find_innermost(scope: Scope) -> str | None:
    """Return the template of the route itself, below mounts, if the framework tells."""
    effective = scope.get("fastapi", {}).get("effective_route_context")
    # What is not FastAPI's own, such as a WebSocket's, is one level deeper.
    for found in (getattr(effective, "starlette_route", None), effective, scope.get("route")):
        template = getattr(found, "path_format", None)
        if template and not isinstance(found, Mount):
            return template
    return None


class _Place(NamedTuple):
    """Where an endpoint is: the template of the mounts above it, and its own paths below them."""

    prefix: str
    paths: Sequence[str]


# By identity, and with what has it, so that nothing else gets it meanwhile.
_places: dict[tuple[int, str, int], tuple[object, object, _Place | None]] = {}


def _find_place(router: object, mounted: str, endpoint: object) -> _Place | None:
    """Return where an endpoint is, from memory if possible: there may be many routes."""
    key = (id(router), mounted, id(endpoint))
    known = _places.get(key)
    if known is not None:
        return known[2]
    place = _search(router, mounted, endpoint)
    if len(mounted) <= _LONGEST_REMEMBERED and len(_places) < _MOST_REMEMBERED:
        _places[key] = (router, endpoint, place)
    return place


def _search(router: object, mounted: str, endpoint: object) -> _Place | None:
    routes: Sequence[BaseRoute] = getattr(router, "routes", ())
    prefix, rest = "", mounted
    while rest:
        for path, mount in _mounts_among(routes):
            pattern, template, _ = _compile(f"{path}/{{path:path}}")
            match = pattern.match(f"{rest}/")
            if match is not None:
                prefix += template.removesuffix(_REST)
                rest = f"/{match['path']}".rstrip("/")
                routes = mount.routes
                break
        else:
            return None
    return _Place(prefix, [path for path, route in _all(routes) if _is_for(route, endpoint)])


def _mounts_among(routes: Sequence[BaseRoute]) -> Iterator[tuple[str, Mount]]:
    for path, route in _all(routes):
        mount: Any = route.original_route
        if isinstance(mount, Mount):
            yield path, mount


def _all(routes: Sequence[BaseRoute]) -> Iterator[tuple[str, RouteContext]]:
    for route in iter_route_contexts(routes):
        if route.path is not None:
            yield route.path, route


def _is_for(route: RouteContext, endpoint: object) -> bool:
    return endpoint is not None and getattr(route.original_route, "endpoint", None) is endpoint


@lru_cache(maxsize=_MOST_REMEMBERED)
def _compile(path: str) -> Any:
    return compile_path(path)
