import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from fastapi_baseline.observability.metrics.merging import merge_files

Samples = dict[tuple[str, str, str, str], float]

NAMES = st.sampled_from(["orders", "visits"])
LABELS = st.dictionaries(st.sampled_from(["channel", "kind"]), st.sampled_from(["", "a", "é\n"]))
VALUES = st.integers(0, 1_000).map(float)
HELP = st.sampled_from(["How many.", "How many there were."])
SUFFIXES = {"counter": ["_total"], "summary": ["_sum", "_count"], "histogram": ["_sum", "_bucket"]}


@st.composite
def entries(draw: st.DrawFn) -> tuple[str, str, float]:
    """Make what stands in one file: its kind, what is counted, and how much of it."""
    kind = draw(st.sampled_from([*SUFFIXES, "gauge_livesum", "gauge_livemax"]))
    plain = kind.partition("_")[0]
    name = f"{plain}_{draw(NAMES)}"
    suffix = draw(st.sampled_from(SUFFIXES.get(kind, [""])))
    labels = draw(LABELS)
    if suffix == "_bucket":
        labels = {**labels, "le": draw(st.sampled_from(["1.0", "10.0", "+Inf"]))}
    key: Any = mmap_key(name, name + suffix, list(labels), list(labels.values()), draw(HELP))
    return kind, key, draw(VALUES)


def _samples(metrics: Iterable[Metric]) -> Samples:
    return {
        (metric.name, metric.type, sample.name, str(sorted(sample.labels.items()))): sample.value
        for metric in metrics
        for sample in metric.samples
    }


@given(st.lists(st.lists(entries(), max_size=12), max_size=4))
def test_adds_up_as_the_client_does(workers: list[list[tuple[str, str, float]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for slot, counted in enumerate(workers):
            for kind, key, value in counted:
                file: Any = MmapedDict(f"{folder}/{kind}_slot{slot}.db")
                file.write_value(key, value, 0.0)
                file.close()
        files = sorted(map(str, Path(folder).glob("*.db")))

        ours = _samples(merge_files(files))
        collector: Any = MultiProcessCollector
        theirs = _samples(collector.merge(files))

    assert ours == theirs


def test_shows_each_series_once() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file: Any = MmapedDict(f"{folder}/counter_slot0.db")
        for text in ("How many.", "How many there were."):
            file.write_value(mmap_key("orders", "orders_total", [], [], text), 1.0, 0.0)
        file.close()

        (metric,) = merge_files([f"{folder}/counter_slot0.db"])

    assert [(sample.name, sample.value) for sample in metric.samples] == [("orders_total", 2.0)]
