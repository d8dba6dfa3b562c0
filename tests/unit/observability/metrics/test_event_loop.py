import asyncio
import logging
import threading
from collections.abc import Generator
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from fastapi_baseline.clock import SystemClock
from fastapi_baseline.observability.metrics import EventLoopMonitor, PrometheusMeterProvider
from fastapi_baseline.observability.metrics.event_loop import GreatestLag

LOGGER = "fastapi_baseline.observability.metrics.event_loop"
SOON = timedelta(milliseconds=1)


class _Lines(logging.Handler):
    """Keeps what is logged, and lets a test wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.came.set()


@pytest.fixture
def lines() -> Generator[_Lines]:
    handler = _Lines()
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("lags", "greatest"),
    [
        ([(0, 0.1), (1, 0.5), (2, 0.2)], 0.5),
        ([(0, 0.5), (14, 0.1), (29, 0.2)], 0.5),
        ([(0, 0.5), (16, 0.1), (31, 0.2)], 0.2),
        ([(0, 0.5), (100, 0.1)], 0.1),
    ],
    ids=["now", "lately", "forgotten", "long-ago"],
)
def test_remembers_the_greatest_lag_for_a_while(
    lags: list[tuple[float, float]], greatest: float
) -> None:
    window = GreatestLag()

    found = [window.add(lag, now=1_000 + at) for at, lag in lags]

    assert found[-1] == greatest


async def test_measures_how_late_the_loop_is(
    registry: CollectorRegistry, provider: PrometheusMeterProvider
) -> None:
    ticked = asyncio.Event()

    class _Clock(SystemClock):
        looks = 0

        def monotonic(self) -> float:
            self.looks += 1
            if self.looks > 6:  # Two looks a tick.
                ticked.set()
            return super().monotonic()

    async with EventLoopMonitor(provider, clock=_Clock(), interval=SOON):
        await ticked.wait()

    assert (registry.get_sample_value("event_loop_lag_seconds_count") or 0) >= 2
    assert registry.get_sample_value("event_loop_lag_max_seconds") is not None


async def test_says_what_blocks_the_loop(provider: PrometheusMeterProvider, lines: _Lines) -> None:
    monitor = EventLoopMonitor(provider, blocked_after=timedelta(milliseconds=50))

    async with monitor:
        lines.came.wait(timeout=10)
        lag = monitor.lag()

    (record,) = lines.records
    fields = vars(record)["fields"]
    assert record.levelno == logging.WARNING
    assert fields["blocked_ms"] >= 50
    assert any("test_says_what_blocks_the_loop" in frame for frame in fields["stack"])
    assert lag >= timedelta(milliseconds=50)


async def test_says_it_once_while_it_goes_on(
    provider: PrometheusMeterProvider, lines: _Lines
) -> None:
    looks = threading.Semaphore(0)

    class _CountedClock(SystemClock):
        def monotonic(self) -> float:
            looks.release()
            return super().monotonic()

    async with EventLoopMonitor(
        provider, clock=_CountedClock(), blocked_after=timedelta(milliseconds=20)
    ):
        lines.came.wait(timeout=10)
        for _ in range(10):
            looks.acquire(timeout=10)

    assert len(lines.records) == 1


async def test_is_entered_and_left_as_a_lifespan(provider: PrometheusMeterProvider) -> None:
    monitor = EventLoopMonitor(provider, interval=SOON)
    threads = threading.active_count()

    async with monitor.lifespan(object()) as state:
        inside = threading.active_count()

    assert state is None
    assert inside == threads + 1
    assert threading.active_count() == threads
    assert monitor.lag() >= timedelta(0)
