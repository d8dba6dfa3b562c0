"""The two formats that Prometheus reads, written fast.

The client looks at each character of each label of each line. That takes a second for a service
with many routes, and while it lasts, requests wait for their turn. Here each label is looked at once
in a scrape. What is not ordinary (an `Info`, a native histogram, a sample with a time of its own, a
name in other letters) is left to the client; what is written is the same, byte for byte.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from prometheus_client.exposition import generate_latest as write_text_slowly
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString  # pyright: ignore[reportUnknownVariableType] -- it has no types

_ORDINARY = {"counter", "gauge", "histogram", "summary"}
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_ESCAPES_OF_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})
# Up to here Python and Go write a number alike.
_LARGE = 1e6
_END = b"# EOF\n"
# It has no types.
_WRITE_OPENMETRICS_SLOWLY: Callable[[Collector], bytes] = vars(openmetrics)["generate_latest"]


class _UnusualError(Exception):
    """The metric is not one of those that are written here."""


class _Lines:
    """The lines of one scrape; it remembers the labels that it has written."""

    def __init__(self) -> None:
        self._labels: dict[tuple[str, str], str] = {}

    def write(self, metric: Metric, *, head: str, exemplars: bool) -> str:
        """Return the lines of a metric below its `head`.

        Raises:
            _UnusualError: If it has something that is written by the client.
        """
        if metric.type not in _ORDINARY or not _NAME.fullmatch(metric.name):
            raise _UnusualError
        lines = [head]
        for sample in metric.samples:
            if sample.timestamp is not None or sample.native_histogram is not None:
                raise _UnusualError
            if not _NAME.fullmatch(sample.name):
                raise _UnusualError
            end = self._exemplar(sample.exemplar) if exemplars and sample.exemplar else ""
            lines.append(f"{sample.name}{self._block(sample)} {_number(sample.value)}{end}\n")
        return "".join(lines)

    def _block(self, sample: Sample) -> str:
        return "{" + self._pairs(sample.labels) + "}" if sample.labels else ""

    def _pairs(self, labels: Mapping[str, str]) -> str:
        known = self._labels
        return ",".join([known.get(pair) or self._add(pair) for pair in sorted(labels.items())])

    def _add(self, pair: tuple[str, str]) -> str:
        name, value = pair
        if not _LABEL.fullmatch(name):
            raise _UnusualError
        text = self._labels[pair] = f'{name}="{value.translate(_ESCAPES)}"'
        return text

    def _exemplar(self, exemplar: Exemplar) -> str:
        when = "" if exemplar.timestamp is None else f" {exemplar.timestamp}"
        return f" # {{{self._pairs(exemplar.labels)}}} {_number(exemplar.value)}{when}"


def write_text(metrics: Iterable[Metric]) -> bytes:
    """Return metrics in Prometheus's own format, version 0.0.4."""

    def head(metric: Metric) -> str:
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        text = metric.documentation.translate(_ESCAPES_OF_HELP)
        return f"# HELP {name} {text}\n# TYPE {name} {metric.type}\n"

    return _write(metrics, head=head, slowly=write_text_slowly, exemplars=False)


def write_openmetrics(metrics: Iterable[Metric]) -> bytes:
    """Return metrics in the format of OpenMetrics, version 1.0.0."""

    def head(metric: Metric) -> str:
        name, text = metric.name, metric.documentation.translate(_ESCAPES)
        unit = f"# UNIT {name} {metric.unit}\n" if metric.unit else ""
        return f"# HELP {name} {text}\n# TYPE {name} {metric.type}\n{unit}"

    def slowly(collector: Collector) -> bytes:
        return _WRITE_OPENMETRICS_SLOWLY(collector).removesuffix(_END)

    return _write(metrics, head=head, slowly=slowly, exemplars=True) + _END


class _One(Collector):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self._metric]


def _write(
    metrics: Iterable[Metric],
    *,
    head: Callable[[Metric], str],
    slowly: Callable[[Collector], bytes],
    exemplars: bool,
) -> bytes:
    lines = _Lines()
    parts: list[bytes] = []
    for metric in metrics:
        try:
            text = lines.write(metric, head=head(metric), exemplars=exemplars)
            parts.append(text.encode("utf-8"))
        except _UnusualError:
            parts.append(slowly(_One(metric)))
    return b"".join(parts)


def _number(value: float) -> str:
    return repr(float(value)) if -_LARGE < value < _LARGE else floatToGoString(value)
