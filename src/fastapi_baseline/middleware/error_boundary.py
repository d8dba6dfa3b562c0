"""The last place where an error can become a response that keeps the headers of the layers outside.

The framework's own last resort sits outside all middleware, so its 500 has no request identifier,
no CORS and no security headers, and a browser shows it as a network failure.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from fastapi_baseline.middleware.conversation import Conversation
from fastapi_baseline.middleware.exception_handlers import (
    log_unhandled,
    respond_to_failed_conversation,
    respond_to_unhandled,
)

ErrorResponder = Callable[[Request, Exception], Awaitable[Response]]


class ErrorBoundaryMiddleware:
    """Answer every error that nothing inside has answered, and log it once.

    An error after the response has begun cannot be answered any more: it is logged and passed on
    to the server, which closes the connection, so that the client sees that something is missing.
    A client that has gone is no error; nothing is logged, and nobody is answered.
    """

    def __init__(self, app: ASGIApp, *, respond: ErrorResponder = respond_to_unhandled) -> None:
        """Wrap `app`; `respond` makes the response to an error."""
        self._app = app
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._converse(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = complete = False

        # Not a coroutine of its own, which would cost as much as all the rest.
        def send_watched(message: Message) -> Awaitable[None]:
            nonlocal started, complete
            if message["type"] == "http.response.start":
                started = True
            elif message["type"] == "http.response.body":
                complete = not message.get("more_body", False)
            return send(message)

        try:
            await self._app(scope, receive, send_watched)
        except ClientDisconnect:
            return
        except Exception as error:
            if started:
                log_unhandled(error)
                if complete:
                    return
                raise
            response = await self._respond(Request(scope, receive), error)
            await response(scope, receive, send)

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        conversation = Conversation(scope, receive, send)
        try:
            await self._app(scope, conversation.receive, conversation.send)
        except WebSocketDisconnect:
            return
        except Exception as error:  # noqa: BLE001 -- a boundary catches everything
            await conversation.fail(respond_to_failed_conversation(scope, error))
