import asyncio
import contextlib
from datetime import timedelta

import pytest

from fastapi_baseline.health import CheckRegistration, CheckResult, CheckStatus
from fastapi_baseline.health.watched import WatchedCheck
from fastapi_baseline.settings import HealthSettings
from fastapi_baseline.testing import ManualClock

SETTINGS = HealthSettings(timeout=timedelta(seconds=2))


class Check:
    """A check that a test decides about; it says how often it ran."""

    name = "warehouse"

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.runs = 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def check(self) -> None:
        self.runs += 1
        await self.may_end.wait()
        if self.error is not None:
            raise self.error


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def check() -> Check:
    return Check()


@pytest.fixture
def watched(check: Check, clock: ManualClock) -> WatchedCheck:
    return WatchedCheck(CheckRegistration(check), settings=SETTINGS, clock=clock)


def test_is_pending_before_its_first_run(watched: WatchedCheck) -> None:
    assert watched.history.report().status is CheckStatus.PENDING
    assert not watched.history.report().status.is_up


async def test_remembers_what_it_found(watched: WatchedCheck, clock: ManualClock) -> None:
    await watched.refresh()

    assert watched.history.report().status is CheckStatus.OK
    assert watched.history.report().result == CheckResult(
        name="warehouse", fault=None, checked_at=clock.now(), duration=timedelta(0)
    )


async def test_names_the_kind_of_a_fault_and_not_its_text(
    watched: WatchedCheck, check: Check
) -> None:
    check.error = OSError("hunter2@db")

    await watched.refresh()

    result = watched.history.report().result
    assert result is not None
    assert result.fault == "OSError"
    assert "hunter2" not in str(watched.history.report())


async def test_what_runs_seldom_may_be_old(check: Check, clock: ManualClock) -> None:
    daily = CheckRegistration(check, interval=timedelta(days=1))
    watched = WatchedCheck(daily, settings=SETTINGS, clock=clock)
    await watched.refresh()

    clock.advance(timedelta(days=1, minutes=1))

    assert watched.history.report().status is CheckStatus.OK


async def test_gives_up_on_a_check_that_hangs(check: Check, clock: ManualClock) -> None:
    registration = CheckRegistration(check, timeout=timedelta(milliseconds=10))
    watched = WatchedCheck(registration, settings=SETTINGS, clock=clock)
    check.may_end.clear()

    await watched.refresh()

    result = watched.history.report().result
    assert result is not None
    assert result.fault == "TimeoutError"


async def test_does_not_wait_for_a_check_that_will_not_be_cancelled(clock: ManualClock) -> None:
    release = asyncio.Event()

    class Stubborn:
        name = "stubborn"
        runs = 0

        async def check(self) -> None:
            self.runs += 1
            while not release.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await release.wait()

    stubborn = Stubborn()
    registration = CheckRegistration(stubborn, timeout=timedelta(milliseconds=10))
    watched = WatchedCheck(registration, settings=SETTINGS, clock=clock)

    async with asyncio.timeout(5):
        await watched.refresh()
        await watched.refresh()

    assert watched.history.report().status is CheckStatus.PENDING
    assert stubborn.runs == 1
    release.set()
    await watched.refresh()
    await watched.stop()


async def test_all_who_ask_at_once_wait_for_one_run(watched: WatchedCheck, check: Check) -> None:
    check.may_end.clear()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(100):
            tasks.create_task(watched.refresh())
        await asyncio.sleep(0)
        check.may_end.set()

    assert check.runs == 1


async def test_a_run_outlives_who_asked_for_it(watched: WatchedCheck, check: Check) -> None:
    check.may_end.clear()
    async with asyncio.TaskGroup() as tasks:
        gone = tasks.create_task(watched.refresh())
        await asyncio.sleep(0)
        stayed = tasks.create_task(watched.refresh())
        await asyncio.sleep(0)

        gone.cancel()
        check.may_end.set()

    assert stayed.done()
    assert check.runs == 1
    assert watched.history.report().status is CheckStatus.OK


async def test_a_check_that_waited_for_something_cancelled_has_found_a_fault(
    watched: WatchedCheck, check: Check
) -> None:
    check.error = asyncio.CancelledError()

    await watched.refresh()

    result = watched.history.report().result
    assert result is not None
    assert result.fault == "CancelledError"


async def test_runs_again_sooner_while_its_system_is_away(
    watched: WatchedCheck, check: Check, clock: ManualClock
) -> None:
    await watched.refresh()
    clock.advance(timedelta(seconds=9))
    due_while_well = watched.is_due
    check.error = OSError()
    await watched.refresh()

    clock.advance(timedelta(seconds=1))

    assert not due_while_well
    assert watched.is_due


async def test_can_be_used_on_one_event_loop_after_another(
    watched: WatchedCheck, check: Check
) -> None:
    check.may_end.clear()
    loop = asyncio.new_event_loop()
    await asyncio.to_thread(loop.run_until_complete, _begin(watched))
    check.may_end = asyncio.Event()
    check.may_end.set()

    await watched.refresh()

    assert watched.history.report().status is CheckStatus.OK
    await asyncio.to_thread(loop.run_until_complete, _cancel_all())
    loop.close()


async def _begin(watched: WatchedCheck) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await watched.refresh()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def test_tells_the_hook_about_every_run(check: Check, clock: ManualClock) -> None:
    told: list[CheckResult] = []
    registration = CheckRegistration(check)
    watched = WatchedCheck(registration, settings=SETTINGS, clock=clock, on_result=told.append)

    await watched.refresh()
    check.error = OSError()
    await watched.refresh()

    assert [result.fault for result in told] == [None, "OSError"]


async def test_a_hook_that_fails_is_logged_and_harms_nothing(
    check: Check, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(result: CheckResult) -> None:
        raise LookupError("no such gauge")

    watched = WatchedCheck(CheckRegistration(check), settings=SETTINGS, clock=clock, on_result=fail)

    await watched.refresh()

    assert watched.history.report().status is CheckStatus.OK
    assert "no such gauge" in caplog.text
