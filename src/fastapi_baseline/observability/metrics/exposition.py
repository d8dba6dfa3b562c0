"""What a scrape answers, from one process or from all that count together."""

from collections.abc import Iterable

from prometheus_client import PLATFORM_COLLECTOR, CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from fastapi_baseline.observability.metrics.merging import merge_files
from fastapi_baseline.observability.metrics.registration import refresh_observed
from fastapi_baseline.observability.metrics.slots import HeldSlot, SlotFolder, find_slot_folder
from fastapi_baseline.observability.metrics.writing import write_openmetrics, write_text

TEXT = "text/plain; version=0.0.4; charset=utf-8"
"""The format that every version of Prometheus reads; it has no exemplars."""
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def write_metrics(registry: CollectorRegistry, *, is_openmetrics: bool = False) -> bytes:
    """Return all metrics of a registry in the format of Prometheus, or in that of OpenMetrics.

    If processes count together, what each has counted is added up, from whichever registry it
    came; metrics of collectors that are no instruments are left out then.
    """
    metrics = _collect(registry)
    return write_openmetrics(metrics) if is_openmetrics else write_text(metrics)


def _collect(registry: CollectorRegistry) -> Iterable[Metric]:
    """Yield all metrics, without the times at which series were made: as many series again."""
    folder = find_slot_folder()
    for metric in registry.collect() if folder is None else _collect_all(registry, folder):
        made = f"{metric.name}_created"
        metric.samples = [sample for sample in metric.samples if sample.name != made]
        yield metric


def _collect_all(registry: CollectorRegistry, folder: SlotFolder) -> Iterable[Metric]:
    refresh_observed(registry)
    held = folder.tidy()
    yield from merge_files(folder.value_files())
    yield from _processes(held)
    yield from PLATFORM_COLLECTOR.collect()


def _processes(held: Iterable[HeldSlot]) -> Iterable[Metric]:
    """Return what the system knows of each process, with the slot as label."""
    found: dict[str, Metric] = {}
    for slot in held:
        for metric in ProcessCollector(pid=lambda pid=slot.pid: pid, registry=None).collect():
            merged = found.setdefault(
                metric.name, Metric(metric.name, metric.documentation, metric.type, metric.unit)
            )
            merged.samples += [
                Sample(sample.name, {**sample.labels, "slot": str(slot.number)}, sample.value)
                for sample in metric.samples
            ]
    return found.values()
