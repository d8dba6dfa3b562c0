import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fastapi_baseline.observability.metrics.slots import SlotFolder

_COUNT = """
import os, sys
from pathlib import Path
from fastapi_baseline.observability.metrics import PrometheusMeterProvider, activate_slots
from prometheus_client import CollectorRegistry

slot = activate_slots(Path(sys.argv[1]))
meter = PrometheusMeterProvider(CollectorRegistry()).get_meter("shop")
orders = meter.create_counter("orders.placed")
running = meter.create_up_down_counter("jobs.running")
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], str]:
    """Run code in a process that counts in a slot, and give what it writes."""

    def run(code: str) -> str:
        return subprocess.run(
            (sys.executable, "-c", _COUNT + code, str(tmp_path / "counts")),
            capture_output=True,
            check=True,
            text=True,
        ).stdout

    return run


def _names(folder: Path, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def test_gives_the_lowest_slot_that_is_free(tmp_path: Path) -> None:
    folder = SlotFolder(tmp_path / "counts")

    first, first_file = folder.take()
    second, second_file = folder.take()
    os.close(first_file)
    third, third_file = folder.take()

    os.close(second_file)
    os.close(third_file)
    assert (first, second, third) == (0, 1, 0)


def test_tells_who_holds_slots(tmp_path: Path) -> None:
    folder = SlotFolder(tmp_path)
    _, file = folder.take()

    held = folder.tidy()
    os.close(file)
    left = folder.tidy()

    assert [(slot.number, slot.pid) for slot in held] == [(0, os.getpid())]
    assert left == []


def test_removes_what_is_true_only_of_the_living(tmp_path: Path) -> None:
    folder = SlotFolder(tmp_path)
    _, file = folder.take()
    _, dead = folder.take()
    os.close(dead)
    for slot in ("slot0", "slot1", "slot10", "1"):
        (tmp_path / f"gauge_livesum_{slot}.db").write_bytes(b"x")
        (tmp_path / f"counter_{slot}.db").write_bytes(b"x")

    folder.tidy()

    os.close(file)
    assert _names(tmp_path, "*.db") == [
        "counter_1.db",
        "counter_slot0.db",
        "counter_slot1.db",
        "counter_slot10.db",
        "gauge_livesum_1.db",
        "gauge_livesum_slot0.db",
        "gauge_livesum_slot10.db",
    ]


def test_passes_over_a_file_that_has_only_just_been_made(tmp_path: Path) -> None:
    folder = SlotFolder(tmp_path)
    (tmp_path / "counter_0.db").touch()
    (tmp_path / "counter_1.db").write_bytes(b"x")

    assert folder.value_files() == [str(tmp_path / "counter_1.db")]


def test_goes_on_counting_where_a_process_before_it_was_killed(
    run: Callable[[str], str], tmp_path: Path
) -> None:
    die = "orders.add(2); running.add(1); print(slot, flush=True); os._exit(0)"

    slots = [run(die) for _ in range(3)]
    files = _names(tmp_path / "counts")
    shown = run(
        "from fastapi_baseline.observability.metrics import write_metrics\n"
        "print(write_metrics(CollectorRegistry()).decode())"
    )

    assert slots == ["0\n"] * 3
    assert files == [
        "counter_slot0.db",
        "folder.lock",
        "gauge_livesum_slot0.db",
        "slot0.lock",
    ]
    assert "orders_placed_total 6.0" in shown
    assert "jobs_running" not in shown


def test_gives_a_fork_a_slot_of_its_own(run: Callable[[str], str], tmp_path: Path) -> None:
    written = run(
        "orders.add(1)\n"
        "if os.fork() == 0:\n"
        "    orders.add(10)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "orders.add(1)\n"
        "from fastapi_baseline.observability.metrics import write_metrics\n"
        "print(write_metrics(CollectorRegistry()).decode())"
    )

    assert _names(tmp_path / "counts", "counter_*") == ["counter_slot0.db", "counter_slot1.db"]
    assert "orders_placed_total 12.0" in written


def test_is_activated_once(run: Callable[[str], str]) -> None:
    written = run(
        "from fastapi_baseline.errors import ConfigurationError\n"
        "print(activate_slots(Path(sys.argv[1])))\n"
        "try:\n"
        "    activate_slots(Path(sys.argv[1]) / 'other')\n"
        "except ConfigurationError as error:\n"
        "    print(error.message)"
    )

    first, second = written.splitlines()
    assert first == "0"
    assert "already counts in" in second


def test_warns_of_metrics_that_were_made_too_early(tmp_path: Path) -> None:
    result = subprocess.run(
        (
            sys.executable,
            "-c",
            "from prometheus_client import Counter\n"
            "Counter('early', 'Made when a module was imported.').inc()" + _COUNT,
            str(tmp_path),
        ),
        capture_output=True,
        check=True,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},  # noqa: TID251 -- handed on
        text=True,
    )

    assert "made before the application" in result.stderr


def test_refuses_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = subprocess.run(
        (sys.executable, "-c", _COUNT, str(tmp_path / "file" / "counts")),
        capture_output=True,
        check=False,
        text=True,
    )

    assert "PROMETHEUS_MULTIPROC_DIR" in result.stderr
    assert "ConfigurationError" in result.stderr


def test_shows_the_processes_themselves_by_slot(run: Callable[[str], str]) -> None:
    shown = run(
        "from fastapi_baseline.observability.metrics import write_metrics\n"
        "print(write_metrics(CollectorRegistry()).decode())"
    )

    assert 'process_resident_memory_bytes{slot="0"}' in shown
    assert 'process_cpu_seconds_total{slot="0"}' in shown


def test_keeps_what_only_a_callback_knows_for_the_scrapes_of_others(
    run: Callable[[str], str],
) -> None:
    written = run(
        "import asyncio\n"
        "from datetime import timedelta\n"
        "from opentelemetry.metrics import Observation\n"
        "from fastapi_baseline.observability.metrics import ObservableRefresh, write_metrics\n"
        "registry = CollectorRegistry()\n"
        "asked = asyncio.Event()\n"
        "async def main():\n"
        "    loop = asyncio.get_running_loop()\n"
        "    def observe(options):\n"
        "        yield Observation(3)\n"
        "        loop.call_soon_threadsafe(asked.set)\n"
        "    meter = PrometheusMeterProvider(registry).get_meter('shop')\n"
        "    meter.create_observable_up_down_counter('pool.size', [observe])\n"
        "    async with ObservableRefresh(registry):\n"
        "        await asked.wait()\n"
        "asyncio.run(main())\n"
        "print(write_metrics(CollectorRegistry()).decode())"
    )

    assert "pool_size 3.0" in written
