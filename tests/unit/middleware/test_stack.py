import pytest
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware  # noqa: TID251 -- to show its absence
from starlette.middleware.cors import CORSMiddleware as StarletteCORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_baseline import ConfigurationError, Settings
from fastapi_baseline.clock import SystemClock
from fastapi_baseline.lifecycle import Availability
from fastapi_baseline.middleware import (
    CompressionMiddleware,
    ErrorBoundaryMiddleware,
    Stack,
    TrustedHostsMiddleware,
    make_stack,
)
from fastapi_baseline.middleware.stack import name_of
from fastapi_baseline.settings import (
    CompressionSettings,
    ConditionalRequestsSettings,
    RequestSettings,
    SecurityHeadersSettings,
)

EVERYTHING = Settings(cors_origins=("https://a.example",), trusted_hosts=("api.example",))


class Mine:
    """A layer of a service."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _stack(settings: Settings = EVERYTHING) -> Stack:
    return make_stack(settings, clock=SystemClock(), availability=Availability())


def _names(stack: Stack) -> list[str]:
    return [name_of(layer).removesuffix("Middleware") for layer in stack]


def test_puts_what_gives_headers_outside_of_what_makes_errors() -> None:
    assert _names(_stack()) == [
        "RequestContext",
        "AccessLog",
        "Draining",
        "SecurityHeaders",
        "TrustedHosts",
        "CORS",
        "ErrorBoundary",
        "LoadShedding",
        "BodyLimit",
        "Deadline",
        "Compression",
        "ConditionalRequests",
    ]


def test_leaves_out_what_is_switched_off() -> None:
    settings = Settings(
        security_headers=SecurityHeadersSettings(enabled=False),
        compression=CompressionSettings(enabled=False),
        conditional_requests=ConditionalRequestsSettings(enabled=False),
        requests=RequestSettings(max_in_flight=None),
    )

    assert _names(make_stack(settings, clock=SystemClock())) == [
        "RequestContext",
        "AccessLog",
        "ErrorBoundary",
        "BodyLimit",
        "Deadline",
    ]


def test_is_pure_asgi() -> None:
    assert not any(
        isinstance(layer.cls, type) and issubclass(layer.cls, BaseHTTPMiddleware)
        for layer in _stack()
    )


def test_is_a_list_from_which_a_service_takes_and_to_which_it_adds() -> None:
    stack = _stack().without(TrustedHostsMiddleware)
    stack.before(ErrorBoundaryMiddleware, Middleware(Mine))
    stack.after(CompressionMiddleware, Middleware(Mine))

    names = _names(stack)
    assert "TrustedHosts" not in names
    assert names[names.index("ErrorBoundary") - 1] == "Mine"
    assert names[names.index("Compression") + 1] == "Mine"


def test_says_what_there_is_if_a_layer_is_not_there() -> None:
    stack = _stack(Settings())

    with pytest.raises(ConfigurationError, match=r"no TrustedHostsMiddleware\. It has: RequestC"):
        stack.without(TrustedHostsMiddleware)


def test_knows_a_layer_by_the_class_that_it_was_made_of() -> None:
    assert "CORS" not in _names(_stack().without(StarletteCORSMiddleware))
