"""OpenTelemetry's instruments, which write into series of Prometheus."""

import logging
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Protocol

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, CallbackT, Observation
from opentelemetry.metrics import _Gauge as OpenTelemetryGauge
from opentelemetry.util.types import Attributes
from prometheus_client import Counter, Gauge, Histogram

from fastapi_baseline.observability.metrics.series import Family

logger = logging.getLogger(__name__)

_ENDED = object()


class BoundCounter(metrics.Counter):
    """Adds to a counter of Prometheus, with the current span as exemplar if it is sampled."""

    def __init__(self, family: Family[Counter], *, exemplars: bool) -> None:
        """Write to `family`; processes that count together have no `exemplars`."""
        self._family = family
        self._exemplars = exemplars

    def add(
        self, amount: float, attributes: Attributes = None, context: Context | None = None
    ) -> None:
        """Add what is not negative; anything else is left out, and logged."""
        if amount < 0:
            logger.warning("%s cannot go down by %s.", self._family.description.name, -amount)
            return
        exemplar = _exemplar(context) if self._exemplars else None
        self._family.child(attributes).inc(amount, exemplar)


class BoundUpDownCounter(metrics.UpDownCounter):
    """Adds to a gauge of Prometheus."""

    def __init__(self, family: Family[Gauge]) -> None:
        """Write to `family`."""
        self._family = family

    def add(
        self, amount: float, attributes: Attributes = None, context: Context | None = None
    ) -> None:
        """Add to the series, or take from it."""
        del context
        self._family.child(attributes).inc(amount)


class BoundHistogram(metrics.Histogram):
    """Observes in a histogram of Prometheus, with the current span as exemplar if it is sampled."""

    def __init__(self, family: Family[Histogram], *, exemplars: bool) -> None:
        """Write to `family`; processes that count together have no `exemplars`."""
        self._family = family
        self._exemplars = exemplars

    def record(
        self, amount: float, attributes: Attributes = None, context: Context | None = None
    ) -> None:
        """Observe one value."""
        exemplar = _exemplar(context) if self._exemplars else None
        self._family.child(attributes).observe(amount, exemplar)


class BoundGauge(OpenTelemetryGauge):
    """Sets a gauge of Prometheus."""

    def __init__(self, family: Family[Gauge]) -> None:
        """Write to `family`."""
        self._family = family

    def set(
        self, amount: float, attributes: Attributes = None, context: Context | None = None
    ) -> None:
        """Set the series."""
        del context
        self._family.child(attributes).set(amount)


def _exemplar(context: Context | None) -> dict[str, str] | None:
    span = trace.get_current_span(context).get_span_context()
    if not span.trace_flags.sampled:
        return None
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}


class Observed(Protocol):
    """A metric whose values come from callbacks, whenever it is looked at."""

    def add_callbacks(self, callbacks: Iterable[CallbackT]) -> None:
        """Ask these, too, from now on."""
        ...

    def refresh(self) -> None:
        """Ask all callbacks, and take over what they say.

        One that raises is logged and left out, until the next time.
        """
        ...


class _Callbacks:
    """The callbacks of one metric, and what they say."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._known: list[CallbackT] = []
        self._callbacks: list[Callable[[CallbackOptions], Iterable[Observation]]] = []

    def add(self, callbacks: Iterable[CallbackT]) -> None:
        for callback in callbacks:
            if callback in self._known:
                continue
            self._known.append(callback)
            if callable(callback):
                self._callbacks.append(callback)
            elif next(callback, _ENDED) is not _ENDED:  # Its first `yield` takes the options.
                self._callbacks.append(callback.send)

    def observations(self) -> Generator[Observation]:
        for callback in self._callbacks:
            try:
                # A list, so that a generator that raises half way counts not at all.
                found = list(callback(CallbackOptions()))
            except StopIteration:
                continue
            except Exception:
                logger.exception("A callback of the metric %s failed.", self._name)
                continue
            yield from found


class ObservedCounter:
    """A counter that takes over totals, and goes on where a process before this one ended."""

    def __init__(self, family: Family[Counter]) -> None:
        """Write to `family`."""
        self._family = family
        self._callbacks = _Callbacks(family.description.name)
        self._totals: dict[Counter, float] = {}
        self._lock = threading.Lock()

    def add_callbacks(self, callbacks: Iterable[CallbackT]) -> None:
        """Ask these, too, from now on."""
        self._callbacks.add(callbacks)

    def refresh(self) -> None:
        """Add what has come since the last time; a total that went down has begun again."""
        with self._lock:
            totals: dict[Counter, float] = {}
            for observation in self._callbacks.observations():
                child = self._family.child(observation.attributes)
                totals[child] = totals.get(child, 0.0) + observation.value
            for child, total in totals.items():
                before = self._totals.get(child, 0.0)
                child.inc(total - before if total >= before else max(total, 0.0))
            self._totals |= totals


class ObservedGauge:
    """A gauge that takes over values; those of one series are added up if it is `additive`."""

    def __init__(self, family: Family[Gauge], *, additive: bool) -> None:
        """Write to `family`."""
        self._family = family
        self._callbacks = _Callbacks(family.description.name)
        self._additive = additive
        self._lock = threading.Lock()

    def add_callbacks(self, callbacks: Iterable[CallbackT]) -> None:
        """Ask these, too, from now on."""
        self._callbacks.add(callbacks)

    def refresh(self) -> None:
        """Set what was observed; a series that was not is 0, or unknown if it is no sum."""
        with self._lock:
            values: dict[Gauge, float] = {}
            for observation in self._callbacks.observations():
                child = self._family.child(observation.attributes)
                before = values.get(child, 0.0) if self._additive else 0.0
                values[child] = before + observation.value
            for child in self._family.series().values():
                child.set(values.get(child, 0.0 if self._additive else float("nan")))


class ObservableCounter(metrics.ObservableCounter):
    """A counter whose callbacks are asked whenever the metrics are looked at."""

    def __init__(self) -> None:
        """Have nothing to call."""


class ObservableUpDownCounter(metrics.ObservableUpDownCounter):
    """A sum whose callbacks are asked whenever the metrics are looked at."""

    def __init__(self) -> None:
        """Have nothing to call."""


class ObservableGauge(metrics.ObservableGauge):
    """A gauge whose callbacks are asked whenever the metrics are looked at."""

    def __init__(self) -> None:
        """Have nothing to call."""
