"""The metrics of a registry: made when they are first asked for, and shared from then on."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry.metrics import CallbackT
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fastapi_baseline.observability.metrics.instruments import Observed
from fastapi_baseline.observability.metrics.naming import Kind, metric_name, unit_suffix
from fastapi_baseline.observability.metrics.series import ChildT, Description, Family
from fastapi_baseline.observability.metrics.views import (
    ANYTHING,
    SECONDS,
    MultiprocessMode,
    View,
)

logger = logging.getLogger(__name__)

Make = Callable[[Description, Sequence[str]], ChildT]
"""Makes what holds the series with labels of these names."""

_DROPPED = Description(
    name="baseline_metrics_dropped",
    kind="counter",
    unit="",
    text="Records that went into the one series for all that a metric has no room for.",
    attributes=("instrument",),
    across="livesum",
    buckets=(),
)


class Registration:
    """The metrics of one registry that came from OpenTelemetry's instruments."""

    def __init__(self) -> None:
        """Start without any."""
        self.lock = threading.RLock()
        self.families: dict[str, Family[Any]] = {}
        self.observed: dict[str, Observed] = {}

    def count_overflow(self, name: str) -> None:
        """Count one record of a metric that had no room for it."""
        family = self.families.get(_DROPPED.name)
        if family is not None and name != _DROPPED.name:
            family.child({"instrument": name}).inc()


# Several applications of one process may share a registry, which can hold each metric only once.
_registrations: WeakKeyDictionary[CollectorRegistry, Registration] = WeakKeyDictionary()
_lock = threading.Lock()


def registration_of(registry: CollectorRegistry) -> Registration:
    """Return the metrics of a registry."""
    with _lock:
        return _registrations.setdefault(registry, Registration())


def refresh_observed(registry: CollectorRegistry) -> None:
    """Ask the callbacks of all observable instruments of a registry for their values."""
    registration = registration_of(registry)
    with registration.lock:
        observed = list(registration.observed.values())
    for metric in observed:
        metric.refresh()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """What a library says of an instrument that it asks for."""

    name: str
    unit: str
    text: str
    kind: Kind
    across: MultiprocessMode
    advised: Sequence[float] | None = None


def describe(instrument: Instrument, view: View) -> Description:
    """Return what the metric of an instrument is."""
    suffix = unit_suffix(instrument.unit, instrument.kind)
    name = view.name or metric_name(instrument.name, unit=suffix, kind=instrument.kind)
    default = SECONDS if suffix == "seconds" else ANYTHING
    is_histogram = instrument.kind == "histogram"
    return Description(
        name=name,
        kind=instrument.kind,
        # The client adds the unit to a name that does not end in it.
        unit=suffix if suffix and name.endswith(f"_{suffix}") else "",
        text=instrument.text or f"The instrument {instrument.name}.",
        attributes=None if view.attributes is None else tuple(view.attributes),
        across=view.across or instrument.across,
        buckets=tuple(view.buckets or instrument.advised or default) if is_histogram else (),
    )


def find_family(
    registry: CollectorRegistry,
    description: Description,
    make: Make[ChildT],
    *,
    max_series: int,
) -> Family[ChildT] | None:
    """Return the metric of that description, made if the registry does not have it yet.

    `None` if the name is already taken by something else; that is logged, since a service must
    not fail for a metric.
    """
    registration = registration_of(registry)
    with registration.lock:
        if description is not _DROPPED and _DROPPED.name not in registration.families:
            find_family(registry, _DROPPED, make_counter, max_series=10_000)
        found = registration.families.get(description.name)
        if found is None:
            made = Family(
                description, make, max_series=max_series, on_overflow=registration.count_overflow
            )
            try:
                registry.register(made)
            except ValueError:
                logger.warning("The metric %s exists already, from elsewhere.", description.name)
                return None
            registration.families[description.name] = made
            return made
        if found.description.kind != description.kind or found.description.unit != description.unit:
            logger.warning(
                "The metric %s is already a %s.", description.name, found.description.kind
            )
            return None
        return found


def observe(
    registry: CollectorRegistry,
    family: Family[ChildT] | None,
    wrap: Callable[[Family[ChildT]], Observed],
    *,
    callbacks: Sequence[CallbackT] | None,
) -> None:
    """Let the values of a metric come from callbacks, besides those that it already has."""
    if family is None:
        return
    registration = registration_of(registry)
    with registration.lock:
        observed = registration.observed.get(family.description.name)
        if observed is None:
            observed = registration.observed[family.description.name] = wrap(family)
            family.before_collect = observed.refresh
        observed.add_callbacks(callbacks or ())


def make_counter(description: Description, names: Sequence[str]) -> Counter:
    """Return a counter that is in no registry."""
    return Counter(description.name, description.text, names, unit=description.unit, registry=None)


def make_gauge(description: Description, names: Sequence[str]) -> Gauge:
    """Return a gauge that is in no registry."""
    return Gauge(
        description.name,
        description.text,
        names,
        unit=description.unit,
        registry=None,
        multiprocess_mode=description.across,
    )


def make_histogram(description: Description, names: Sequence[str]) -> Histogram:
    """Return a histogram that is in no registry."""
    return Histogram(
        description.name,
        description.text,
        names,
        unit=description.unit,
        registry=None,
        buckets=description.buckets,
    )
