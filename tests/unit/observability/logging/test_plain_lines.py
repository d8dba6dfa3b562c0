import json
import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.observability.logging.lines import LineComposer
from fastapi_baseline.observability.logging.plain_lines import PlainLines
from fastapi_baseline.observability.logging.redaction import Redactor

REDACTOR = Redactor()
# Machines that run tests are busy.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

any_text = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ["/orders/1", "password=x", "to\u212aen: x", "Bearer 0123456789abcdef", "\ud800", "x" * 20_000]
)
names = any_text | st.sampled_from(
    ["method", "path", "status", "ts", "request_id", "trace_id", "exception", "password", "token"]
)
values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**63), 2**64, -(2**63) - 1])
    | st.floats()
    | any_text
    | st.binary()
    | st.lists(st.integers())
)
contexts = st.none() | st.builds(
    RequestContext, request_id=any_text, tenant=st.none() | st.text(max_size=5)
)
spans = st.sampled_from(
    [
        trace.INVALID_SPAN,
        NonRecordingSpan(SpanContext(7, 8, is_remote=False, trace_flags=TraceFlags(1))),
        NonRecordingSpan(SpanContext(0, 8, is_remote=False)),
    ]
)


def record_of(message: object, fields: object, **extra: Any) -> logging.LogRecord:
    extra = {**extra, "fields": fields} if fields is not None else extra
    return logging.getLogger("shop").makeRecord(
        "shop", logging.INFO, "shop.py", 1, message, (), None, extra=extra
    )


def composed(record: logging.LogRecord) -> str:
    return json.dumps(LineComposer(REDACTOR).compose(record), separators=(",", ":"))


@UNHURRIED
@given(
    message=any_text,
    fields=st.dictionaries(names, values, max_size=6),
    request=contexts,
    span=spans,
)
@example(message="GET /", fields={"a": -0.0}, request=None, span=trace.INVALID_SPAN)
@example(message="GET /", fields={"ts": 1, "ts_": 2}, request=None, span=trace.INVALID_SPAN)
def test_writes_what_the_general_way_writes_or_leaves_it_to_that(
    message: str, fields: dict[str, Any], request: RequestContext | None, span: trace.Span
) -> None:
    record = record_of(message, fields)
    token = request_context.set(request)

    try:
        with trace.use_span(span):
            plain = PlainLines(REDACTOR).write(record)
            expected = composed(record)
    finally:
        request_context.reset(token)

    assert plain in {None, expected}


def test_writes_the_line_of_a_request() -> None:
    fields = {
        "method": "GET",
        "path": "/orders/ä",
        "route": None,
        "status": 200,
        "duration_ms": 1.25,
        "slow": True,
        "incomplete": False,
    }
    record = record_of("GET /orders/ä 200", fields)

    assert PlainLines(REDACTOR).write(record) == composed(record)


@pytest.mark.parametrize(
    "record",
    [
        record_of("signed in with password=x", {}),
        record_of("x", {"header": "Bearer 0123456789abcdef"}),
        record_of("x", {"api_key": "x"}),
        record_of("x", {"request_id": "mine"}),
        record_of("x", {"numbers": [1]}),
        record_of("x", {"number": 2**64}),
        record_of("x", {"number": float("nan")}),
        record_of("x", {"text": "x" * 20_000}),
        record_of("x", {"text": "\ud800"}),
        record_of("x" * 20_000, {}),
        record_of("x", {}, loose=1),
        record_of("x", None),
        record_of("x", "no mapping"),
        record_of(1, {}),
        logging.makeLogRecord({"msg": "x", "fields": {}}),
        logging.makeLogRecord({"name": "shop", "msg": "%s", "args": ("x",), "fields": {}}),
        logging.makeLogRecord({"name": "shop", "msg": "x", "fields": {}, "stack_info": "here"}),
    ],
    ids=range(17),
)
def test_leaves_to_the_general_way_what_is_not_plain(record: logging.LogRecord) -> None:
    assert PlainLines(REDACTOR).write(record) is None
