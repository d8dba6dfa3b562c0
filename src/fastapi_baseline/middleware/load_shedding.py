"""How many requests are worked on at once."""

from collections.abc import Awaitable, Collection
from datetime import timedelta

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.errors import ConfigurationError, UnavailableError
from fastapi_baseline.middleware.refusal import refuse


class OverloadedError(UnavailableError):
    """The service works on as many requests as it can."""

    code = "overloaded"
    default_message = "The service is handling too many requests. Try again later."


class LoadSheddingMiddleware:
    """Refuse requests with 503 and `Retry-After` while too many others are waiting for an answer.

    A request counts until its response has begun, so that streams do not fill the places. Each
    process counts its own. Requests that wait longer and longer are answered when nobody listens
    any more; refusing some keeps the others fast.

    Raises:
        ConfigurationError: If no request at all would be let through.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_in_flight: int,
        retry_after: timedelta,
        exempt_paths: Collection[str] = (),
    ) -> None:
        """Wrap `app`; `exempt_paths`, such as probes, are neither counted nor refused."""
        if max_in_flight < 1:
            raise ConfigurationError("At least one request must be let through at a time.")
        self._app = app
        self._max_in_flight = max_in_flight
        self._retry_after = retry_after
        self._exempt_paths = frozenset(exempt_paths)
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """Return how many requests are waiting for the beginning of their response."""
        return self._in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http" or scope["path"] in self._exempt_paths:
            await self._app(scope, receive, send)
            return
        if self._in_flight >= self._max_in_flight:
            error = OverloadedError(retry_after=self._retry_after)
            await refuse(error, scope=scope, receive=receive, send=send)
            return

        waiting = True

        # Not a coroutine of its own, which would cost as much as all the rest.
        def send_counted(message: Message) -> Awaitable[None]:
            nonlocal waiting
            if waiting and message["type"] == "http.response.start":
                waiting = False
                self._in_flight -= 1
            return send(message)

        self._in_flight += 1
        try:
            await self._app(scope, receive, send_counted)
        finally:
            if waiting:
                self._in_flight -= 1
