import logging
from typing import Any

import pytest

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.middleware.access_lines import add_context, ms, write


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
