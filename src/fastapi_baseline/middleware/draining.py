"""What makes clients come back elsewhere while the process is about to stop."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.lifecycle import Availability

_NAME = b"connection"
_CLOSE = (_NAME, b"close")
_VERSIONS = frozenset({"1.0", "1.1"})


class DrainingMiddleware:
    """Add `Connection: close` to responses while the process drains.

    Else a client would send its next request on a connection that the server closes at the same
    moment, and lose it. HTTP/2 has no such header (RFC 9113, section 8.2.2).
    """

    def __init__(self, app: ASGIApp, *, availability: Availability) -> None:
        """Wrap `app`; `availability` says whether the process drains."""
        self._app = app
        self._availability = availability

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["http_version"] not in _VERSIONS:
            return await self._app(scope, receive, send)
        availability = self._availability

        # Not a coroutine of its own, which would cost as much as all the rest.
        def send_closing(message: Message) -> Awaitable[None]:
            # Asked when the response begins: its request may have come before.
            if availability.is_draining and message["type"] == "http.response.start":
                headers = message.get("headers", ())
                kept = (pair for pair in headers if pair[0].lower() != _NAME)
                message["headers"] = [*kept, _CLOSE]
            return send(message)

        return await self._app(scope, receive, send_closing)
