"""One request, as the layer around the application and the decorator inside share it."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from starlette.types import Message, Scope, Send

from fastapi_baseline import context
from fastapi_baseline.caching.capture import Capture
from fastapi_baseline.caching.entries import Header
from fastapi_baseline.caching.plan import Plan
from fastapi_baseline.caching.response_headers import forward_status
from fastapi_baseline.caching.shortcuts import Asked, asked_by
from fastapi_baseline.caching.site import Site
from fastapi_baseline.caching.variants import SCOPE_KEY as ENCODED_BODIES

# What is about this one making of the response, and must not be found by another.
_OF_ONE_RUN = ("fastapi.telemetry", ENCODED_BODIES)


@dataclass(frozen=True, slots=True)
class Origin:
    """What is needed to make the same request again, as it was when it came to the cache."""

    scope: Scope
    request_id: str
    tenant: str | None
    principal: object | None


class Exchange:
    """One request that may be answered with what is kept, or whose response may be kept."""

    __slots__ = (
        "_begun",
        "_forwarded",
        "_is_taken",
        "_principal",
        "_send",
        "_state",
        "_tenant",
        "capture",
        "is_refresh",
        "scope",
        "site",
    )

    def __init__(self, site: Site, scope: Scope, send: Send, *, is_refresh: bool = False) -> None:
        """Begin with a request that nobody inside has seen yet."""
        self.site = site
        self.scope = scope
        self.is_refresh = is_refresh
        """Whether the request is one of ours, whose response nobody waits for."""
        self.capture: Capture | None = None
        self._send = send
        self._is_taken = False
        self._forwarded: Header | None = None
        # Layers and routers inside write to both.
        self._begun = dict(scope)
        self._state: Any = dict(scope.get("state") or ())
        current = context.current()
        self._tenant = None if current is None else current.tenant
        self._principal = None if current is None else current.principal

    @property
    def asked(self) -> Asked:
        """Return what was asked, before routing has changed the scope."""
        return asked_by(self._begun)

    def take(self, function: Callable[..., Any]) -> bool:
        """Return whether a function answers this request, and is the first to say so.

        A function may also be called by another route, by a dependency, or by a task that has
        outlived its request; then it is nothing but a function.
        """
        if self._is_taken or not _is_made_of(self.scope.get("endpoint", function), function):
            return False
        self._is_taken = True
        return True

    def send(self, message: Message) -> Awaitable[None]:
        """Pass on one message of the application."""
        if self.capture is not None:
            return self.capture.send(message)
        if self._forwarded is not None and message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), self._forwarded]
            message = {**message, "headers": headers}
        return self._send(message)

    def plan(self, plan: Plan) -> None:
        """Keep the response, as the plan says."""
        self.capture = Capture(self.site, self.scope, self._send, plan=plan)

    def forward(self, reason: str) -> None:
        """Do not keep the response, and say why the handler was asked (RFC 9211, section 2.2)."""
        self._forwarded = forward_status(reason)

    def origin(self) -> Origin:
        """Return what is needed to make the request again."""
        scope = {name: value for name, value in self._begun.items() if name not in _OF_ONE_RUN}
        scope |= {"method": "GET", "state": dict(self._state)}
        current = context.current()
        request_id = "" if current is None else current.request_id
        return Origin(scope, request_id, self._tenant, self._principal)


current_exchange: ContextVar[Exchange | None] = ContextVar("current_exchange", default=None)
"""The request that is being answered, or `None` outside of the layer."""


def _is_made_of(endpoint: object, function: Callable[..., Any]) -> bool:
    """Return whether an endpoint is a function, or one that was made of it."""
    found: Any = endpoint
    while found is not None:
        if found is function:
            return True
        # A method of an object, a partial function, and what functools.wraps() leaves behind.
        found = (
            getattr(found, "__func__", None)
            or getattr(found, "func", None)
            or getattr(found, "__wrapped__", None)
        )
    return False
