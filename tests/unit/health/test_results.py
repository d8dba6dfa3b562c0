from datetime import UTC, datetime, timedelta

import pytest

from fastapi_baseline.health import CheckReport, CheckResult, CheckStatus, HealthReport

RESULT = CheckResult(
    name="database",
    fault="OSError",
    checked_at=datetime(2026, 5, 1, tzinfo=UTC),
    duration=timedelta(milliseconds=1.5),
)


def _report(
    status: CheckStatus, result: CheckResult | None, *, critical: bool = True
) -> CheckReport:
    return CheckReport(name="database", critical=critical, status=status, failures=2, result=result)


@pytest.mark.parametrize(
    ("status", "critical", "outcome"),
    [
        (CheckStatus.OK, True, "ok"),
        (CheckStatus.FAILING, True, "ok"),
        (CheckStatus.FAILED, True, "down"),
        (CheckStatus.STALE, True, "down"),
        (CheckStatus.PENDING, True, "down"),
        (CheckStatus.FAILED, False, "degraded"),
        (CheckStatus.STALE, False, "degraded"),
    ],
)
def test_what_follows_for_the_service(status: CheckStatus, critical: bool, outcome: str) -> None:
    report = HealthReport(checks={"database": _report(status, RESULT, critical=critical)})

    assert report.status == outcome
    assert report.is_up is (outcome != "down")


def test_nothing_to_check_is_well() -> None:
    assert HealthReport(checks={}).status == "ok"


def test_shows_operators_the_run_that_says_so() -> None:
    assert _report(CheckStatus.FAILED, RESULT).as_json() == {
        "status": "failed",
        "critical": True,
        "failures": 2,
        "fault": "OSError",
        "checked_at": "2026-05-01T00:00:00+00:00",
        "duration_ms": 1.5,
    }


def test_shows_that_there_was_no_run() -> None:
    shown = _report(CheckStatus.PENDING, None).as_json()

    assert (shown["fault"], shown["checked_at"], shown["duration_ms"]) == (None, None, None)


def test_a_problem_says_what_failed_or_else_why_it_does_not_count() -> None:
    failed = _report(CheckStatus.FAILED, RESULT).as_field()
    pending = _report(CheckStatus.PENDING, None).as_field()

    assert failed.detail == "The check failed with OSError."
    assert pending.detail == "The check is pending."
