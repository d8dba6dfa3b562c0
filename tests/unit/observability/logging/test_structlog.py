import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from fastapi_baseline.context import RequestContext
from fastapi_baseline.observability import configure_logging
from fastapi_baseline.observability.logging.structlog import configure_structlog
from fastapi_baseline.settings import LogSettings


@pytest.fixture(autouse=True)
def configured() -> Iterator[None]:
    configure_logging(LogSettings())
    configure_structlog()
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_writes_the_same_lines_as_the_standard_library(
    in_request: RequestContext, capsys: pytest.CaptureFixture[str]
) -> None:
    structlog.get_logger("shop").warning("paid", order=7, password="x")
    logging.getLogger("shop").warning("paid", extra={"fields": {"order": 7, "password": "x"}})

    first, second = lines(capsys)
    del first["ts"], second["ts"]
    assert first == second
    assert first["order"] == 7
    assert first["request_id"] == "abcdefgh"


def test_has_what_was_bound(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.contextvars.bind_contextvars(tenant_name="acme")

    structlog.get_logger("shop").bind(order=7).info("paid %d", 3)

    (line,) = lines(capsys)
    assert (line["msg"], line["order"], line["tenant_name"]) == ("paid 3", 7, "acme")


def test_has_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        int("no")
    except ValueError:
        structlog.get_logger("shop").exception("failed")

    assert lines(capsys)[0]["exception"].endswith("'no'")


def test_keeps_to_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger("shop").debug("quiet")

    assert lines(capsys) == []


def test_leaves_percent_signs_alone(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger("shop").info("100 %s")

    assert lines(capsys)[0]["msg"] == "100 %s"
