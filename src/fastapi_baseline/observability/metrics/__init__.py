"""Metrics for Prometheus: what OpenTelemetry's instruments measure, at `/metrics`."""

from fastapi_baseline.observability.metrics.event_loop import EventLoopMonitor
from fastapi_baseline.observability.metrics.exposition import write_metrics
from fastapi_baseline.observability.metrics.provider import PrometheusMeterProvider
from fastapi_baseline.observability.metrics.recording import (
    CheckOutcome,
    HealthMetrics,
    observe_dropped_log_records,
    record_build_info,
)
from fastapi_baseline.observability.metrics.refreshing import ObservableRefresh
from fastapi_baseline.observability.metrics.requests import MeasuredExchange, RequestMetrics
from fastapi_baseline.observability.metrics.routes import METRICS_PATH, make_metrics_router
from fastapi_baseline.observability.metrics.slots import activate_slots
from fastapi_baseline.observability.metrics.views import CONVENTIONS, View

__all__ = [
    "CONVENTIONS",
    "METRICS_PATH",
    "CheckOutcome",
    "EventLoopMonitor",
    "HealthMetrics",
    "MeasuredExchange",
    "ObservableRefresh",
    "PrometheusMeterProvider",
    "RequestMetrics",
    "View",
    "activate_slots",
    "make_metrics_router",
    "observe_dropped_log_records",
    "record_build_info",
    "write_metrics",
]
