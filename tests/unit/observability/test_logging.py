import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.observability import JsonFormatter, configure_logging
from fastapi_baseline.observability.logging import ConsoleFormatter
from fastapi_baseline.settings import LogSettings


@pytest.fixture(autouse=True)
def untouched_root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn.access").disabled = False


@pytest.fixture
def in_request() -> Iterator[None]:
    token = request_context.set(RequestContext(request_id="abcdefgh"))
    yield
    request_context.reset(token)


def _record(message: str, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("shop").makeRecord(
        "shop", logging.INFO, "shop.py", 1, message, (), None, extra=extra
    )


@pytest.mark.usefixtures("in_request")
def test_writes_one_line_with_the_identifier_and_the_fields() -> None:
    line = json.loads(JsonFormatter().format(_record("paid", fields={"order": 7})))

    assert line["msg"] == "paid"
    assert line["level"] == "INFO"
    assert line["logger"] == "shop"
    assert line["request_id"] == "abcdefgh"
    assert line["order"] == 7
    assert line["ts"].endswith("+00:00")


def test_has_no_identifier_outside_of_a_request() -> None:
    assert "request_id" not in json.loads(JsonFormatter().format(_record("started")))


def test_lets_no_value_forge_a_line() -> None:
    written = JsonFormatter().format(_record('x\n{"level":"ERROR"}\u2028\x00'))

    assert written.isascii()
    assert "\n" not in written


def test_writes_what_json_does_not_know_as_text() -> None:
    line = json.loads(JsonFormatter().format(_record("x", fields={"what": {1, 2}.__class__})))

    assert line["what"] == "<class 'set'>"


@pytest.mark.usefixtures("in_request")
def test_writes_for_people_with_the_traceback_below() -> None:
    record = _record("failed", fields={"order": 7})
    record.exc_info = (ValueError, ValueError("no"), None)

    first, *rest = ConsoleFormatter().format(record).splitlines()

    assert first.endswith("shop: failed order=7 request_id=abcdefgh")
    assert rest == ["ValueError: no"]


def test_keeps_the_traceback_in_the_line() -> None:
    record = _record("failed")
    record.exc_info = (ValueError, ValueError("no"), None)

    assert json.loads(JsonFormatter().format(record))["exception"] == "ValueError: no"


def test_replaces_only_what_it_did_before(capsys: pytest.CaptureFixture[str]) -> None:
    before = list(logging.getLogger().handlers)

    configure_logging(LogSettings(format="console"))
    configure_logging(LogSettings())
    logging.getLogger("shop").info("once")

    assert json.loads(capsys.readouterr().out)["msg"] == "once"
    assert [kept for kept in logging.getLogger().handlers if kept in before] == before


def test_keeps_to_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(level="WARNING"))

    logging.getLogger("shop").info("quiet")

    assert capsys.readouterr().out == ""


def test_takes_over_the_lines_of_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    server = logging.getLogger("uvicorn.error")
    server.addHandler(logging.StreamHandler())

    configure_logging(LogSettings())
    server.info("Started")

    written = capsys.readouterr()
    assert json.loads(written.out)["logger"] == "uvicorn.error"
    assert written.err == ""
    assert logging.getLogger("uvicorn.access").disabled


def test_does_not_fail_the_caller_when_a_line_cannot_be_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise ValueError

    configure_logging(LogSettings())

    logging.getLogger("shop").info("x", extra={"fields": {"what": Unprintable()}})

    assert "Logging error" in capsys.readouterr().err
