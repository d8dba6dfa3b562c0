"""The endpoint that Prometheus scrapes."""

import asyncio
import gzip

from fastapi import APIRouter, Request
from prometheus_client import REGISTRY, CollectorRegistry
from starlette.responses import Response

from fastapi_baseline.observability.metrics.exposition import OPENMETRICS, TEXT, write_metrics

METRICS_PATH = "/metrics"
_OPENMETRICS_TYPE = "application/openmetrics-text"
_TEXT_TYPE = "text/plain"
_MINIMUM_TO_COMPRESS = 1_024
_FAST = 1


def make_metrics_router(
    registry: CollectorRegistry = REGISTRY, *, path: str = METRICS_PATH
) -> APIRouter:
    """Return the route that shows the metrics of a registry.

    It answers in OpenMetrics, which has exemplars, if the `Accept` header prefers that, and else in
    Prometheus's own format; compressed by gzip if that is accepted. The metrics are collected in a
    thread, so that a large scrape holds up no request. Nothing is guarded: who may see them is
    for whoever includes the router to decide.
    """
    router = APIRouter(include_in_schema=False)

    @router.get(path)
    async def show_metrics(request: Request) -> Response:
        accepted = _qualities(request, "accept")
        is_openmetrics = accepted.get(_OPENMETRICS_TYPE, 0.0) > 0 and (
            accepted[_OPENMETRICS_TYPE] >= accepted.get(_TEXT_TYPE, 0.0)
        )
        is_compressed = _qualities(request, "accept-encoding").get("gzip", 0.0) > 0
        return await asyncio.to_thread(
            _answer, registry, is_openmetrics=is_openmetrics, is_compressed=is_compressed
        )

    return router


def _answer(registry: CollectorRegistry, *, is_openmetrics: bool, is_compressed: bool) -> Response:
    body = write_metrics(registry, is_openmetrics=is_openmetrics)
    headers = {
        "Content-Type": OPENMETRICS if is_openmetrics else TEXT,
        "Vary": "Accept, Accept-Encoding",
    }
    if is_compressed and len(body) >= _MINIMUM_TO_COMPRESS:
        body = gzip.compress(body, _FAST, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers)


def _qualities(request: Request, header: str) -> dict[str, float]:
    """Return what a header names and how much it is liked (RFC 9110, section 12.4.2)."""
    qualities: dict[str, float] = {}
    for part in ",".join(request.headers.getlist(header)).split(","):
        name, *parameters = [piece.strip().lower() for piece in part.split(";")]
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        try:
            value = float(quality)
        except ValueError:
            value = 0.0
        qualities[name] = max(value, qualities.get(name, 0.0))
    return qualities
