"""Requests to other services: measured, traced, and passed the trace on.

For the asynchronous clients of HTTPX2 and HTTPX, neither of which is imported. The duration is
`http.client.request.duration`: from sending the request until the head of the response is there.
Each redirect is a request of its own.
"""

from collections.abc import Collection, Mapping, MutableMapping
from time import perf_counter
from typing import Any, Protocol, Self

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.propagators.textmap import Setter, TextMapPropagator
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from fastapi_baseline import context
from fastapi_baseline.observability.tracing.redaction import redact_url

_SCOPE = "fastapi_baseline.http_client"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_REQUEST_ID = "X-Request-ID"
_OTHER = "_OTHER"
# More come from data, as the addresses of webhooks do, and are one from then on.
_MOST_HOSTS = 50
_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)


class _HeaderSetter(Setter[dict[str, str]]):
    def set(self, carrier: dict[str, str], key: str, value: str) -> None:
        carrier[key] = value


_SETTER = _HeaderSetter()


class HttpClient(Protocol):
    """An `AsyncClient` of HTTPX2 or HTTPX."""

    async def aclose(self) -> None:
        """Close its connections."""
        ...

    async def send(self, request: Any, /) -> Any:
        """Send a request."""
        ...


def instrument_http_client(
    client: HttpClient,
    *,
    propagate_to: Collection[str] | None = None,
    propagator: TextMapPropagator | None = None,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """Measure and trace the requests of a client, and tell the services that it calls their trace.

    They get `traceparent`, `tracestate` and the `X-Request-ID` of the request that is being
    answered, unless the call has one of its own; also if nothing is sampled. They do not get what
    the caller has put into `baggage`, since that may not be for everybody: pass a `propagator` of
    your own for this, or for the headers of other vendors.

    `propagate_to` are the hosts that are told (`api.example.com`, `*.example.com`), by default all.
    Doing it twice counts nothing twice.

    Raises:
        TypeError: If the client is of another library.
    """
    # Its public way, another transport for a new client, loses proxies and limits.
    target: Any = client
    transport: Any = getattr(target, "_transport", None)
    mounts: dict[Any, Any] | None = getattr(target, "_mounts", None)
    if not hasattr(transport, "handle_async_request") or mounts is None:
        raise TypeError(f"{type(client).__name__} is no AsyncClient of HTTPX2 or HTTPX.")
    if isinstance(transport, _ObservedTransport):
        return
    observer = _RequestObserver(
        hosts=None if propagate_to is None else frozenset(map(str.lower, propagate_to)),
        propagator=propagator or TraceContextTextMapPropagator(),
        tracer=trace.get_tracer(_SCOPE, tracer_provider=tracer_provider),
        meter=metrics.get_meter(_SCOPE, meter_provider=meter_provider),
    )
    target._transport = _ObservedTransport(transport, observer)  # noqa: SLF001 -- see above
    for pattern, mounted in mounts.items():
        if mounted is not None:
            mounts[pattern] = _ObservedTransport(mounted, observer)


class _ObservedTransport:
    """What a client calls once for each request that goes over the wire."""

    def __init__(self, transport: Any, observer: "_RequestObserver") -> None:
        self._transport = transport
        self._observer = observer

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._transport.__aexit__(*details)

    async def handle_async_request(self, request: Any) -> Any:
        return await self._observer.send(request, self._transport)

    async def aclose(self) -> None:
        await self._transport.aclose()


class _RequestObserver:
    def __init__(
        self,
        *,
        hosts: Collection[str] | None,
        propagator: TextMapPropagator,
        tracer: trace.Tracer,
        meter: metrics.Meter,
    ) -> None:
        self._hosts = hosts
        self._propagator = propagator
        self._tracer = tracer
        self._duration = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._known_hosts: set[str] = set()

    async def send(self, request: Any, transport: Any) -> Any:
        attributes = self._attributes_of(request)
        span = None
        if trace.get_current_span().is_recording():
            span = self._start_span(request, attributes)
        added = self._tell(request, span)
        started = perf_counter()
        try:
            response = await transport.handle_async_request(request)
        except BaseException as error:
            attributes["error.type"] = type(error).__name__
            raise
        else:
            status: int = response.status_code
            attributes["http.response.status_code"] = status
            if status >= 400:  # noqa: PLR2004 -- the first status of an error (RFC 9110)
                attributes["error.type"] = str(status)
            return response
        finally:
            self._duration.record(perf_counter() - started, attributes)
            # A redirect takes the headers of its request over: another host, another span.
            for name, value in added.items():
                _restore(request.headers, name, value)
            if span is not None:
                _end(span, attributes)

    def _attributes_of(self, request: Any) -> dict[str, AttributeValue]:
        method: str = request.method
        host: str = request.url.host
        if host not in self._known_hosts:
            if len(self._known_hosts) < _MOST_HOSTS:
                self._known_hosts.add(host)
            else:
                host = _OTHER
        return {
            "http.request.method": method if method in _METHODS else _OTHER,
            "server.address": host,
        }

    def _start_span(self, request: Any, attributes: Mapping[str, AttributeValue]) -> Span:
        url = request.url
        method = attributes["http.request.method"]
        described: dict[str, AttributeValue] = {
            "http.request.method": method,
            "server.address": url.host,
            "server.port": url.port or (443 if url.scheme == "https" else 80),
            "url.full": redact_url(str(url)),
        }
        name = "HTTP" if method == _OTHER else str(method)
        return self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=described)

    def _tell(self, request: Any, span: Span | None) -> dict[str, str | None]:
        """Add the headers, and return what they were before."""
        if self._hosts is not None and not _is_among(request.url.host, self._hosts):
            return {}
        told: dict[str, str] = {}
        current = None if span is None else trace.set_span_in_context(span)
        self._propagator.inject(told, current, _SETTER)
        answered = context.current()
        if answered is not None and _REQUEST_ID not in request.headers:
            told[_REQUEST_ID] = answered.request_id
        before = {name: request.headers.get(name) for name in told}
        for name, value in told.items():
            request.headers[name] = value
        return before


def _is_among(host: str, hosts: Collection[str]) -> bool:
    host = host.lower()
    if host in hosts:
        return True
    parents = host.split(".")
    return any(f"*.{'.'.join(parents[start:])}" in hosts for start in range(1, len(parents)))


def _restore(headers: MutableMapping[str, str], name: str, value: str | None) -> None:
    if value is None:
        headers.pop(name, None)
    else:
        headers[name] = value


def _end(span: Span, attributes: Mapping[str, AttributeValue]) -> None:
    for name in ("http.response.status_code", "error.type"):
        if name in attributes:
            span.set_attribute(name, attributes[name])
    if "error.type" in attributes:
        span.set_status(StatusCode.ERROR)
    span.end()
