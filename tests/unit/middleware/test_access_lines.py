import logging
import threading
from typing import Any

import pytest

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.middleware import access_lines
from fastapi_baseline.middleware.access_lines import add_context, logger, ms, write


def test_adds_nothing_outside_of_a_request() -> None:
    fields: dict[str, Any] = {"path": "/x"}

    add_context(fields)

    assert fields == {"path": "/x"}


def test_adds_what_the_request_knows_and_replaces_nothing() -> None:
    request = RequestContext(request_id="abcdefgh", fields={"path": "of the service", "order": 7})
    request.statements.record("select 1", 0.0015)
    token = request_context.set(request)
    fields: dict[str, Any] = {"path": "/x"}

    add_context(fields)
    request_context.reset(token)

    assert fields == {
        "path": "/x",
        "db_statements": 1,
        "db_ms": 1.5,
        "path_": "of the service",
        "order": 7,
    }


@pytest.mark.parametrize(("level", "number"), [(logging.INFO, 0), (logging.WARNING, 1)])
def test_keeps_to_the_level(level: int, number: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="fastapi_baseline.access")

    write(level, "GET /x 200", {"path": "/x"})

    assert len(caplog.records) == number


def test_rounds_to_the_hundredth_of_a_millisecond() -> None:
    assert ms(0.001234567) == 1.23


# What no two records have in common, however they are made.
_OF_THE_MOMENT = {"created", "msecs", "relativeCreated"}


def _without_moment(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OF_THE_MOMENT}


def _made_by_the_logger(level: int, message: str, fields: dict[str, Any]) -> logging.LogRecord:
    return logger.makeRecord(
        logger.name, level, access_lines.__file__, 0, message, (), None, extra={"fields": fields}
    )


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING, 35])
async def test_writes_the_record_that_the_logger_would_make(
    level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="fastapi_baseline.access")
    formatted_by_others = {"message", "asctime"}

    write(level, "GET /x 200", {"path": "/x"})
    expected = _made_by_the_logger(level, "GET /x 200", {"path": "/x"})

    (record,) = caplog.records
    found = _without_moment(record)
    assert {name: found[name] for name in found.keys() - formatted_by_others} == _without_moment(
        expected
    )
    assert isinstance(record, logging.LogRecord)
    assert 0 <= expected.created - record.created < 60
    assert 0 <= expected.relativeCreated - record.relativeCreated < 60_000
    assert record.msecs == pytest.approx(record.created % 1 * 1000, abs=1)


def test_writes_the_record_of_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="fastapi_baseline.access")

    for name in ("first", "second"):
        thread = threading.Thread(target=write, args=(logging.INFO, "x", {}), name=name)
        thread.start()
        thread.join()

    assert [record.threadName for record in caplog.records] == ["first", "second"]


def test_writes_the_record_of_a_factory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Record(logging.LogRecord):
        pass

    caplog.set_level(logging.INFO, logger="fastapi_baseline.access")
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(Record)

    try:
        write(logging.INFO, "x", {})
    finally:
        logging.setLogRecordFactory(before)

    assert isinstance(caplog.records[0], Record)
