"""OpenTelemetry's metrics API on top of `prometheus_client`.

Whatever measures with that API, FastAPI and the hooks for databases among it, lands on `/metrics`
without the cost of OpenTelemetry's aggregation, and also where several processes count together.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from opentelemetry import metrics
from opentelemetry.metrics import CallbackT
from opentelemetry.metrics import _Gauge as Gauge
from opentelemetry.util.types import Attributes
from prometheus_client import REGISTRY, CollectorRegistry

from fastapi_baseline.observability.metrics.instruments import (
    BoundCounter,
    BoundGauge,
    BoundHistogram,
    BoundUpDownCounter,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    ObservedCounter,
    ObservedGauge,
)
from fastapi_baseline.observability.metrics.registration import (
    Instrument,
    Make,
    describe,
    find_family,
    make_counter,
    make_gauge,
    make_histogram,
    observe,
)
from fastapi_baseline.observability.metrics.series import ChildT, Family
from fastapi_baseline.observability.metrics.slots import is_counting_together
from fastapi_baseline.observability.metrics.views import CONVENTIONS, View

_NO_VIEW = View()
_NOTHING = metrics.NoOpMeter("fastapi_baseline")


class PrometheusMeterProvider(metrics.MeterProvider):
    """Gives meters whose instruments write into a registry of Prometheus.

    Providers for one registry share its metrics: the first that makes one says what it is like.
    A metric has at most `max_series` series; what is recorded beyond goes into one with the label
    `otel_metric_overflow="true"`, and is counted in `baseline_metrics_dropped_total`. `views` say
    by the names of instruments which attributes are labels, and which buckets a histogram has;
    they win over those of `CONVENTIONS`.
    """

    def __init__(
        self,
        registry: CollectorRegistry = REGISTRY,
        *,
        max_series: int = 2_000,
        views: Mapping[str, View] | None = None,
    ) -> None:
        """Write into `registry`."""
        self.registry = registry
        self._max_series = max_series
        self._views = {**CONVENTIONS, **(views or {})}

    def get_meter(  # noqa: PLR0917 -- the signature is OpenTelemetry's
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> metrics.Meter:
        """Return a meter; which library asks makes no difference to the metrics."""
        del attributes
        return _PrometheusMeter(
            name,
            version,
            schema_url,
            registry=self.registry,
            max_series=self._max_series,
            views=self._views,
        )


class _PrometheusMeter(metrics.Meter):
    def __init__(
        self,
        name: str,
        version: str | None,
        schema_url: str | None,
        *,
        registry: CollectorRegistry,
        max_series: int,
        views: Mapping[str, View],
    ) -> None:
        super().__init__(name, version, schema_url)
        self._registry = registry
        self._max_series = max_series
        self._views = views
        # What the other processes would have to know of an exemplar is in no file.
        self._exemplars = not is_counting_together()

    def _find(self, instrument: Instrument, make: Make[ChildT]) -> Family[ChildT] | None:
        description = describe(instrument, self._views.get(instrument.name, _NO_VIEW))
        return find_family(self._registry, description, make, max_series=self._max_series)

    def create_counter(self, name: str, unit: str = "", description: str = "") -> metrics.Counter:
        family = self._find(_counter(name, unit, description), make_counter)
        if family is None:
            return _NOTHING.create_counter(name)
        return BoundCounter(family, exemplars=self._exemplars)

    def create_up_down_counter(
        self, name: str, unit: str = "", description: str = ""
    ) -> metrics.UpDownCounter:
        family = self._find(_sum(name, unit, description), make_gauge)
        return (
            _NOTHING.create_up_down_counter(name) if family is None else BoundUpDownCounter(family)
        )

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> metrics.Histogram:
        instrument = Instrument(
            name=name,
            unit=unit,
            text=description,
            kind="histogram",
            across="livesum",
            advised=explicit_bucket_boundaries_advisory,
        )
        family = self._find(instrument, make_histogram)
        if family is None:
            return _NOTHING.create_histogram(name)
        return BoundHistogram(family, exemplars=self._exemplars)

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> Gauge:
        family = self._find(_gauge(name, unit, description), make_gauge)
        return _NOTHING.create_gauge(name) if family is None else BoundGauge(family)

    def create_observable_counter(  # noqa: PLR0917 -- the signature is OpenTelemetry's
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> metrics.ObservableCounter:
        family = self._find(_counter(name, unit, description), make_counter)
        observe(self._registry, family, ObservedCounter, callbacks=callbacks)
        return ObservableCounter()

    def create_observable_up_down_counter(  # noqa: PLR0917 -- the signature is OpenTelemetry's
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> metrics.ObservableUpDownCounter:
        family = self._find(_sum(name, unit, description), make_gauge)
        wrap = partial(ObservedGauge, additive=True)
        observe(self._registry, family, wrap, callbacks=callbacks)
        return ObservableUpDownCounter()

    def create_observable_gauge(  # noqa: PLR0917 -- the signature is OpenTelemetry's
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> metrics.ObservableGauge:
        family = self._find(_gauge(name, unit, description), make_gauge)
        wrap = partial(ObservedGauge, additive=False)
        observe(self._registry, family, wrap, callbacks=callbacks)
        return ObservableGauge()


def _counter(name: str, unit: str, text: str) -> Instrument:
    return Instrument(name=name, unit=unit, text=text, kind="counter", across="livesum")


def _sum(name: str, unit: str, text: str) -> Instrument:
    return Instrument(name=name, unit=unit, text=text, kind="gauge", across="livesum")


def _gauge(name: str, unit: str, text: str) -> Instrument:
    return Instrument(name=name, unit=unit, text=text, kind="gauge", across="livemostrecent")
