"""One log line for each request, and two for each WebSocket."""

import logging
import random
from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline import context
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.middleware.access_lines import LONGEST_PATH, add_context, logger, ms, write
from fastapi_baseline.middleware.conversation_log import log_conversation
from fastapi_baseline.middleware.route_templates import route_of
from fastapi_baseline.settings import LogSettings

CLIENT_GONE = 499
"""The status of a request whose client left before the response began; it is sent to nobody."""

_LONGEST_STATEMENT = 500
# What is raised when there is nobody to read from or to write to any more.
_GONE = (BrokenPipeError, ClientDisconnect, ConnectionResetError)
# RFC 9110, section 9, and RFC 5789; the rest would be labels that a stranger invents.
_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)


_OTHER = "_OTHER"


class Exchange(NamedTuple):
    """A request and its response, for those who count; bodies are in bytes as they passed by.

    `method` is `_OTHER` if it is none of the standard's, and `route` is `None` if none answered.
    """

    method: str
    route: str | None
    status: int
    request_bytes: int
    response_bytes: int
    duration_s: float


class RequestObserver(Protocol):
    """Is told of every request twice: when it has come, and when it is over."""

    def begin(self, method: str) -> None:
        """Take note of a request that has come; `method` is as in `Exchange`."""
        ...

    def end(self, exchange: Exchange) -> None:
        """Take note of a request that is over."""
        ...


class _Progress:
    """One request as it passes by: what has been seen of it so far."""

    __slots__ = (
        "_method",
        "_now",
        "_observer",
        "_receive",
        "_scope",
        "_send",
        "began",
        "first_byte",
        "is_complete",
        "is_gone",
        "received",
        "route",
        "sent",
        "status",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        now: Callable[[], float],
        observer: RequestObserver | None,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._now = now
        self._observer = observer
        self._method = scope["method"] if scope["method"] in _METHODS else _OTHER
        self.began = now()
        self.first_byte: float | None = None
        self.route: str | None = None
        self.status = CLIENT_GONE
        self.received = 0
        self.sent = 0
        self.is_complete = False
        self.is_gone = False
        if observer is not None:
            _tell(observer.begin, self._method)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
        elif self.first_byte is None:
            self.is_gone = True
        return message

    # Not a coroutine of its own, which would cost as much as all the rest.
    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.first_byte = self._now()
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
            if not message.get("more_body", False):
                self._complete()
        elif message["type"] == "http.response.pathsend":
            # The server sends a file by itself, and does not say how much of it.
            self._complete()
        return self._send(message)

    def _complete(self) -> None:
        self.is_complete = True
        # Before the last byte leaves: a process that is killed after it has counted all that its
        # clients have got. What runs after the response is none of the time that it took.
        self.tell_end()

    def tell_end(self) -> None:
        """Tell the observer that the request is over, once."""
        observer, self._observer = self._observer, None
        if observer is None:
            return
        self.route = route_of(self._scope)
        exchange = Exchange(
            method=self._method,
            route=self.route,
            status=CLIENT_GONE if self.is_gone else self.status,
            request_bytes=self.received,
            response_bytes=self.sent,
            duration_s=self._now() - self.began,
        )
        _tell(observer.end, exchange)


class AccessLogMiddleware:
    """Log one line when a response has been sent, or the client has gone.

    The line has the method, the path without its query (which may hold secrets), the route's
    template, the status, the bytes of both bodies, the duration and the time to the first byte, the
    statements sent to databases, and what the request's context has. A client that left before a
    response began has status 499; a response that was cut short is `incomplete`.

    The level is WARNING if the status is 500 or above, the response began late (`slow`), or one
    statement was sent again and again (`db_repeated`), and else INFO. A WebSocket has a line when
    it is opened or refused, and one when it is closed.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        clock: Clock | None = None,
        silent_paths: Collection[str] = (),
        observer: RequestObserver | None = None,
        settings: LogSettings | None = None,
        repeated_statements: int = 20,
    ) -> None:
        """Wrap `app`.

        Requests for `silent_paths`, such as probes, are not told to `observer`, and logged only if
        they fail. Of other successful ones, `settings.success_ratio` is logged, and all are
        observed.
        """
        settings = settings or LogSettings()
        self._app = app
        self._now = (clock or SystemClock()).monotonic
        self._silent_paths = frozenset(silent_paths)
        self._observer = observer
        self._ratio = settings.success_ratio
        self._slow_s = settings.slow_request.total_seconds()
        self._repeated_statements = repeated_statements

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hold one conversation."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await log_conversation(self._app, scope, receive=receive, send=send, now=self._now)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        is_silent = path in self._silent_paths
        observer = None if is_silent else self._observer
        progress = _Progress(scope, receive, send, now=self._now, observer=observer)
        try:
            await self._app(scope, progress.receive, progress.send)
        except Exception as error:
            if progress.first_byte is None and not isinstance(error, _GONE):
                # Nobody inside has answered; the server will.
                progress.status = HTTPStatus.INTERNAL_SERVER_ERROR
            raise
        finally:
            if progress.is_gone:
                progress.status = CLIENT_GONE
            progress.tell_end()
            self._log(scope, progress, path=path, is_silent=is_silent)

    def _log(
        self,
        scope: Scope,
        progress: _Progress,
        *,
        path: str,
        is_silent: bool,
    ) -> None:
        ended = self._now()
        status = progress.status
        answered = ended if progress.first_byte is None else progress.first_byte
        is_slow = answered - progress.began > self._slow_s
        repeated = _find_repeated(self._repeated_statements)
        is_bad = status >= HTTPStatus.INTERNAL_SERVER_ERROR or is_slow or repeated is not None
        is_notable = is_bad or status >= HTTPStatus.BAD_REQUEST or not progress.is_complete
        if is_silent and not is_notable:
            return
        level = logging.WARNING if is_bad else logging.INFO
        is_sampled = is_notable or self._ratio >= 1 or random.random() < self._ratio  # noqa: S311 -- no secret
        if not is_sampled or not logger.isEnabledFor(level):
            return
        fields = _describe(scope, progress, path=path, ended=ended)
        if is_slow:
            fields["slow"] = True
        if repeated is not None:
            text, count = repeated
            fields["db_repeated"] = count
            fields["db_repeated_statement"] = text[:_LONGEST_STATEMENT]
        write(level, f"{scope['method']} {fields['path']} {status}", fields)


_ToldT = TypeVar("_ToldT")


def _tell(listen: Callable[[_ToldT], None], what: _ToldT) -> None:
    try:
        listen(what)
    except Exception:  # noqa: BLE001 -- counting is no reason to fail
        logger.exception("What observes requests has failed")


def _describe(scope: Scope, progress: _Progress, *, path: str, ended: float) -> dict[str, Any]:
    client = scope.get("client")
    fields: dict[str, Any] = {
        "method": scope["method"],
        "path": path[:LONGEST_PATH],
        "route": progress.route or route_of(scope),
        "status": progress.status,
        "duration_ms": ms(ended - progress.began),
        "request_bytes": progress.received,
        "response_bytes": progress.sent,
        "client": client[0] if client else None,
    }
    if progress.first_byte is not None:
        fields["ttfb_ms"] = ms(progress.first_byte - progress.began)
        if not progress.is_complete:
            fields["incomplete"] = True
    add_context(fields)
    return fields


def _find_repeated(limit: int) -> tuple[str, int] | None:
    """Return the statement that the request has sent more than `limit` times, and how often."""
    request = context.current()
    if request is None or request.statements.count <= limit:
        return None
    found = request.statements.find_most_repeated()
    return found if found is not None and found[1] > limit else None
