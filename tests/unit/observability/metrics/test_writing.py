import math
import string
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import InfoMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from fastapi_baseline.observability.metrics.writing import write_openmetrics, write_text

names = st.text(string.ascii_letters + string.digits + "_", min_size=1).map(lambda name: f"a{name}")
# Not with a colon, which no name of OpenTelemetry has: the client 0.26 writes it in OpenMetrics in two
# ways, and older ones in one.
any_characters = st.characters(codec="utf-8", exclude_characters=":")
any_names = st.one_of(names, st.text(any_characters, min_size=1, max_size=5))
texts = st.text(st.characters(codec="utf-8"))
numbers = st.one_of(st.floats(), st.integers(-(10**9), 10**9).map(float))
labels = st.dictionaries(any_names, texts, max_size=4)
exemplars = st.one_of(
    st.none(),
    st.builds(Exemplar, st.dictionaries(names, texts, max_size=2), numbers, st.floats(0, 2e9)),
)


@st.composite
def metrics(draw: st.DrawFn) -> list[Metric]:
    made: list[Metric] = []
    for _ in range(draw(st.integers(0, 3))):
        name = draw(any_names)
        kind = draw(
            st.sampled_from(["counter", "gauge", "histogram", "summary", "info", "unknown"])
        )
        unit = draw(st.sampled_from(["", "seconds"]))
        metric = Metric(f"{name}_{unit}" if unit else name, draw(texts), kind, unit)
        for _ in range(draw(st.integers(0, 3))):
            # OpenMetrics has exemplars nowhere else.
            can_have_one = kind in {"counter", "histogram"}
            metric.add_sample(
                metric.name + {"counter": "_total", "histogram": "_bucket"}.get(kind, ""),
                draw(labels),
                draw(numbers),
                timestamp=draw(st.one_of(st.none(), st.floats(0, 2e9))),
                exemplar=draw(exemplars) if can_have_one else None,
            )
        made.append(metric)
    return made


class _Fixed(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


@given(metrics())
def test_writes_text_as_the_client_does(metrics: list[Metric]) -> None:
    assert write_text(metrics) == generate_latest(_Fixed(metrics))


@given(metrics())
def test_writes_openmetrics_as_the_client_does(metrics: list[Metric]) -> None:
    written: bytes = openmetrics.generate_latest(_Fixed(metrics))  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- it has no types

    assert write_openmetrics(metrics) == written


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (999_999.0, "999999.0"),
        (1_000_000.0, "1e+06"),
        (123_456_789.5, "1.234567895e+08"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_writes_numbers_as_go_does(value: float, text: str) -> None:
    metric = Metric("size", "How large.", "gauge")
    metric.add_sample("size", {}, value)

    assert write_text([metric]).endswith(f"\nsize {text}\n".encode())


def test_leaves_what_is_not_ordinary_to_the_client() -> None:
    info = InfoMetricFamily("build", "Which one.", value={"version": "1"})

    assert b'\nbuild_info{version="1"} 1.0\n' in write_text([info])
    assert write_openmetrics([info]).endswith(b'\nbuild_info{version="1"} 1.0\n# EOF\n')
