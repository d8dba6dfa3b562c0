"""The identifier of a request, and the context that holds it."""

import re
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.ids import uuid7

HEADER = b"x-request-id"
_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_CARRIERS = {"http.response.start", "websocket.accept", "websocket.http.response.start"}


def _make_id() -> str:
    return uuid7().hex


class RequestContextMiddleware:
    """Give every request a context with an identifier, and every response that identifier.

    An identifier from the client is kept only if it is 8 to 64 letters, digits, dots, dashes and
    underscores, and the only one: it goes to the logs and to other services.
    """

    def __init__(self, app: ASGIApp, *, make_id: Callable[[], str] = _make_id) -> None:
        """Wrap `app`; `make_id` names requests that come without a usable identifier."""
        self._app = app
        self._make_id = make_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request in a context of its own."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return

        offered = [value for name, value in scope["headers"] if name == HEADER]
        if len(offered) == 1 and _ACCEPTABLE.fullmatch(offered[0]):
            request_id = offered[0].decode("ascii")
        else:
            request_id = self._make_id()
        pair = (HEADER, request_id.encode("ascii"))

        async def send_identified(message: Message) -> None:
            if message["type"] in _CARRIERS:
                headers = [kept for kept in message.get("headers", ()) if kept[0].lower() != HEADER]
                message["headers"] = [*headers, pair]
            await send(message)

        token = request_context.set(RequestContext(request_id=request_id))
        try:
            await self._app(scope, receive, send_identified)
        finally:
            request_context.reset(token)
