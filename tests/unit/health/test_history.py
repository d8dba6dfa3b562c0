from datetime import timedelta

import pytest

from fastapi_baseline.health import CheckResult, CheckStatus
from fastapi_baseline.health.history import CheckHistory
from fastapi_baseline.testing import ManualClock

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def history(clock: ManualClock) -> CheckHistory:
    return CheckHistory(
        "warehouse", critical=True, failures_to_down=3, stale_after=MINUTE, clock=clock
    )


def run(history: CheckHistory, *causes: BaseException | None) -> list[CheckStatus]:
    """Remember runs, and return the status after each."""
    statuses: list[CheckStatus] = []
    for cause in causes:
        result = CheckResult(
            name="warehouse",
            fault=None if cause is None else type(cause).__name__,
            checked_at=ManualClock().now(),
            duration=timedelta(0),
        )
        history.remember(result, cause=cause)
        statuses.append(history.report().status)
    return statuses


def test_a_system_that_never_was_well_fails_at_once(history: CheckHistory) -> None:
    assert run(history, OSError()) == [CheckStatus.FAILED]


def test_a_system_that_was_well_fails_after_several_faults_in_a_row(history: CheckHistory) -> None:
    statuses = run(history, None, OSError(), OSError(), OSError())

    assert statuses[1:] == [CheckStatus.FAILING, CheckStatus.FAILING, CheckStatus.FAILED]
    assert history.report().failures == 3


def test_a_success_in_between_forgives_the_faults_before(history: CheckHistory) -> None:
    statuses = run(history, None, OSError(), OSError(), None, OSError(), OSError())

    assert statuses[-1] is CheckStatus.FAILING


def test_one_success_is_enough_to_be_well_again(history: CheckHistory) -> None:
    statuses = run(history, OSError(), OSError(), None)

    assert statuses[-1] is CheckStatus.OK
    assert history.report().failures == 0


def test_what_fails_after_it_has_failed_stays_failed(history: CheckHistory) -> None:
    statuses = run(history, None, *[OSError()] * 5)

    assert statuses[3:] == [CheckStatus.FAILED] * 3


def test_what_was_found_too_long_ago_no_longer_counts(
    history: CheckHistory, clock: ManualClock
) -> None:
    run(history, None)

    clock.advance(MINUTE)
    at_the_limit = history.report().status
    clock.advance(timedelta(seconds=1))

    assert at_the_limit is CheckStatus.OK
    assert history.report().status is CheckStatus.STALE


def test_remembers_that_it_has_passed_once(history: CheckHistory) -> None:
    run(history, OSError())
    before = history.has_passed
    run(history, None, *[OSError()] * 5)

    assert not before
    assert history.has_passed


def test_says_once_that_a_fault_came_and_that_it_went(
    history: CheckHistory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    run(history, None, OSError("refused"), OSError("refused"), None, None)

    assert [record.getMessage() for record in caplog.records] == [
        "The check 'warehouse' found a fault: OSError('refused')",
        "The check 'warehouse' passes again",
    ]


def test_says_that_one_fault_became_another(
    history: CheckHistory, caplog: pytest.LogCaptureFixture
) -> None:
    run(history, TimeoutError(), OSError("refused"))

    assert len(caplog.records) == 2


def test_logs_the_cause_rather_than_what_it_became(
    history: CheckHistory, caplog: pytest.LogCaptureFixture
) -> None:
    error = RuntimeError("away")
    error.__cause__ = OSError("connection refused")

    run(history, error)

    assert "connection refused" in caplog.text
