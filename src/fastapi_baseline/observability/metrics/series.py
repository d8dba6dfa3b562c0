"""One metric: its time series, how they are found quickly, and how many there may be."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from opentelemetry.util.types import Attributes, AttributeValue
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from fastapi_baseline.observability.metrics.naming import Kind, label_name
from fastapi_baseline.observability.metrics.views import MultiprocessMode

ChildT = TypeVar("ChildT", Counter, Gauge, Histogram)
Labels = tuple[tuple[str, str], ...]

MAX_ERROR_TYPES = 50
"""Classes of errors come from code, but from all of it; those beyond are `_OTHER`."""
MAX_LABEL_LENGTH = 256
"""A route is shorter; what is longer is not from a closed set."""
_ERROR_TYPE = "error.type"
_OTHER = "_OTHER"
_OVERFLOW: Labels = (("otel_metric_overflow", "true"),)
_NOTHING: Mapping[str, AttributeValue] = {}


class FixedAttributes(dict[str, AttributeValue]):
    """Attributes that nobody changes, so that their series is found by the object that they are.

    Whoever records the same few again and again keeps these and passes them.
    """

    __slots__ = ()
    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType] -- a dict has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a metric is; two instruments with the same one are the same."""

    name: str
    kind: Kind
    unit: str
    text: str
    attributes: tuple[str, ...] | None
    across: MultiprocessMode
    buckets: tuple[float, ...]


class _Labelling:
    """Makes labels of attributes, all or some; what is in them comes from anywhere."""

    def __init__(self, keys: Sequence[str] | None) -> None:
        self._keys = keys
        self._error_types: set[str] = set()

    def of(self, attributes: Mapping[str, AttributeValue]) -> Labels:
        keys = attributes if self._keys is None else self._keys
        named = {label_name(key): self._text(key, attributes.get(key)) for key in keys}
        # To Prometheus an empty label is none, and a scrape is shorter without.
        return tuple(sorted([(name, text) for name, text in named.items() if text]))

    def _text(self, key: str, value: AttributeValue) -> str:
        match value:
            case str():
                text = value
            case bool():
                text = str(value).lower()
            case None:
                text = ""
            case list() | tuple():
                text = ",".join(map(str, value))
            case _:
                text = str(value)
        # A lone surrogate cannot be written as UTF-8, and would break every scrape from then on.
        text = text[:MAX_LABEL_LENGTH].encode("utf-8", "replace").decode("utf-8")
        return self._known_error(text) if key == _ERROR_TYPE and text else text

    def _known_error(self, name: str) -> str:
        if name not in self._error_types:
            if len(self._error_types) >= MAX_ERROR_TYPES:
                return _OTHER
            self._error_types.add(name)
        return name


class Family(Collector, Generic[ChildT]):
    """The series of one metric, of which there are `max_series` and one for all beyond.

    Series may have different labels, as instruments do whose attributes are not known beforehand.
    """

    def __init__(
        self,
        description: Description,
        make: Callable[[Description, Sequence[str]], ChildT],
        *,
        max_series: int,
        on_overflow: Callable[[str], None],
    ) -> None:
        """Describe the metric; `on_overflow` is told its name for each record without a series."""
        self.description = description
        self._make = make
        self._max_series = max_series
        self._on_overflow = on_overflow
        self._keys = description.attributes
        self._lock = threading.Lock()
        self._parents: dict[tuple[str, ...], ChildT] = {}
        self._series: dict[Labels, ChildT] = {}
        self._found: dict[object, ChildT] = {}
        self._labels = _Labelling(self._keys)
        self.before_collect: Callable[[], None] | None = None
        if self._keys == ():
            self.child(None)

    def child(self, attributes: Attributes) -> ChildT:
        """Return the series for these attributes; it is made if there is room for it."""
        given = attributes or _NOTHING
        keys = self._keys
        if given.__class__ is FixedAttributes:
            found = self._found.get(given)
            return self._add(given, raw=given) if found is None else found
        # A list first: a tuple of a generator takes twice as long, and this is on every request.
        raw: object = (
            tuple(given.items()) if keys is None else tuple([given.get(key, "") for key in keys])
        )
        try:
            found = self._found.get(raw)
        except TypeError:  # A list among the attributes, which cannot be a key.
            return self._add(given, raw=None)
        return self._add(given, raw=raw) if found is None else found

    def series(self) -> dict[Labels, ChildT]:
        """Return all series that there are at the moment."""
        with self._lock:
            return self._series.copy()

    def collect(self) -> Iterable[Metric]:
        """Return the metric with its samples, or nothing if it has none yet."""
        if self.before_collect is not None:
            self.before_collect()
        with self._lock:
            parents = list(self._parents.values())
        metric = self._metric()
        for parent in parents:
            for part in parent.collect():
                metric.samples.extend(part.samples)
        return [metric] if metric.samples else []

    def describe(self) -> Iterable[Metric]:
        """Return the metric without samples; a registry learns its names from it."""
        return [self._metric()]

    def _metric(self) -> Metric:
        described = self.description
        return Metric(described.name, described.text, described.kind, described.unit)

    def _add(self, attributes: Mapping[str, AttributeValue], *, raw: object) -> ChildT:
        with self._lock:
            labels = self._labels.of(attributes)
            known = labels in self._series
            if not known and len(self._series) >= self._max_series:
                labels = _OVERFLOW
            child = self._series.get(labels) or self._open(labels)
            # The same labels may come in many forms, so these are bounded, too.
            if labels is not _OVERFLOW and raw is not None and len(self._found) < self._room:
                self._found[raw] = child
        if labels is _OVERFLOW:
            self._on_overflow(self.description.name)
        return child

    @property
    def _room(self) -> int:
        return 2 * self._max_series

    def _open(self, labels: Labels) -> ChildT:
        names = tuple([name for name, _ in labels])
        parent = self._parents.get(names)
        if parent is None:
            parent = self._parents[names] = self._make(self.description, names)
        child: Any = parent.labels(*[value for _, value in labels]) if names else parent
        self._series[labels] = child
        return child
