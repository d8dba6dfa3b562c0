"""Which routes read lists by cursor, and so need a key to sign with."""

from collections.abc import Iterator, Sequence

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import BaseRoute

from fastapi_baseline.persistence.query.criteria import CursorQuery


def has_cursor_routes(routes: Sequence[BaseRoute]) -> bool:
    """Return whether one of the routes takes a `CursorQuery`."""
    originals = (context.original_route for context in iter_route_contexts(routes))
    return any(
        isinstance(route, APIRoute) and any(map(_takes_cursor, _dependants(route.dependant)))
        for route in originals
    )


def _dependants(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for dependency in dependant.dependencies:
        yield from _dependants(dependency)


def _takes_cursor(dependant: Dependant) -> bool:
    kinds = (field.field_info.annotation for field in dependant.query_params)
    return any(isinstance(kind, type) and issubclass(kind, CursorQuery) for kind in kinds)
