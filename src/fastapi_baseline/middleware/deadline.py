"""How long a request may take until its response begins."""

import asyncio
import logging
from collections.abc import Awaitable, Collection, Iterator
from datetime import timedelta
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline import context
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.context import Deadline
from fastapi_baseline.errors import ConfigurationError, DeadlineExceededError
from fastapi_baseline.middleware.alarms import Alarms
from fastapi_baseline.middleware.exception_handlers import respond_to_error

logger = logging.getLogger(__name__)

_SCOPE_KEY = "fastapi_baseline.deadline"
_GRACE = timedelta(seconds=1)


class DeadlineMiddleware:
    """Give up a request whose response has not begun in time: it is cancelled, and answered 504.

    Once the response begins, the request may take any time: streams are not cut, nor is what runs
    after the response. Code that swallows the cancellation cannot be stopped; the client gets its
    504 after `grace` all the same, and what that code still sends is dropped. A function that runs
    in a thread goes on, too. `fastapi_baseline.context.remaining_time` says what is left.

    The time begins here, so it is also for reading the body. `deadline` changes it for a route.

    Raises:
        ConfigurationError: If the time is not positive.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        timeout: timedelta | None,
        clock: Clock | None = None,
        exempt_paths: Collection[str] = (),
        grace: timedelta = _GRACE,
    ) -> None:
        """Wrap `app`; with no `timeout`, only routes that have one of their own are given up."""
        self._app = app
        self._timeout = _checked(timeout)
        self._clock = clock or SystemClock()
        self._exempt_paths = frozenset(exempt_paths)
        self._grace = grace
        self._alarms: Alarms[_Watch] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] in self._exempt_paths:
            await self._app(scope, receive, send)
            return

        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- servers run each request in one
        alarms = self._alarms
        if alarms is None or alarms.loop is not task.get_loop():
            alarms = self._alarms = Alarms(task.get_loop())
        watch = _Watch(
            scope, receive, send, task=task, alarms=alarms, clock=self._clock, grace=self._grace
        )
        watch.allow(self._timeout)
        scope[_SCOPE_KEY] = watch
        try:
            await self._app(scope, watch.receive, watch.send)
        except BaseException as error:
            if not watch.is_cause_of(error):
                raise
            watch.fail(error)
        else:
            watch.fail_if_overdue()
        finally:
            watch.stop()
            if watch.answer is not None:
                await watch.answer
            # Each knows the other, and so all of the request would wait for the garbage collector.
            scope.pop(_SCOPE_KEY, None)


class _Watch:
    """Cancels the task of one request when its time is up."""

    __slots__ = (
        "_alarms",
        "_began",
        "_cancelling",
        "_clock",
        "_epoch",
        "_grace",
        "_is_expired",
        "_is_released",
        "_is_routed",
        "_is_set",
        "_patience",
        "_receive",
        "_scope",
        "_send",
        "_task",
        "answer",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        task: asyncio.Task[Any],
        alarms: "Alarms[_Watch]",
        clock: Clock,
        grace: timedelta,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._task = task
        self._cancelling = task.cancelling()
        self._alarms = alarms
        self._began = alarms.loop.time()
        self._clock = clock
        self._epoch = clock.monotonic()
        self._grace = grace
        self._patience: asyncio.TimerHandle | None = None
        self.answer: asyncio.Task[None] | None = None
        self._is_expired = self._is_released = self._is_routed = self._is_set = False

    async def receive(self) -> Message:
        """Return the next message, in the time that the route allows."""
        if not self._is_routed:
            self._is_routed = True
            found = _find_route_deadline(self._scope)
            if found is not None:
                self.allow(found.timeout)
        return await self._receive()

    # Not a coroutine of its own, which would cost as much as all the rest.
    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message on, unless the client has been answered already."""
        if self.answer is not None:
            return _nothing()
        if message["type"] == "http.response.start":
            self._release()
        return self._send(message)

    def allow(self, timeout: timedelta | None) -> None:
        """Let the request take so long, counted from its beginning; `None` is any time."""
        if self._is_released or self._is_expired:
            return
        deadline = None
        if timeout is None:
            self._quieten()
        else:
            seconds = timeout.total_seconds()
            self._alarms.set(self, self._began + seconds)
            self._is_set = True
            deadline = Deadline(self._epoch + seconds, self._clock)
        current = context.current()
        if current is not None:
            current.deadline = deadline

    def is_cause_of(self, error: BaseException) -> bool:
        """Return whether the request ended with this error because its time was up.

        A request that somebody else has cancelled as well, such as a server that stops, was not
        ended by its time.
        """
        if not self._is_expired or self._is_released:
            return False
        if isinstance(error, asyncio.CancelledError):
            return self._task.cancelling() - 1 <= self._cancelling
        # What a driver has made of the cancellation.
        return isinstance(error, Exception)

    def fail(self, cause: BaseException) -> None:
        """Raise what answers a request whose time was up, if nothing else has answered it.

        Raises:
            DeadlineExceededError: If the client has not been answered.
        """
        if self.answer is None:
            raise DeadlineExceededError from cause
        if isinstance(cause, Exception):
            logger.warning("An error followed after the deadline", exc_info=cause)

    def fail_if_overdue(self) -> None:
        """Raise what answers a request that ended without an answer.

        Raises:
            DeadlineExceededError: If its time was up, and the client has not been answered.
        """
        if self._is_expired and not self._is_released and self.answer is None:
            raise DeadlineExceededError

    def stop(self) -> None:
        """Undo what was done to the task, which goes on to do other things."""
        self._quieten()
        if self._is_expired:
            self._task.uncancel()

    def _release(self) -> None:
        """Let the request take any time from now on."""
        self._is_released = True
        self._quieten()
        current = context.current()
        if current is not None:
            current.deadline = None

    def _quieten(self) -> None:
        if self._is_set:
            self._is_set = False
            self._alarms.clear(self)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def ring(self) -> None:
        """Cancel the task; its time is up."""
        self._is_set = False
        self._is_expired = True
        self._task.cancel()
        self._patience = self._alarms.loop.call_later(self._grace.total_seconds(), self._give_up)

    def _give_up(self) -> None:
        logger.error("A request goes on after its deadline: it does not heed its cancellation")
        self.answer = self._alarms.loop.create_task(self._respond())

    async def _respond(self) -> None:
        request = Request(self._scope, self._receive)
        response = await respond_to_error(request, DeadlineExceededError())
        await response(self._scope, self._receive, self._send)


async def _nothing() -> None:
    """Send nothing."""


def deadline(timeout: timedelta | None) -> "RouteDeadline":
    """Return a dependency that lets a route take more or less time; `None` is any time.

    `dependencies=[Depends(deadline(timedelta(minutes=5)))]` goes to a route, a router or its
    inclusion; the innermost counts. The time begins with the request. It counts for the reading of
    the body, too, which FastAPI does before it calls any dependency. Without a
    `DeadlineMiddleware` it does nothing.

    Raises:
        ConfigurationError: If the time is not positive.
    """
    return RouteDeadline(timeout)


class RouteDeadline:
    """The dependency that `deadline` returns."""

    def __init__(self, timeout: timedelta | None) -> None:
        """Allow `timeout` from the beginning of the request, or any time."""
        self.timeout = _checked(timeout)

    async def __call__(self, connection: HTTPConnection) -> None:
        """Move the deadline of the request."""
        watch = connection.scope.get(_SCOPE_KEY)
        if isinstance(watch, _Watch):
            watch.allow(self.timeout)


def _checked(timeout: timedelta | None) -> timedelta | None:
    if timeout is not None and timeout <= timedelta(0):
        message = f"A deadline of {timeout} leaves no time. For none at all, write None."
        raise ConfigurationError(message)
    return timeout


def _find_route_deadline(scope: Scope) -> RouteDeadline | None:
    """Return what the route says, for use before dependencies are called; `None` if nothing."""
    # Of a router that is included, only the effective route has the dependencies of both.
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    found = None
    for dependency in _dependencies(getattr(route, "dependant", None)):
        if isinstance(dependency, RouteDeadline):
            found = dependency
    return found


def _dependencies(dependant: Any) -> Iterator[Any]:
    """Give what is called for a route, in the order in which it is called."""
    for needed in getattr(dependant, "dependencies", ()):
        yield from _dependencies(needed)
        yield needed.call
