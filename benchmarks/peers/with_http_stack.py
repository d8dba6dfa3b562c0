"""The stack that a service would assemble from peers to have the features of ours."""

import logging
import time
from collections.abc import Awaitable, Callable

import structlog
from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from fastapi import FastAPI, Request, Response
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio, Sampler
from prometheus_fastapi_instrumentator import Instrumentator
from secure.middleware import SecureASGIMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

MINIMUM_SIZE = 1024


def make(app: FastAPI, *, origin: str, collector: str | None, ratio: float | None) -> FastAPI:
    """Add the layers to an application, each as its documentation says; the last one is outermost.

    Without a collector nothing is traced; without a ratio, the SDK's default decides: everything.
    """
    app.add_middleware(GZipMiddleware, minimum_size=MINIMUM_SIZE)
    app.add_middleware(CORSMiddleware, allow_origins=[origin], expose_headers=["X-Request-ID"])
    app.add_middleware(SecureASGIMiddleware)
    _log_requests(app)
    app.add_middleware(CorrelationIdMiddleware, validator=None)
    Instrumentator().instrument(app).expose(app)
    if collector is not None:
        resource = Resource.create({"service.name": "benchmark"})
        sampler: Sampler | None = None if ratio is None else ParentBasedTraceIdRatio(ratio)
        provider = TracerProvider(resource=resource, sampler=sampler)
        exporter = OTLPSpanExporter(endpoint=f"{collector}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        FastAPIInstrumentor.instrument_app(
            app, tracer_provider=provider, excluded_urls="metrics,readyz"
        )
    return app


def _log_requests(app: FastAPI) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    log = structlog.get_logger("access")

    @app.middleware("http")
    async def log_request(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        started = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=correlation_id.get())
        response = await call_next(request)
        log.info(
            "request",
            method=request.method,
            path=request.url.path,
            client=request.client.host if request.client else None,
            status=response.status_code,
            duration_ms=round((time.perf_counter() - started) * 1000, 3),
        )
        return response
