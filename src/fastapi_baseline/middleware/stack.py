"""The order of the layers, as one list that a service can read and change."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Self

from starlette.middleware import Middleware

from fastapi_baseline.clock import Clock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.lifecycle import Availability
from fastapi_baseline.middleware.access_log import AccessLogMiddleware, RequestObserver
from fastapi_baseline.middleware.body_limit import BodyLimitMiddleware
from fastapi_baseline.middleware.compression import CompressionMiddleware
from fastapi_baseline.middleware.conditional_requests import ConditionalRequestsMiddleware
from fastapi_baseline.middleware.cors import make_cors
from fastapi_baseline.middleware.deadline import DeadlineMiddleware
from fastapi_baseline.middleware.draining import DrainingMiddleware
from fastapi_baseline.middleware.error_boundary import ErrorBoundaryMiddleware
from fastapi_baseline.middleware.load_shedding import LoadSheddingMiddleware
from fastapi_baseline.middleware.request_context import RequestContextMiddleware
from fastapi_baseline.middleware.security_headers import SecurityHeadersMiddleware
from fastapi_baseline.middleware.trusted_hosts import TrustedHostsMiddleware
from fastapi_baseline.settings import Settings


class Stack(list[Middleware]):
    """The layers around an application, from the outside in.

    It is a list, so a service may also slice and sort it; the methods change it in place and
    return it. A layer is named by its class, or by one that this was made of.
    """

    def without(self, kind: type) -> Self:
        """Leave a layer out.

        Raises:
            ConfigurationError: If there is none of this kind.
        """
        del self[self._position(kind)]
        return self

    def before(self, kind: type, *layers: Middleware) -> Self:
        """Put layers directly outside of another.

        Raises:
            ConfigurationError: If there is none of this kind.
        """
        position = self._position(kind)
        self[position:position] = layers
        return self

    def after(self, kind: type, *layers: Middleware) -> Self:
        """Put layers directly inside of another.

        Raises:
            ConfigurationError: If there is none of this kind.
        """
        position = self._position(kind) + 1
        self[position:position] = layers
        return self

    def _position(self, kind: type) -> int:
        for position, layer in enumerate(self):
            if is_layer(layer, kind):
                return position
        present = ", ".join(name_of(layer) for layer in self)
        raise ConfigurationError(f"The stack has no {kind.__name__}. It has: {present}.")


StackChange = Callable[[Stack], Iterable[Middleware]]
"""What a service makes of the stack that it is handed: the layers that it wants."""


def is_layer(layer: Middleware, kind: type) -> bool:
    """Return whether a layer is of this kind, or of one that was made of it."""
    return isinstance(layer.cls, type) and issubclass(layer.cls, kind)


def name_of(layer: Middleware) -> str:
    """Return the name of the class of a layer."""
    return getattr(layer.cls, "__name__", repr(layer.cls))


def make_stack(
    settings: Settings,
    *,
    clock: Clock,
    pages: Mapping[str, str] | None = None,
    exempt_paths: Collection[str] = (),
    availability: Availability | None = None,
    observer: RequestObserver | None = None,
) -> Stack:
    """Return the layers, from the outside in.

    What gives a response its headers is outside of what makes error responses, so that a 500 has
    them too; what refuses work is outside of what does it. Requests for `exempt_paths`, such as
    probes, are neither refused for load nor logged if they succeed. `observer` is told of every
    other request.
    """
    layers = [
        Middleware(RequestContextMiddleware),
        Middleware(
            AccessLogMiddleware,
            clock=clock,
            silent_paths=exempt_paths,
            observer=observer,
            settings=settings.log,
            repeated_statements=settings.tracing.repeated_statements,
        ),
        _closing(availability),
        _security_headers(settings, pages),
        _trusted_hosts(settings, exempt_paths),
        make_cors(settings),
        Middleware(ErrorBoundaryMiddleware),
        _load_shedding(settings, exempt_paths),
        Middleware(BodyLimitMiddleware, max_size=settings.requests.max_body_size),
        Middleware(
            DeadlineMiddleware,
            timeout=settings.requests.timeout,
            clock=clock,
            exempt_paths=exempt_paths,
        ),
        _compression(settings, exempt_paths),
        _conditional_requests(settings),
    ]
    return Stack(layer for layer in layers if layer is not None)


def _closing(availability: Availability | None) -> Middleware | None:
    if availability is None:
        return None
    return Middleware(DrainingMiddleware, availability=availability)


def _security_headers(settings: Settings, pages: Mapping[str, str] | None) -> Middleware | None:
    headers = settings.security_headers
    if not headers.enabled:
        return None
    return Middleware(SecurityHeadersMiddleware, settings=headers, pages=pages)


def _trusted_hosts(settings: Settings, exempt_paths: Collection[str]) -> Middleware | None:
    hosts = settings.trusted_hosts
    if not hosts:
        return None
    return Middleware(TrustedHostsMiddleware, hosts=hosts, exempt_paths=exempt_paths)


def _load_shedding(settings: Settings, exempt_paths: Collection[str]) -> Middleware | None:
    requests = settings.requests
    if requests.max_in_flight is None:
        return None
    return Middleware(
        LoadSheddingMiddleware,
        max_in_flight=requests.max_in_flight,
        retry_after=requests.retry_after,
        exempt_paths=exempt_paths,
    )


def _compression(settings: Settings, exempt_paths: Collection[str]) -> Middleware | None:
    if not settings.compression.enabled:
        return None
    return Middleware(
        CompressionMiddleware, settings=settings.compression, exempt_paths=exempt_paths
    )


def _conditional_requests(settings: Settings) -> Middleware | None:
    conditional = settings.conditional_requests
    if not conditional.enabled:
        return None
    return Middleware(ConditionalRequestsMiddleware, make_etags=conditional.make_etags)
