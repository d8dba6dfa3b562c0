"""Probes of metrics that several processes share."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest, multiprocess

from benchmarks.peers.defects.probe import Seen, probe
from benchmarks.peers.http_defects.serving import series

_WORKER = """
import sys, time
from prometheus_client import Counter, Gauge, Histogram
Counter("requests", "Requests").inc()
Gauge("active", "Active", multiprocess_mode="livesum").set(1)
Histogram("duration", "Duration").observe(0.1)
print("ready", flush=True)
time.sleep(60)
"""


@probe("metric_files", peer="prometheus-client", environment="http")
async def metric_files() -> Seen:
    """Kill a worker and start another, five times, and count the files."""
    return _metric_files()


def _metric_files() -> Seen:
    counts: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(6):
            process = subprocess.Popen(
                (sys.executable, "-c", _WORKER),
                env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder},  # noqa: TID251 - a child's
                stdout=subprocess.PIPE,
            )
            next(iter(process.stdout or ()))
            counts.append(len(list(Path(folder).glob("*.db"))))
            process.send_signal(signal.SIGKILL)
            process.communicate()
    return Seen(counts[-1] > counts[0], f"files after each start: {counts}")


_EXPORTER = """
import sys
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
provider = MeterProvider([PrometheusMetricReader()])
provider.get_meter("probe").create_counter("requests").add(1)
"""


@probe("several_processes", peer="opentelemetry-exporter-prometheus", environment="http")
async def several_processes() -> Seen:
    """Count in a process with a folder for several of them, and scrape from another."""
    return _several_processes()


def _several_processes() -> Seen:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder}  # noqa: TID251 - a child's
        subprocess.run((sys.executable, "-c", _EXPORTER), check=True, env=environment)
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, path=folder)
        found = series(generate_latest(registry).decode(), contains="requests")
        files = len(list(Path(folder).iterdir()))
    return Seen(not found, f"{files} files, series seen by another process: {found}")
