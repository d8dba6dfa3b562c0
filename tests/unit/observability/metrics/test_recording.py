import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from fastapi_baseline.observability.metrics import (
    HealthMetrics,
    PrometheusMeterProvider,
    observe_dropped_log_records,
    record_build_info,
)

Read = Callable[[], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    name: str
    fault: str | None
    duration: timedelta


def test_tells_which_build_runs(provider: PrometheusMeterProvider, samples: Read) -> None:
    record_build_info(provider, version="1.2.3", commit="abc")

    python = platform.python_version()
    assert samples() == {f"build_info commit=abc python={python} version=1.2.3": 1}


def test_shows_how_many_lines_of_the_log_were_lost(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    lost = iter([0, 3, 3])

    observe_dropped_log_records(provider, lambda: next(lost))

    assert [samples() for _ in range(3)] == [
        {"log_records_dropped_total": 0},
        {"log_records_dropped_total": 3},
        {"log_records_dropped_total": 3},
    ]


def test_shows_lost_lines_once_for_all_applications_of_a_process(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    class Output:
        def lost(self) -> int:
            return 3

    output = Output()

    for _ in range(2):
        observe_dropped_log_records(provider, output.lost)

    assert samples() == {"log_records_dropped_total": 3}


def test_shows_what_checks_found_last(provider: PrometheusMeterProvider, samples: Read) -> None:
    health = HealthMetrics(provider)

    health.record(Outcome(name="redis", fault=None, duration=timedelta(seconds=1)))
    health.record(Outcome(name="redis", fault="TimeoutError", duration=timedelta(seconds=2)))
    health.record(Outcome(name="database", fault=None, duration=timedelta(seconds=1)))

    assert samples() == {
        "health_check_status check=redis": 0,
        "health_check_status check=database": 1,
        "health_check_duration_seconds_count check=redis": 2,
        "health_check_duration_seconds_sum check=redis": 3,
        "health_check_duration_seconds_count check=database": 1,
        "health_check_duration_seconds_sum check=database": 1,
    }
