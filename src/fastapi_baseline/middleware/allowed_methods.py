"""Which methods a path has, for the Allow header of a 405 (RFC 9110, section 15.5.6)."""

import re
from collections.abc import Sequence
from functools import lru_cache

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, compile_path
from starlette.types import Scope

_COMPILED_PATHS = 10_000


def allowed_methods(scope: Scope) -> list[str]:
    """Return the methods of all routes whose path is that of the request, in their order.

    The framework names those of the first such route only, and each method of a path is usually a
    route of its own. It looks at all routes, which only a request that is refused has to pay for.
    """
    routes: Sequence[BaseRoute] = getattr(scope.get("app"), "routes", ())
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    methods: dict[str, None] = {}
    for route in iter_route_contexts(routes):
        if route.methods and route.path is not None and _pattern(route.path).match(path):
            methods |= dict.fromkeys(sorted(route.methods))
    return list(methods)


@lru_cache(maxsize=_COMPILED_PATHS)
def _pattern(path: str) -> re.Pattern[str]:
    pattern, _, _ = compile_path(path)
    return pattern
