import logging
from typing import Any

from fastapi_baseline.context import RequestContext
from fastapi_baseline.observability.logging.lines import LineComposer, compose_failure
from fastapi_baseline.observability.logging.redaction import REDACTED, Redactor
from fastapi_baseline.observability.logging.values import LONGEST_TEXT


def record_of(message: object, *args: object, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("shop").makeRecord(
        "shop", logging.INFO, "shop.py", 1, message, args, None, extra=extra
    )


def line_of(record: logging.LogRecord) -> dict[str, Any]:
    return LineComposer(Redactor()).compose(record)


class Unprintable:
    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__


def test_a_field_never_replaces_what_the_line_says(in_request: RequestContext) -> None:
    line = line_of(record_of("paid", fields={"level": "forged", "request_id": "forged"}))

    assert (line["level"], line["level_"]) == ("INFO", "forged")
    assert (line["request_id"], line["request_id_"]) == ("abcdefgh", "forged")


def test_takes_fields_that_were_passed_one_by_one() -> None:
    line = line_of(record_of("paid", order=7, fields={"amount": 3}))

    assert (line["order"], line["amount"]) == (7, 3)


def test_leaves_out_what_libraries_put_onto_records() -> None:
    record = record_of("paid", color_message="\x1b[1mpaid")
    record.message = record.asctime = "of another formatter"

    assert line_of(record).keys() == {"ts", "level", "logger", "msg"}


def test_takes_fields_that_are_no_mapping() -> None:
    assert line_of(record_of("paid", fields=[1]))["fields"] == [1]


def test_redacts_by_name_and_by_shape() -> None:
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"

    line = line_of(
        record_of(
            "got %s",
            jwt,
            fields={
                "password": "hunter2",
                "nested": {"headers": [(b"Cookie", b"a=b"), ("accept", "x")], "apiKey": 5},
                "url": "redis://:hunter2@cache/0",
                "has_token": True,
                "token": None,
            },
        )
    )

    assert line["msg"] == f"got {REDACTED}"
    assert line["password"] == REDACTED
    assert line["nested"] == {
        "headers": [["Cookie", REDACTED], ["accept", "x"]],
        "apiKey": REDACTED,
    }
    assert line["url"] == f"redis://:{REDACTED}@cache/0"
    assert line["has_token"] is True
    assert line["token"] is None


def test_redacts_tracebacks() -> None:
    record = record_of("failed")
    record.exc_info = (ValueError, ValueError("cannot open pg://me:hunter2@db/x"), None)
    record.stack_info = "token=hunter2"

    line = line_of(record)

    assert line["exception"] == f"ValueError: cannot open pg://me:{REDACTED}@db/x"
    assert line["stack"] == f"token={REDACTED}"


def test_keeps_the_end_of_a_long_traceback() -> None:
    record = record_of("failed")
    record.exc_info = (ValueError, ValueError("x" * 100_000 + "the reason"), None)

    text = line_of(record)["exception"]

    assert text.endswith("the reason")
    assert len(text) < LONGEST_TEXT + 50


def test_keeps_the_beginning_of_a_long_message() -> None:
    message = line_of(record_of("the beginning" + "x" * 100_000))["msg"]

    assert message.startswith("the beginning")
    assert len(message) < LONGEST_TEXT + 50


def test_loses_no_line_whose_arguments_do_not_fit() -> None:
    assert line_of(record_of("%d of %d", "one"))["msg"] == "%d of %d ('one',)"


def test_loses_no_line_with_something_unprintable() -> None:
    line = line_of(record_of(Unprintable(), fields={"what": Unprintable(), Unprintable(): 1}))

    assert line["msg"].startswith("<Unprintable>")
    assert line["what"] == "<Unprintable>"
    assert line["<Unprintable>"] == 1


def test_asks_the_context_when_it_is_called(in_request: RequestContext) -> None:
    values = ["before"]

    line = line_of(record_of("paid", fields={"values": values}))
    values.append("after")

    assert line["values"] == ["before"]


def test_says_whose_line_could_not_be_put_together() -> None:
    line = compose_failure(record_of("x"), ValueError("secret"))

    assert (line["from"], line["error"]) == ("shop", "ValueError")
    assert "secret" not in str(line)
