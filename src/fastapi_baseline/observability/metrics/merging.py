"""What several processes have counted, added up.

The client takes apart the name and the labels of every number in every file, at every scrape. Here
the numbers are added up first, by the text that stands before them, and what that text means is
remembered.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.utils import floatToGoString  # pyright: ignore[reportUnknownVariableType] -- it has no types

Labels = tuple[tuple[str, str], ...]

# Neither has types.
_Read = Callable[[str], Iterable[tuple[str, float, float, int]]]
_Merge = Callable[[Sequence[str]], Iterable[Metric]]
_READ: _Read = vars(MmapedDict)["read_all_values_from_file"]
_MERGE: _Merge = vars(MultiProcessCollector)["merge"]
_GAUGE = "gauge"
_REMEMBERED = 20_000


class _Key(NamedTuple):
    metric: str
    sample: str
    labels: Labels
    bound: float | None
    text: str


def merge_files(files: Sequence[str]) -> Iterable[Metric]:
    """Return the metrics of all files of values; each has the kind of its numbers in its name."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for file in files:
        by_kind[Path(file).name.partition("_")[0]].append(file)
    # Gauges are few, and there are ten ways to merge them.
    yield from _MERGE(by_kind.pop(_GAUGE, []))
    for kind, counted in by_kind.items():
        yield from _add_up(kind, counted)


def _add_up(kind: str, files: Sequence[str]) -> Iterable[Metric]:
    totals: dict[str, float] = defaultdict(float)
    for file in files:
        for text, value, _, _ in _READ(file):
            totals[text] += value
    metrics: dict[str, _Totals] = {}
    for text, value in totals.items():
        key = _read_key(text)
        found = metrics.get(key.metric)
        if found is None:
            found = metrics[key.metric] = _Totals(Metric(key.metric, key.text, kind))
        found.add(key, value)
    return [found.as_metric() for found in metrics.values()]


class _Totals:
    """The totals of one metric; those of buckets are not yet those of the buckets below, too."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._samples: dict[tuple[str, Labels], float] = defaultdict(float)
        self._buckets: dict[Labels, dict[float, float]] = defaultdict(lambda: defaultdict(float))

    def add(self, key: _Key, value: float) -> None:
        if key.bound is None:
            self._samples[key.sample, key.labels] += value
        else:
            self._buckets[key.labels][key.bound] += value

    def as_metric(self) -> Metric:
        metric = self._metric
        for (name, labels), value in self._samples.items():
            metric.add_sample(name, dict(labels), value)
        for labels, buckets in self._buckets.items():
            below = 0.0
            for bound in sorted(buckets):
                below += buckets[bound]
                metric.add_sample(
                    f"{metric.name}_bucket", {**dict(labels), "le": floatToGoString(bound)}, below
                )
            metric.add_sample(f"{metric.name}_count", dict(labels), below)
        return metric


@lru_cache(maxsize=_REMEMBERED)
def _read_key(text: str) -> _Key:
    read: list[Any] = json.loads(text)
    metric, sample, labels, documentation = read
    bound = labels.pop("le", None) if sample == f"{metric}_bucket" else None
    return _Key(
        metric=metric,
        sample=sample,
        labels=tuple(sorted(labels.items())),
        bound=None if bound is None else float(bound),
        text=documentation,
    )
