"""The metrics of requests, by the names of OpenTelemetry's semantic conventions for HTTP servers."""

from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

from opentelemetry.metrics import Meter, MeterProvider
from opentelemetry.util.types import Attributes

from fastapi_baseline.observability.metrics.series import FixedAttributes
from fastapi_baseline.observability.metrics.views import SECONDS

_METHOD = "http.request.method"
_ROUTE = "http.route"
_STATUS = "http.response.status_code"
_ERROR = "error.type"


class MeasuredExchange(Protocol):
    """A request and its response, once both are over; bodies are in bytes, as they were counted."""

    @property
    def method(self) -> str:
        """Return the method, or `_OTHER` if it is none of the standard's."""
        ...

    @property
    def route(self) -> str | None:
        """Return the template of the route, or `None` if none has answered."""
        ...

    @property
    def status(self) -> int:
        """Return the status of the response."""
        ...

    @property
    def request_bytes(self) -> int:
        """Return how much of the body was received."""
        ...

    @property
    def response_bytes(self) -> int:
        """Return how much of the body was sent."""
        ...

    @property
    def duration_s(self) -> float:
        """Return how long it took, from the first byte of the request to the last one sent."""
        ...


class RequestMetrics:
    """How many requests there are, how long they take, how they end and, if asked, how large.

    The labels come from closed sets: methods of the standard, templates of routes, statuses. It is
    told by the layer that sees all responses, those of errors and refusals too.
    """

    def __init__(self, provider: MeterProvider, *, body_sizes: bool = False) -> None:
        """Measure with `provider`."""
        meter = provider.get_meter("fastapi_baseline")
        self._active = meter.create_up_down_counter(
            "http.server.active_requests",
            unit="{request}",
            description="Requests that are being answered.",
        )
        self._duration = meter.create_histogram(
            "http.server.request.duration",
            unit="s",
            description="How long requests took.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._sizes = _BodySizes(meter) if body_sizes else None

    def begin(self, method: str) -> None:
        """Count a request that has come, by its method or `_OTHER`."""
        self._active.add(1, _of_method(method))

    def end(self, exchange: MeasuredExchange) -> None:
        """Count a request that is over; `begin` was told of it."""
        self._active.add(-1, _of_method(exchange.method))
        attributes = _of_exchange(exchange.method, exchange.route, exchange.status)
        self._duration.record(exchange.duration_s, attributes)
        if self._sizes is not None:
            self._sizes.record(exchange, attributes)


# The same few combinations come again and again.
@lru_cache(maxsize=64)
def _of_method(method: str) -> FixedAttributes:
    return FixedAttributes({_METHOD: method})


@lru_cache(maxsize=4_096)
def _of_exchange(method: str, route: str | None, status: int) -> FixedAttributes:
    attributes = FixedAttributes({_METHOD: method, _STATUS: status})
    if route is not None:
        attributes[_ROUTE] = route
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # What the conventions have for a server that tells by its status that it failed.
        attributes[_ERROR] = str(status)
    return attributes


class _BodySizes:
    """The sizes of bodies as they were counted, which no header can make up."""

    def __init__(self, meter: Meter) -> None:
        self._requests = meter.create_histogram(
            "http.server.request.body.size", unit="By", description="Size of request bodies."
        )
        self._responses = meter.create_histogram(
            "http.server.response.body.size", unit="By", description="Size of response bodies."
        )

    def record(self, exchange: MeasuredExchange, attributes: Attributes) -> None:
        self._requests.record(exchange.request_bytes, attributes)
        self._responses.record(exchange.response_bytes, attributes)
