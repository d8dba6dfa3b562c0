import logging
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from fastapi_baseline.auth import security_events
from fastapi_baseline.auth.security_events import (
    SECURITY_EVENT_NAMES,
    LogSecurityEvents,
    SecurityEvent,
)

LOGGER = "fastapi_baseline.auth.events"


def counted(reader: InMemoryMetricReader) -> dict[tuple[str, str], int | float]:
    data = reader.get_metrics_data()
    assert data is not None
    points = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if metric.name == "baseline.auth.events"
    ]
    assert all(isinstance(point, NumberDataPoint) for point in points)
    return {
        (str((point.attributes or {})["name"]), str((point.attributes or {})["outcome"])): (
            point.value if isinstance(point, NumberDataPoint) else 0
        )
        for point in points
    }


async def test_an_event_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        await LogSecurityEvents().record(
            SecurityEvent(
                name="sign_in", outcome="success", subject="u1", details={"method": "password"}
            )
        )

    [record] = caplog.records
    assert (record.name, record.levelno) == (LOGGER, logging.INFO)
    assert record.getMessage() == "Security event: sign_in"
    assert vars(record)["fields"] == {
        "event": "sign_in",
        "outcome": "success",
        "subject": "u1",
        "method": "password",
    }


async def test_a_failure_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    await LogSecurityEvents().record(SecurityEvent(name="sign_in_refused", outcome="failure"))

    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "subject" not in vars(record)["fields"]


async def test_details_do_not_say_what_happened(caplog: pytest.LogCaptureFixture) -> None:
    details = {"event": "sign_in", "outcome": "success", "subject": "somebody else"}

    await LogSecurityEvents().record(
        SecurityEvent(name="token_refused", outcome="failure", subject="u1", details=details)
    )

    [record] = caplog.records
    fields = vars(record)["fields"]
    assert (fields["event"], fields["outcome"]) == ("token_refused", "failure")
    assert fields["subject"] == "u1"


async def test_events_are_counted_by_name_and_outcome() -> None:
    reader = InMemoryMetricReader()
    events = LogSecurityEvents(MeterProvider([reader]))

    for _ in range(2):
        await events.record(SecurityEvent(name="sign_in", outcome="success", subject="u1"))
    await events.record(SecurityEvent(name="sign_in_refused", outcome="failure"))

    assert counted(reader) == {("sign_in", "success"): 2, ("sign_in_refused", "failure"): 1}


async def test_a_name_that_nobody_knows_makes_no_series_of_its_own() -> None:
    reader = InMemoryMetricReader()
    events = LogSecurityEvents(MeterProvider([reader]))

    names: list[Any] = ["made_up", "another"]
    for name in names:
        await events.record(SecurityEvent(name=name, outcome="failure"))

    assert counted(reader) == {("_other", "failure"): 2}


def test_every_event_happens_somewhere() -> None:
    package = Path(security_events.__file__).parent
    code = "".join(
        path.read_text(encoding="utf-8")
        for path in package.rglob("*.py")
        if path.name != "security_events.py"
    )

    assert [name for name in SECURITY_EVENT_NAMES if f'"{name}"' not in code] == []


def test_names_are_words_in_snake_case() -> None:
    assert all(name.replace("_", "").isalpha() and name.islower() for name in SECURITY_EVENT_NAMES)
