"""What is measured and traced of an application, joined with what does it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.trace import TracerProvider
from prometheus_client import REGISTRY, CollectorRegistry
from starlette.types import Scope

from fastapi_baseline.lifecycle import StatelessLifespan
from fastapi_baseline.observability.metrics import (
    EventLoopMonitor,
    HealthMetrics,
    ObservableRefresh,
    PrometheusMeterProvider,
    RequestMetrics,
    activate_slots,
    record_build_info,
)
from fastapi_baseline.observability.tracing import find_traces_endpoint
from fastapi_baseline.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Where the measurements and the spans of an application go.

    `tracer_provider` is `None` if they go where the process has said for all of it, if anywhere.
    """

    settings: Settings
    registry: CollectorRegistry
    meter_provider: MeterProvider
    tracer_provider: TracerProvider | None

    @property
    def is_measuring(self) -> bool:
        """Return whether anything is measured."""
        return self.settings.metrics.enabled

    def as_config(self, *, excluded: Collection[str]) -> TelemetryConfig:
        """Return what FastAPI's own telemetry is to do; nothing for the paths in `excluded`."""
        paths = frozenset(excluded)

        def is_excluded(scope: Any) -> bool:
            return scope["path"] in paths

        return {
            "tracer_provider": self.tracer_provider,
            # To ask on every request for a provider that never comes has its cost, too.
            "tracing": self.tracer_provider is not None
            or not _is_undecided(trace.get_tracer_provider()),
            # Errors and refusals have lines in the log of the process, which are not sent twice,
            # and requests are measured where these are written.
            "logs": False,
            "metrics": False,
            "operation_spans": self.settings.tracing.operation_spans,
            "auto_configure": False,
            "exclude": is_excluded,
        }

    def request_metrics(self) -> RequestMetrics | None:
        """Return what measures requests, or `None` if nothing does."""
        if not self.is_measuring:
            return None
        return RequestMetrics(self.meter_provider, body_sizes=self.settings.metrics.body_sizes)

    def health_metrics(self) -> HealthMetrics:
        """Return what records the outcomes of health checks."""
        return HealthMetrics(self.meter_provider)

    def lifespans(self) -> list[StatelessLifespan]:
        """Return what measures and sends beside the requests, to be entered in this order."""
        entered: list[StatelessLifespan] = []
        if self.tracer_provider is not None and hasattr(self.tracer_provider, "force_flush"):
            from fastapi_baseline.observability.tracing import (  # noqa: PLC0415 -- loads the SDK
                make_tracing_lifespan,
            )

            provider: Any = self.tracer_provider
            entered.append(make_tracing_lifespan(provider))
        if self.is_measuring:
            entered.append(ObservableRefresh(self.registry).lifespan)
            entered.append(EventLoopMonitor(self.meter_provider).lifespan)
        return entered


def make_telemetry(
    settings: Settings, *, version: str, tracer_provider: TracerProvider | None = None
) -> Telemetry:
    """Return the telemetry of a service; `tracer_provider` takes the place of the settings' own.

    Raises:
        ConfigurationError: If the endpoint for traces cannot be used, the extra for it is missing,
            or the folder in which processes count together cannot be written to.
    """
    if settings.metrics.enabled and settings.prometheus_multiproc_dir is not None:
        activate_slots(settings.prometheus_multiproc_dir)
    provider: MeterProvider = NoOpMeterProvider()
    if settings.metrics.enabled:
        provider = PrometheusMeterProvider(REGISTRY, max_series=settings.metrics.max_series)
        record_build_info(provider, version=version, commit=settings.build.commit or "")
    return Telemetry(
        settings=settings,
        registry=REGISTRY,
        meter_provider=provider,
        tracer_provider=tracer_provider or _make_tracer_provider(settings, version),
    )


def make_global(telemetry: Telemetry) -> None:
    """Let the whole process trace there, unless it has been told otherwise before.

    FastAPI's own telemetry asks for the provider of the process where an application has none, and
    so do tracers that are asked for without one.
    """
    provider = telemetry.tracer_provider
    if provider is not None and _is_undecided(trace.get_tracer_provider()):
        trace.set_tracer_provider(provider)


def exclude_from_telemetry(scope: Scope) -> None:
    """Keep a request out of FastAPI's own telemetry; it asks for this key before all else."""
    scope["fastapi.telemetry"] = None


def _is_undecided(provider: object) -> bool:
    """Return whether a provider only stands in for one that may come; the API has no question."""
    return type(provider).__name__ == "ProxyTracerProvider"


def _make_tracer_provider(settings: Settings, version: str) -> TracerProvider | None:
    if find_traces_endpoint(settings) is None:
        return None
    from fastapi_baseline.observability.tracing import (  # noqa: PLC0415 -- loads the SDK
        make_tracer_provider,
    )

    return make_tracer_provider(settings, version=version)
