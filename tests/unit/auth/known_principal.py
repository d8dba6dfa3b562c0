"""Requests of which it is known who makes them."""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from fastapi_baseline.auth import Authentication, Principal
from fastapi_baseline.clock import Clock
from tests.recorded_events import RecordedEvents


class Known:
    """Says of every request that it is the same principal's."""

    scheme_name = "known"
    scheme: dict[str, Any] = {"type": "http", "scheme": "bearer"}  # noqa: RUF012 -- never changed

    def __init__(self, principal: Principal | None, challenge: str | None) -> None:
        self.principal = principal
        self.challenge = challenge

    def is_offered(self, connection: HTTPConnection) -> bool:
        return self.principal is not None

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        assert self.principal is not None
        return self.principal


def request_of(
    principal: Principal | None,
    *,
    events: RecordedEvents,
    clock: Clock | None = None,
    challenge: str | None = "Bearer",
) -> HTTPConnection:
    app = Starlette()
    app.state.authentication = Authentication(
        [Known(principal, challenge)], events=events, **({} if clock is None else {"clock": clock})
    )
    return HTTPConnection({"type": "http", "headers": [], "app": app})
