"""The identifier of a request, and the context that holds it."""

import re
from collections.abc import Awaitable, Callable
from random import getrandbits

from opentelemetry.trace import get_current_span
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.context import RequestContext, request_context

HEADER = b"x-request-id"
_ID_BITS = 128
_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_SCOPE_KEY = "fastapi_baseline.request_id"
_CARRIERS = {"http.response.start", "websocket.accept", "websocket.http.response.start"}


def make_request_id() -> str:
    """Return the identifier of the current trace, or a new one outside of any; 32 hex digits.

    So one identifier finds the log lines and the trace.
    """
    trace_id = get_current_span().get_span_context().trace_id
    # No secret, so it need not cost what one does.
    return f"{trace_id or getrandbits(_ID_BITS):032x}"


class RequestContextMiddleware:
    """Give every request a context with an identifier, and every response that identifier.

    An identifier from the client is kept only if it is 8 to 64 letters, digits, dots, dashes and
    underscores, and the only one: it goes to the logs and to other services. In an application that
    is mounted in another that has this layer, the request stays the one that it is.
    """

    def __init__(self, app: ASGIApp, *, make_id: Callable[[], str] = make_request_id) -> None:
        """Wrap `app`; `make_id` names requests that come without a usable identifier."""
        self._app = app
        self._make_id = make_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request in a context of its own."""
        if scope["type"] not in {"http", "websocket"} or _SCOPE_KEY in scope:
            await self._app(scope, receive, send)
            return

        offered = [value for name, value in scope["headers"] if name == HEADER]
        if len(offered) == 1 and _ACCEPTABLE.fullmatch(offered[0]):
            request_id = offered[0].decode("ascii")
        else:
            request_id = self._make_id()
        pair = (HEADER, request_id.encode("ascii"))

        # Not a coroutine of its own, which would cost as much as all the rest.
        def send_identified(message: Message) -> Awaitable[None]:
            if message["type"] in _CARRIERS:
                headers = [kept for kept in message.get("headers", ()) if kept[0].lower() != HEADER]
                headers.append(pair)
                message["headers"] = headers
            return send(message)

        scope[_SCOPE_KEY] = request_id
        token = request_context.set(RequestContext(request_id=request_id))
        try:
            await self._app(scope, receive, send_identified)
        finally:
            request_context.reset(token)
