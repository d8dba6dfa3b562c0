"""Routes for orchestrators and operators, which cost the other routes nothing."""

from collections.abc import Collection
from typing import Any

from fastapi import APIRouter
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from fastapi_baseline.health import HEALTH_PATH
from fastapi_baseline.observability.logging import LOGGERS_PATH

_WITH_PARTS = (f"{HEALTH_PATH}/", f"{LOGGERS_PATH}/")


class InternalRoutes(BaseRoute):
    """One route that stands for all of a router, and knows its paths by heart.

    The framework asks route by route, so a service would pay for these with each of its requests
    that is not meant for them.
    """

    def __init__(self, router: APIRouter, *, paths: Collection[str]) -> None:
        """Pass requests for `paths`, and for what is below of them, to `router`."""
        self._router = router
        self._paths = frozenset(paths)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request is meant for one of the paths."""
        path: str = scope["path"]
        if scope["type"] != "http":
            return Match.NONE, {}
        root: str = scope.get("root_path", "")
        if root:
            path = path.removeprefix(root)
        if path in self._paths or path.startswith(_WITH_PARTS):
            return Match.FULL, {}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for one of the paths."""
        await self._router(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> Any:
        """Return the path of a route by its name."""
        return self._router.url_path_for(name, **path_params)
