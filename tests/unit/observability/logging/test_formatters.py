import json
import logging
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from fastapi_baseline.context import RequestContext
from fastapi_baseline.observability.logging.formatters import ConsoleFormatter, JsonFormatter
from fastapi_baseline.observability.logging.lines import LineComposer

# Everything that ends a line or speaks to a terminal, wherever it is written.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# Machines that run tests are busy.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

any_text = st.text(st.characters(exclude_categories=()))
any_scalar = st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.binary()
any_value = st.recursive(
    any_scalar | st.datetimes() | st.complex_numbers() | st.uuids(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(any_scalar, inner)
        | st.tuples(inner, inner)
        | st.sets(any_scalar)
    ),
    max_leaves=10,
)


def record_of(message: object, *args: object, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("shop").makeRecord(
        "shop", logging.INFO, "shop.py", 1, message, args, None, extra=extra
    )


def with_trouble(message: str, error: BaseException) -> logging.LogRecord:
    record = record_of(message)
    record.exc_info = (type(error), error, None)
    return record


def parse(text: str) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise ValueError(name)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names))
        return dict(pairs)

    found = json.loads(text, parse_constant=refuse, object_pairs_hook=once)
    # What strict readers refuse, and Python does not.
    json.dumps(found, ensure_ascii=False).encode("utf-8")
    return found


def test_writes_one_line_with_the_identifier_and_the_fields(in_request: RequestContext) -> None:
    line = parse(JsonFormatter().format(record_of("paid", fields={"order": 7})))

    assert line["msg"] == "paid"
    assert line["level"] == "INFO"
    assert line["logger"] == "shop"
    assert line["request_id"] == "abcdefgh"
    assert line["order"] == 7
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["ts"])


def test_has_no_identifiers_outside_of_a_request() -> None:
    line = parse(JsonFormatter().format(record_of("started")))

    assert line.keys() == {"ts", "level", "logger", "msg"}


def test_says_for_which_tenant(in_request: RequestContext) -> None:
    in_request.tenant = "acme"

    assert parse(JsonFormatter().format(record_of("paid")))["tenant"] == "acme"


def test_says_in_which_span() -> None:
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1)))

    with trace.use_span(span):
        line = parse(JsonFormatter().format(record_of("paid")))

    assert line["trace_id"] == "00000000000000000000000000000abc"
    assert line["span_id"] == "0000000000000def"
    assert line["trace_flags"] == "01"


def test_lets_no_value_forge_a_line() -> None:
    written = JsonFormatter().format(record_of('x\n{"level":"ERROR"}\u2028\x00'))

    assert written.isascii()
    assert "\n" not in written


@UNHURRIED
@given(message=any_text, fields=st.dictionaries(any_scalar, any_value))
def test_any_message_and_any_fields_are_one_valid_line(message: str, fields: Any) -> None:
    written = JsonFormatter().format(record_of(message, fields=fields))

    assert written.isascii()
    assert not CONTROLS.search(written)
    assert parse(written)["level"] == "INFO"


@UNHURRIED
@given(name=any_text, message=any_text)
def test_any_error_is_one_valid_line(name: str, message: str) -> None:
    record = with_trouble(message, ValueError(name))
    record.name = name

    written = JsonFormatter().format(record)

    assert not CONTROLS.search(written)
    assert "ValueError" in parse(written)["exception"]


@UNHURRIED
@given(message=any_text, fields=st.dictionaries(any_scalar, any_value))
def test_any_message_and_any_fields_are_one_line_for_people(message: str, fields: Any) -> None:
    written = ConsoleFormatter().format(record_of(message, fields=fields))

    assert not CONTROLS.search(written)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_writes_what_is_no_number_as_nothing(number: float) -> None:
    line = parse(JsonFormatter().format(record_of("x", fields={"top": number, "in": [number]})))

    assert line["top"] is None
    assert line["in"] == [None]


def test_joins_halves_of_characters_and_replaces_single_ones() -> None:
    line = parse(JsonFormatter().format(record_of("\ud83d\ude00 \ud83d", fields={"\udc00": 1})))

    assert line["msg"] == "\N{GRINNING FACE} \N{REPLACEMENT CHARACTER}"
    assert line["\N{REPLACEMENT CHARACTER}"] == 1


def test_keeps_the_traceback_in_the_line() -> None:
    written = JsonFormatter().format(with_trouble("failed", ValueError("no")))

    assert parse(written)["exception"] == "ValueError: no"


def test_writes_for_people_with_the_traceback_below(in_request: RequestContext) -> None:
    record = with_trouble("failed", ValueError("no\n12:00:00.000 INFO forged"))
    record.fields = {"order": 7, "note": "two words"}

    first, *rest = ConsoleFormatter().format(record).splitlines()

    assert first.endswith('shop: failed request_id=abcdefgh order=7 note="two words"')
    assert rest == ["  ValueError: no", "  12:00:00.000 INFO forged"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb", "a\\nb"),
        ("\u2028", "\\u2028"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\x85", "\\x85"),
    ],
    ids=["escape", "newline", "line separator", "direction", "next line"],
)
def test_shows_people_what_could_deceive_them(text: str, shown: str) -> None:
    assert ConsoleFormatter().format(record_of(text)).endswith(shown)


@pytest.mark.parametrize("formatter", [JsonFormatter(), ConsoleFormatter()], ids=["json", "text"])
def test_never_fails(formatter: logging.Formatter, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: LineComposer, record: logging.LogRecord) -> dict[str, Any]:
        raise RuntimeError

    monkeypatch.setattr(LineComposer, "compose", fail)

    assert "A line could not be put together" in formatter.format(record_of("x"))
