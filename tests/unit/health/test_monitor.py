import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.health import (
    CheckRegistration,
    CheckResult,
    CheckStatus,
    HealthGroup,
    HealthMonitor,
    UnknownHealthGroupError,
)
from fastapi_baseline.settings import HealthSettings
from fastapi_baseline.testing import ManualClock

SETTINGS = HealthSettings(timeout=timedelta(seconds=2))


class Check:
    def __init__(self, name: str = "warehouse", error: Exception | None = None) -> None:
        self.name = name
        self.error = error
        self.runs = 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def check(self) -> None:
        self.runs += 1
        await self.may_end.wait()
        if self.error is not None:
            raise self.error


class Results:
    """Hears what runs found, and can be waited for."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.event = asyncio.Event()

    def __call__(self, result: CheckResult) -> None:
        self.names.append(result.name)
        self.event.set()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.names) < count:
                self.event.clear()
                await self.event.wait()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def _monitor(
    *checks: Check | CheckRegistration,
    clock: ManualClock,
    groups: Sequence[HealthGroup] = (),
    settings: HealthSettings = SETTINGS,
) -> HealthMonitor:
    return HealthMonitor(checks, settings=settings, clock=clock, groups=groups)


async def test_runs_all_checks_when_the_application_starts(clock: ManualClock) -> None:
    results = Results()
    monitor = HealthMonitor(
        [Check("a"), Check("b")], settings=SETTINGS, clock=clock, on_result=results
    )

    async with monitor.lifespan(None):
        await results.wait_for(2)

    assert sorted(results.names) == ["a", "b"]


async def test_runs_them_again_and_again(clock: ManualClock) -> None:
    results = Results()
    settings = HealthSettings(interval=timedelta(milliseconds=1))
    monitor = HealthMonitor([Check()], settings=settings, clock=clock, on_result=results)

    async with monitor.lifespan(None):
        await results.wait_for(5)

    assert len(results.names) >= 5


async def test_runs_them_no_longer_when_the_application_has_stopped(clock: ManualClock) -> None:
    check = Check()
    check.may_end.clear()
    monitor = _monitor(check, clock=clock)

    async with monitor.lifespan(None):
        await asyncio.sleep(0)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}

    assert tasks == set()


async def test_a_storm_of_probes_runs_nothing(clock: ManualClock) -> None:
    check = Check()
    monitor = _monitor(check, clock=clock)
    async with monitor.lifespan(None):
        await monitor.report("ready")

        reports = await asyncio.gather(*(monitor.report("ready") for _ in range(1000)))

    assert all(report.is_up for report in reports)
    assert check.runs == 1


async def test_the_first_probe_waits_for_the_first_run(clock: ManualClock) -> None:
    check = Check()
    check.may_end.clear()
    monitor = _monitor(check, clock=clock)
    async with monitor.lifespan(None), asyncio.TaskGroup() as tasks:
        probe = tasks.create_task(monitor.report("ready"))
        await asyncio.sleep(0)
        was_waiting = not probe.done()

        check.may_end.set()

    assert was_waiting
    assert probe.result().is_up


async def test_a_probe_does_not_wait_for_a_run_after_the_first(clock: ManualClock) -> None:
    check = Check()
    monitor = _monitor(check, clock=clock)
    async with monitor.lifespan(None):
        await monitor.refresh()
        check.may_end.clear()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(monitor.refresh())
            await asyncio.sleep(0)

            report = await monitor.report("ready")

            was_running = not running.done()
            check.may_end.set()

    assert report.is_up
    assert was_running


async def test_answers_no_longer_from_memory_that_is_too_old(clock: ManualClock) -> None:
    monitor = _monitor(Check(), clock=clock)
    async with monitor.lifespan(None):
        await monitor.report("ready")

        clock.advance(timedelta(minutes=2))
        report = await monitor.report("ready")

    assert not report.is_up
    assert report.checks["warehouse"].status is CheckStatus.STALE


async def test_runs_what_is_due_where_no_lifespan_does(clock: ManualClock) -> None:
    check = Check()
    monitor = _monitor(check, clock=clock)
    await asyncio.gather(*(monitor.report("ready") for _ in range(100)))
    at_once = check.runs

    clock.advance(SETTINGS.interval)
    await asyncio.gather(*(monitor.report("ready") for _ in range(100)))

    assert at_once == 1
    assert check.runs == 2


async def test_runs_nothing_by_itself_if_told(clock: ManualClock) -> None:
    check = Check()
    monitor = HealthMonitor([check], settings=SETTINGS, clock=clock, in_background=False)

    async with monitor.lifespan(None):
        await asyncio.sleep(0)
        before = check.runs
        await monitor.report()
        await monitor.report()

    assert (before, check.runs) == (0, 1)


async def test_a_critical_check_brings_its_group_down(clock: ManualClock) -> None:
    monitor = _monitor(Check("a"), Check("b", OSError()), clock=clock)

    report = await monitor.report("ready")

    assert not report.is_up
    assert report.status == "down"
    assert [check.name for check in report.faults()] == ["b"]


async def test_another_only_degrades_it(clock: ManualClock) -> None:
    cache = CheckRegistration(Check("cache", OSError()), critical=False)
    monitor = _monitor(Check("database"), cache, clock=clock)

    report = await monitor.report("ready")

    assert report.is_up
    assert report.status == "degraded"


async def test_checks_run_at_the_same_time(clock: ManualClock) -> None:
    meeting = asyncio.Barrier(2)

    class Meeting:
        def __init__(self, name: str) -> None:
            self.name = name

        async def check(self) -> None:
            await meeting.wait()

    monitor = HealthMonitor([Meeting("a"), Meeting("b")], settings=SETTINGS, clock=clock)

    report = await monitor.report("ready")

    assert report.is_up


async def test_a_group_asks_only_its_members(clock: ManualClock) -> None:
    payments = HealthGroup(name="payments", include=["bank", "database"])
    bank = CheckRegistration(Check("bank", OSError()), groups=())
    monitor = _monitor(Check("database"), bank, Check("mail"), clock=clock, groups=[payments])

    report = await monitor.report("payments")

    assert list(report.checks) == ["database", "bank"]
    assert not report.is_up
    assert (await monitor.report("ready")).is_up


async def test_all_checks_are_asked_for_without_a_group(clock: ManualClock) -> None:
    bank = CheckRegistration(Check("bank"), groups=())
    monitor = _monitor(Check("database"), bank, clock=clock)

    report = await monitor.report()

    assert list(report.checks) == ["database", "bank"]


async def test_says_that_there_is_no_such_group(clock: ManualClock) -> None:
    with pytest.raises(UnknownHealthGroupError):
        await _monitor(clock=clock).report("payments")


async def test_has_started_when_its_checks_have_passed_once(clock: ManualClock) -> None:
    check = Check(error=OSError())
    monitor = _monitor(CheckRegistration(check, groups=["startup"]), clock=clock)
    before = await monitor.has_started()
    check.error = None
    clock.advance(timedelta(seconds=1))
    after = await monitor.has_started()

    check.error = OSError()
    await monitor.refresh()

    assert not before
    assert after
    assert await monitor.has_started()


async def test_has_started_although_what_is_not_critical_fails(clock: ManualClock) -> None:
    check = CheckRegistration(Check(error=OSError()), groups=["startup"], critical=False)

    assert await _monitor(check, clock=clock).has_started()


async def test_has_started_where_nothing_has_to_be_waited_for(clock: ManualClock) -> None:
    assert await _monitor(Check(error=OSError()), clock=clock).has_started()


async def test_liveness_asks_no_other_system(clock: ManualClock) -> None:
    check = Check(error=OSError())

    report = _monitor(check, clock=clock).report_liveness()

    assert report.is_up
    assert check.runs == 0


def test_a_check_that_could_harm_liveness_is_refused_at_the_start() -> None:
    registration = CheckRegistration(Check(), groups=["live"])

    with pytest.raises(ConfigurationError, match="'warehouse' cannot decide about liveness"):
        HealthMonitor([registration])
