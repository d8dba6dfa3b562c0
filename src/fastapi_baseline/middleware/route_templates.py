"""Which route has answered a request, as its template: `/orders/{id}`."""

from collections.abc import Mapping

from starlette.types import Scope


def route_of(scope: Scope, *, root_path: str = "") -> str | None:
    """Return the template of the route that answered, or `None` without one.

    Prefixes of included routers and of mounted applications are part of it. `root_path` is what the
    scope had before it was routed. Without the framework's telemetry, what a mount's own parameters
    stood for is guessed from their values.
    """
    # The framework keeps the whole template for its telemetry; in `scope["route"]` is only the part
    # below the prefix of an included router, or below a mount.
    template: str | None = getattr(scope.get("fastapi.telemetry"), "route", None)
    if template is not None:
        return template
    effective = scope.get("fastapi", {}).get("effective_route_context")
    # What is not FastAPI's own, such as a WebSocket's, is one level deeper.
    for found in (getattr(effective, "starlette_route", None), effective, scope.get("route")):
        template = getattr(found, "path_format", None)
        if template:
            break
    mounted: str = scope.get("root_path", "")[len(root_path) :]
    if not template or not mounted:
        return template or None
    return _as_template(mounted, scope.get("path_params", {})) + template


def _as_template(path: str, params: Mapping[str, object]) -> str:
    names: dict[str, str] = {}
    for name, value in params.items():
        names.setdefault(str(value), f"{{{name}}}")
    return "/".join(names.get(part, part) for part in path.split("/"))
