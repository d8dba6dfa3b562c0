import asyncio
from datetime import timedelta

import pytest

from fastapi_baseline.health import CheckResult, run_checks

SOON = timedelta(milliseconds=50)


class Check:
    def __init__(self, name: str, outcome: Exception | asyncio.Event | None = None) -> None:
        self.name = name
        self.outcome = outcome

    async def check(self) -> None:
        if isinstance(self.outcome, asyncio.Event):
            await self.outcome.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome


async def test_reports_in_the_order_of_the_checks() -> None:
    results = await run_checks([Check("b"), Check("a")], within=SOON)

    assert results == [CheckResult(name="b", fault=None), CheckResult(name="a", fault=None)]


async def test_names_the_kind_of_a_fault_and_not_its_text() -> None:
    results = await run_checks([Check("db", OSError("hunter2@db"))], within=SOON)

    assert results == [CheckResult(name="db", fault="OSError")]


async def test_gives_up_on_a_check_that_hangs_and_keeps_the_others() -> None:
    results = await run_checks([Check("hung", asyncio.Event()), Check("well")], within=SOON)

    assert results == [
        CheckResult(name="hung", fault="TimeoutError"),
        CheckResult(name="well", fault=None),
    ]


async def test_logs_the_cause_for_operators(caplog: pytest.LogCaptureFixture) -> None:
    await run_checks([Check("db", OSError("refused"))], within=SOON)

    assert "refused" in caplog.text
