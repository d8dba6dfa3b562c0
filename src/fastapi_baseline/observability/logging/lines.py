"""What stands in a line: the record, the request and the span in which it was made, its fields."""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, cast

from opentelemetry import trace

from fastapi_baseline import context
from fastapi_baseline.observability.logging.redaction import REDACTED, Redactor
from fastapi_baseline.observability.logging.values import (
    LONGEST_TEXT,
    OVERLAP,
    shorten,
    to_plain,
    to_text,
)

INTEGERS = range(-(2**63), 2**64)
"""Which integers are written as such: those that readers have a type for."""
OF_THE_LINE = frozenset(
    {
        *("ts", "level", "logger", "msg", "request_id", "tenant"),
        *("trace_id", "span_id", "trace_flags", "exception", "stack"),
    }
)
"""What a line says of itself, and where and in which trouble it was written."""
_BARE = logging.LogRecord("", 0, "", 0, "", (), None)
# What other formatters and libraries put onto records, and nobody looks for.
_OF_OTHERS = frozenset({"asctime", "color_message", "message", "taskName", "websocket"})
_STANDARD = frozenset(vars(_BARE)) | _OF_OTHERS | {"fields"}
STANDARD_COUNT = len(vars(_BARE))
"""How many attributes a record has before anybody adds one."""
_FORMAT_EXCEPTION = logging.Formatter().formatException


class Times:
    """When records were made, as text: the part that changes once a second is made once."""

    def __init__(self) -> None:
        """Have made none yet."""
        self._second = (-1, "")

    def of(self, record: logging.LogRecord) -> str:
        """Return the time of a record (RFC 3339), in UTC and to the millisecond."""
        second = int(record.created)
        known, text = self._second
        if second != known:
            text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = (second, text)
        return f"{text}.{int(record.msecs):03d}+00:00"


class LineComposer:
    """Puts together what a line says, in the order in which it is written.

    It has to be asked on the thread that made the record, and at once: who asks is known there, and
    what the fields refer to may change or close later.
    """

    def __init__(self, redactor: Redactor) -> None:
        """Leave out what `redactor` takes for a secret."""
        self._redactor = redactor
        self._times = Times()

    def compose(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return names and values, of types that JSON has.

        A field never replaces what the line says of itself: it gets an underscore at its end.
        """
        message = _message_of(record)
        line: dict[str, Any] = {
            "ts": self._times.of(record),
            "level": record.levelname,
            "logger": record.name,
            "msg": message
            if len(message) <= LONGEST_TEXT
            else shorten(message, self._redactor.redact),
        }
        _add_origin(line)
        texts = self._add_fields(line, _fields_of(record))
        if self._redactor.is_suspicious("\n".join((line["msg"], *texts.values()))):
            line["msg"] = self._redactor.redact(line["msg"])
            for name, text in texts.items():
                line[name] = self._redactor.redact(text)
        if record.exc_info or record.stack_info:
            self._add_trouble(line, record)
        return line

    def _add_fields(self, line: dict[str, Any], fields: Mapping[Any, object]) -> dict[str, str]:
        """Add the fields, and return the texts among them that may still hold secrets."""
        texts: dict[str, str] = {}
        is_secret = self._redactor.is_secret
        for key, value in fields.items():
            name = key if key.__class__ is str else to_text(key)
            while name in line:
                name += "_"
            kind = value.__class__
            if value is None or kind is bool:
                line[name] = value
            elif is_secret(name):
                line[name] = REDACTED
            elif kind is str and len(cast("str", value)) <= LONGEST_TEXT:
                line[name] = texts[name] = cast("str", value)
            elif (kind is int and value in INTEGERS) or (
                kind is float and isfinite(cast("float", value))
            ):
                line[name] = value
            else:
                line[name] = to_plain(value, self._redactor)
        return texts

    def _add_trouble(self, line: dict[str, Any], record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[0] is not None:
            try:
                text = _FORMAT_EXCEPTION(record.exc_info)
            except Exception:  # noqa: BLE001 -- the exception of somebody else
                text = to_text(record.exc_info[0])
            line["exception"] = self._keep_end(text)
        if record.stack_info:
            line["stack"] = self._keep_end(to_text(record.stack_info))

    def _keep_end(self, text: str) -> str:
        """Return a traceback, of which the last part says most."""
        if len(text) <= LONGEST_TEXT:
            return self._redactor.redact(text)
        kept = self._redactor.redact(text[-LONGEST_TEXT - OVERLAP :])[OVERLAP:]
        return f"({len(text)} characters) …{kept}"


def compose_failure(record: logging.LogRecord, error: Exception) -> dict[str, Any]:
    """Return the line that is written if the record's own cannot be put together."""
    return {
        "ts": time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime()),
        "level": "ERROR",
        "logger": __name__,
        "msg": "A line could not be put together",
        "from": to_text(record.name),
        "error": type(error).__name__,
    }


def _message_of(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 -- arguments that do not fit are no reason to lose the line
        return f"{to_text(record.msg)} {to_text(record.args)}"
    return message


def _add_origin(line: dict[str, Any]) -> None:
    request = context.current()
    if request is not None:
        line["request_id"] = request.request_id
        if request.tenant is not None:
            line["tenant"] = request.tenant
    span = trace.get_current_span()
    if span is not trace.INVALID_SPAN:
        current = span.get_span_context()
        if current.is_valid:
            line["trace_id"] = f"{current.trace_id:032x}"
            line["span_id"] = f"{current.span_id:016x}"
            line["trace_flags"] = f"{current.trace_flags:02x}"


def _fields_of(record: logging.LogRecord) -> Mapping[Any, object]:
    """Return what was passed as `extra={"fields": {...}}`, and as `extra={...}`."""
    attributes = vars(record)
    fields: object = attributes.get("fields")
    if fields is None:
        fields = {}
    elif not isinstance(fields, Mapping):
        fields = {"fields": fields}
    found = cast("Mapping[Any, object]", fields)
    if len(attributes) > STANDARD_COUNT + ("fields" in attributes):
        loose = {name: attributes[name] for name in attributes.keys() - _STANDARD}
        if loose:
            return {**dict(sorted(loose.items())), **found}
    return found
