"""Probes of metrics: the OpenTelemetry contributions, two instrumentators, prometheus-client."""

import contextlib
import inspect
import os
from collections.abc import AsyncIterator, Sequence

from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.middleware.opentelemetry import OpenTelemetryMiddleware
from starlette_exporter import PrometheusMiddleware

from benchmarks.peers.defects.probe import Seen, probe
from benchmarks.peers.http_defects.serving import ask, scope_of, series

CONTRIB = "opentelemetry-instrumentation-fastapi"
INSTRUMENTATOR = "prometheus-fastapi-instrumentator"
INCLUDED, MOUNTED = "/v1/items/sub/{item_id}", "/mnt/thing/{thing_id}"


def _application(**options: object) -> FastAPI:
    """Return an application with a route behind two routers, and one behind a mount."""
    inner, outer = APIRouter(), APIRouter(prefix="/items")
    app, mounted = FastAPI(**options), FastAPI()

    @inner.get("/{item_id}")
    async def get_item(item_id: int) -> int:
        return item_id

    @mounted.get("/thing/{thing_id}")
    async def get_thing(thing_id: int) -> int:
        return thing_id

    async def parts() -> AsyncIterator[bytes]:
        yield b"x" * 10

    @app.get("/streamed")
    async def streamed() -> StreamingResponse:
        return StreamingResponse(parts())

    @app.get("/long")
    async def long() -> PlainTextResponse:
        return PlainTextResponse("x" * 50_000)

    outer.include_router(inner, prefix="/sub")
    app.include_router(outer, prefix="/v1")
    app.mount("/mnt", mounted)
    return app


def _measured_by_contrib() -> tuple[FastAPI, InMemoryMetricReader]:
    # Unless it is told to, it writes names that were replaced in 2023.
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"  # noqa: TID251 - read by the peer
    app, reader = _application(), InMemoryMetricReader()
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=TracerProvider(), meter_provider=MeterProvider([reader])
    )
    return app, reader


def _points(reader: InMemoryMetricReader, name: str) -> list[object]:
    found = reader.get_metrics_data()
    return [
        point
        for resource in (found.resource_metrics if found else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    ]


def _instrumented() -> tuple[FastAPI, CollectorRegistry]:
    app, registry = _application(), CollectorRegistry()
    Instrumentator(registry=registry).instrument(app)
    return app, registry


def _exported() -> FastAPI:
    app = _application()
    app.add_middleware(PrometheusMiddleware)
    return app


def _default_scrape() -> str:
    from prometheus_client import REGISTRY  # noqa: PLC0415 - used by this peer only

    return generate_latest(REGISTRY).decode()


async def _routes(app: FastAPI) -> None:
    await ask(app, scope_of("/v1/items/sub/3"))
    await ask(app, scope_of("/mnt/thing/4"))


def _labels(text: str, name: str, metric: str) -> list[str]:
    mark = f'{name}="'
    found = {line.partition(mark)[2].partition('"')[0] for line in series(text, contains=metric)}
    return sorted(found - {""})


@probe("streamed_size", peer=CONTRIB, environment="http")
async def streamed_size() -> Seen:
    """Stream ten bytes after a body of 50 000."""
    app, reader = _measured_by_contrib()
    await ask(app, scope_of("/long"))
    await ask(app, scope_of("/streamed"))
    sizes = {
        point.attributes.get("http.route"): point.sum
        for point in _points(reader, "http.server.response.body.size")
    }
    return Seen(sizes.get("/streamed") not in {10, None}, f"bytes by route: {sizes}")


@probe("mounted_route", peer=CONTRIB, environment="http")
async def mounted_route_contrib() -> Seen:
    """Ask a route of a mounted application."""
    app, reader = _measured_by_contrib()
    await _routes(app)
    points = _points(reader, "http.server.request.duration")
    routes = sorted(str(point.attributes.get("http.route")) for point in points)
    return Seen(MOUNTED not in routes, f"routes: {routes}")


@probe("included_route", peer=CONTRIB, environment="http")
async def included_route_contrib() -> Seen:
    """Ask a route behind two routers."""
    app, reader = _measured_by_contrib()
    await _routes(app)
    points = _points(reader, "http.server.request.duration")
    routes = sorted(str(point.attributes.get("http.route")) for point in points)
    return Seen(INCLUDED not in routes, f"routes: {routes}")


@probe("included_route", peer="starlette", environment="http")
async def included_route_starlette() -> Seen:
    """Likewise, with the middleware that Starlette brings."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = _application()
    app.add_middleware(OpenTelemetryMiddleware, tracer_provider=provider)
    await _routes(app)
    routes = [
        str((span.attributes or {}).get("http.route")) for span in exporter.get_finished_spans()
    ]
    return Seen(INCLUDED not in routes, f"routes: {routes}")


@probe("mounted_route", peer=INSTRUMENTATOR, environment="http")
async def mounted_route_instrumentator() -> Seen:
    """Likewise."""
    app, registry = _instrumented()
    await _routes(app)
    routes = _labels(generate_latest(registry).decode(), "handler", "http_requests_total")
    return Seen(MOUNTED not in routes, f"handlers: {routes}")


@probe("included_route", peer=INSTRUMENTATOR, environment="http")
async def included_route_instrumentator() -> Seen:
    """Likewise."""
    app, registry = _instrumented()
    await _routes(app)
    routes = _labels(generate_latest(registry).decode(), "handler", "http_requests_total")
    return Seen(INCLUDED not in routes, f"handlers: {routes}")


@probe("included_route", peer="starlette-exporter", environment="http")
async def included_route_exporter() -> Seen:
    """Likewise."""
    await _routes(_exported())
    routes = _labels(_default_scrape(), "path", "starlette_requests_total")
    return Seen(INCLUDED not in routes, f"paths: {routes}")


@probe("mounted_route", peer="starlette-exporter", environment="http")
async def mounted_route_exporter() -> Seen:
    """Likewise."""
    await _routes(_exported())
    routes = _labels(_default_scrape(), "path", "starlette_requests_total")
    return Seen(MOUNTED not in routes, f"paths: {routes}")


def _methods(found: Sequence[str]) -> Seen:
    return Seen(any(name.startswith("MADE") for name in found), f"methods: {sorted(found)}")


async def _made_up_methods(app: FastAPI) -> None:
    for method in ("GET", "MADEUP1", "MADEUP2"):
        await ask(app, scope_of("/long", method=method))


@probe("closed_methods", peer=INSTRUMENTATOR, environment="http")
async def closed_methods_instrumentator() -> Seen:
    """Ask with methods that nobody knows."""
    app, registry = _instrumented()
    await _made_up_methods(app)
    return _methods(_labels(generate_latest(registry).decode(), "method", "http_requests_total"))


@probe("closed_methods", peer="starlette-exporter", environment="http")
async def closed_methods_exporter() -> Seen:
    """Likewise."""
    await _made_up_methods(_exported())
    return _methods(_labels(_default_scrape(), "method", "starlette_requests_total"))


@probe("closed_methods", peer=CONTRIB, environment="http")
async def closed_methods_contrib() -> Seen:
    """Likewise."""
    app, reader = _measured_by_contrib()
    await _made_up_methods(app)
    points = _points(reader, "http.server.request.duration")
    return _methods([str(point.attributes["http.request.method"]) for point in points])


@probe("unmatched_paths", peer=INSTRUMENTATOR, environment="http")
async def unmatched_paths_instrumentator() -> Seen:
    """Ask for paths that no route has."""
    app, registry = _instrumented()
    for number in range(5):
        await ask(app, scope_of(f"/nowhere/{number}"))
    paths = _labels(generate_latest(registry).decode(), "handler", "http_requests_total")
    return Seen(len(paths) > 1, f"handlers: {paths}")


@probe("unmatched_paths", peer="starlette-exporter", environment="http")
async def unmatched_paths_exporter() -> Seen:
    """Likewise."""
    app = _exported()
    for number in range(5):
        await ask(app, scope_of(f"/nowhere/{number}"))
    paths = [p for p in _labels(_default_scrape(), "path", "starlette_requests_total") if "no" in p]
    return Seen(len(paths) > 1, f"paths: {paths}")


@probe("scrape_off_the_loop", peer=INSTRUMENTATOR, environment="http")
async def scrape_off_the_loop() -> Seen:
    """Look whether the metrics are collected in a thread, or where all requests are served."""
    app = FastAPI()
    Instrumentator(registry=CollectorRegistry()).instrument(app).expose(app)
    (endpoint,) = [route.endpoint for route in app.routes if route.path == "/metrics"]
    is_in_loop = inspect.iscoroutinefunction(endpoint)
    return Seen(
        is_in_loop, "collected in the event loop" if is_in_loop else "collected in a thread"
    )


@probe("traced_statements", peer="opentelemetry-instrumentation-sqlalchemy", environment="http")
async def traced_statements() -> Seen:
    """Instrument the release of SQLAlchemy that is current, and run a statement."""
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor  # noqa: PLC0415
    from sqlalchemy import create_engine, text  # noqa: PLC0415

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with contextlib.suppress(Exception):
        SQLAlchemyInstrumentor().instrument(tracer_provider=provider)
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()
    spans = [span.name for span in exporter.get_finished_spans()]
    return Seen(not spans, f"spans of one statement: {spans}")


@probe("secrets_in_spans", peer=CONTRIB, environment="http")
async def secrets_in_spans() -> Seen:
    """Send a token in a query, and look for it in the span."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = _application()
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    await ask(app, scope_of("/long?access_token=s3cret&api_key=s3cret"))
    spans = exporter.get_finished_spans()
    found = sorted(
        {name for s in spans for name, v in (s.attributes or {}).items() if "s3cret" in str(v)}
    )
    return Seen(bool(found), f"attributes with the token: {found}")
