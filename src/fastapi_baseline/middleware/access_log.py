"""One log line for each request."""

import logging
from collections.abc import Collection
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline import context
from fastapi_baseline.clock import Clock, SystemClock

logger = logging.getLogger("fastapi_baseline.access")


class AccessLogMiddleware:
    """Log one line when a response has been sent, or the client has gone.

    The line has the method, the path without its query (which may hold secrets), the route's
    template, the status, the bytes of the body and the duration in milliseconds. A client that
    left before a response began has status 499.
    """

    def __init__(
        self, app: ASGIApp, *, clock: Clock | None = None, silent_paths: Collection[str] = ()
    ) -> None:
        """Wrap `app`; successful requests for `silent_paths`, such as probes, are not logged."""
        self._app = app
        self._clock = clock or SystemClock()
        self._silent_paths = frozenset(silent_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        began = self._clock.monotonic()
        status = 499
        sent_bytes = 0

        async def send_counted(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        finally:
            if status >= HTTPStatus.BAD_REQUEST or scope["path"] not in self._silent_paths:
                duration = self._clock.monotonic() - began
                _write(scope, status=status, sent_bytes=sent_bytes, duration_s=duration)


def _write(scope: Scope, *, status: int, sent_bytes: int, duration_s: float) -> None:
    client = scope.get("client")
    fields: dict[str, Any] = {
        "method": scope["method"],
        "path": scope["path"],
        "route": route_of(scope),
        "status": status,
        "duration_ms": round(duration_s * 1000, 2),
        "response_bytes": sent_bytes,
        "client": client[0] if client else None,
    }
    request = context.current()
    if request is not None:
        fields |= request.fields
    logger.info("%s %s %s", scope["method"], scope["path"], status, extra={"fields": fields})


def route_of(scope: Scope) -> str | None:
    """Return the template of the route that answered (`/orders/{id}`), or `None` without one.

    FastAPI keeps the path of an included router in a key of its own: `scope["route"]` has only
    the part below the router's prefix.
    """
    effective = scope.get("fastapi", {}).get("effective_route_context")
    path = getattr(effective, "path_format", None)
    return path or getattr(scope.get("route"), "path_format", None)
