import asyncio

import pytest

from fastapi_baseline.health import CheckRegistration, CheckStatus, HealthMonitor
from fastapi_baseline.health.liveness import run_at_once
from fastapi_baseline.testing import ManualClock


class OwnCheck:
    name = "threads"
    is_local = True

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def check(self) -> None:
        if self.error is not None:
            raise self.error


class WaitingCheck:
    name = "secretly remote"
    is_local = True
    is_closed = False

    async def check(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.is_closed = True


def test_passes_without_an_event_loop() -> None:
    report = run_at_once(CheckRegistration(OwnCheck()), clock=ManualClock())

    assert report.status is CheckStatus.OK


def test_finds_a_fault() -> None:
    report = run_at_once(CheckRegistration(OwnCheck(LookupError("x"))), clock=ManualClock())

    assert report.status is CheckStatus.FAILED
    assert report.result is not None
    assert report.result.fault == "LookupError"


async def test_cuts_off_a_check_that_waits_for_something(
    caplog: pytest.LogCaptureFixture,
) -> None:
    check = WaitingCheck()

    report = run_at_once(CheckRegistration(check), clock=ManualClock())

    assert report.status is CheckStatus.FAILED
    assert check.is_closed
    assert "'secretly remote' decides about liveness, and waits" in caplog.text


async def test_one_check_can_be_part_of_liveness_and_of_readiness() -> None:
    monitor = HealthMonitor([CheckRegistration(OwnCheck(), groups=["live", "ready"])])

    assert list(monitor.report_liveness().checks) == ["threads"]
    assert list((await monitor.report("ready")).checks) == ["threads"]
