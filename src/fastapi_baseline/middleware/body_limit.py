"""How large the body of a request may be.

Starlette and FastAPI have such a limit, which routers and routes can change with `max_body_size`.
Their own layer for a whole application sits outside of all others, though, so that its answer has
neither an identifier nor headers, and is no problem. This layer takes its place in the scope, where
theirs look for it.
"""

import inspect
from collections.abc import Awaitable
from typing import Any

from starlette.exceptions import HTTPException  # noqa: TID251 -- FastAPI lets nothing else through
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.middleware.exception_handlers import respond_to_http_exception

_RESPONDER_SCOPE_KEY = "starlette._body_limit_responder"
_CONTENT_TOO_LARGE = 413
_UNLIMITED = 1 << 63


class ContentTooLargeError(HTTPException):
    """The body of the request is larger than it may be.

    It is not a `BaselineError`: FastAPI turns whatever else happens while it reads a body into 400.
    """

    def __init__(self) -> None:
        """Describe the error."""
        super().__init__(_CONTENT_TOO_LARGE, "The body of the request is too large.")


class BodyLimitMiddleware:
    """Answer 413 as soon as more of a body has arrived than is allowed.

    A body that announces its length is refused before any of it is read; one that does not, or
    lies, when the limit is passed. A body that nobody reads is not refused. `max_body_size` of the
    application, a mounted one, a router or a route takes the place of the limit, upwards too.
    """

    def __init__(self, app: ASGIApp, *, max_size: int | None) -> None:
        """Wrap `app`; `max_size` is in bytes, and `None` leaves it to routes to have a limit."""
        self._app = app
        self._max_size = _UNLIMITED if max_size is None else max_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        limit = _Limit(scope, receive, send, max_body_size=self._take_over(scope))
        scope[MAX_BODY_SIZE_SCOPE_KEY] = limit.max_body_size
        scope[_RESPONDER_SCOPE_KEY] = limit
        try:
            await self._app(scope, limit.receive, limit.send)
        except Exception:
            if limit.has_started or not limit.is_exceeded:
                raise
            await limit.refuse()
        finally:
            # Each knows the other, and so all of the request would wait for the garbage collector.
            scope.pop(_RESPONDER_SCOPE_KEY, None)

    def _take_over(self, scope: Scope) -> int:
        """Return the limit to begin with, and lift that of a layer further out.

        `FastAPI(max_body_size=...)` says what the application wants; the layer that it adds is
        the one whose answer is no problem.
        """
        outer = scope.get(_RESPONDER_SCOPE_KEY)
        if outer is None:
            return self._max_size
        wanted = self._max_size if isinstance(outer, _Limit) else int(outer.max_body_size)
        outer.max_body_size = _UNLIMITED
        return wanted


class _Limit:
    """Counts one body. Starlette's layers further in set `max_body_size`, and read `total_size`."""

    __slots__ = (
        "_announced",
        "_app",
        "_is_refused",
        "_receive",
        "_scope",
        "_send",
        "has_started",
        "is_exceeded",
        "max_body_size",
        "total_size",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, max_body_size: int) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._app = scope.get("app")
        self._announced = -1
        self._is_refused = False
        self.max_body_size = max_body_size
        self.total_size = 0
        self.has_started = False
        self.is_exceeded = False

    async def receive(self) -> Message:
        """Return the next message, if it is not too much.

        Raises:
            ContentTooLargeError: If it is.
        """
        if self._announced < 0:
            self._announced = _content_length(self._scope)
            self._check(self._announced)
        message = await self._receive()
        if message["type"] == "http.request":
            self.total_size += len(message.get("body", b""))
            self._check(self.total_size)
        return message

    # Not a coroutine of its own, which would cost as much as all the rest.
    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message on; 413 takes the place of what answers a body that was too large."""
        if self._is_refused:
            return _nothing()
        if message["type"] == "http.response.start":
            self.has_started = True
            if self.is_exceeded and not self._is_refusal(message):
                self._is_refused = True
                return self.refuse()
        return self._send(message)

    async def refuse(self) -> None:
        """Answer as the application answers this error."""
        handlers: dict[Any, Any] = getattr(self._app, "exception_handlers", {})
        handler = handlers.get(_CONTENT_TOO_LARGE) or handlers.get(HTTPException)
        request = Request(self._scope, self._receive)
        response = (handler or respond_to_http_exception)(request, ContentTooLargeError())
        if inspect.isawaitable(response):
            response = await response
        await response(self._scope, self._receive, self._send)

    def _check(self, size: int) -> None:
        if self.is_exceeded or size > self.max_body_size:
            self.is_exceeded = True
            raise ContentTooLargeError

    def _is_refusal(self, message: Message) -> bool:
        """Return whether the application refuses the body in its own form, and no mounted one."""
        return message["status"] == _CONTENT_TOO_LARGE and self._scope.get("app") is self._app


async def _nothing() -> None:
    """Send nothing."""


def _content_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
