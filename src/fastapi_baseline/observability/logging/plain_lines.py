"""A fast way to write the lines that nearly all are: a text, and fields of the types of JSON.

A line for each request is most of what a service logs. The general way (`lines`) puts any record
together as a dictionary, which is then encoded; where nothing is to be taken out, shortened or
renamed, the same characters can be written at once.
"""

import logging
from json.encoder import encode_basestring_ascii as encode_text
from math import isfinite
from typing import Any, cast

from opentelemetry import trace

from fastapi_baseline import context
from fastapi_baseline.observability.logging.lines import (
    INTEGERS,
    OF_THE_LINE,
    STANDARD_COUNT,
    Times,
)
from fastapi_baseline.observability.logging.redaction import Redactor
from fastapi_baseline.observability.logging.values import LONGEST_TEXT

_MOST_REMEMBERED = 4_096
# Half of a surrogate pair, as it is encoded.
_SURROGATE = r"\ud"


class PlainLines:
    """Writes records as lines of JSON, if they are plain enough."""

    def __init__(self, redactor: Redactor) -> None:
        """Leave lines to the general way in which `redactor` may find a secret."""
        self._redactor = redactor
        self._times = Times()
        self._labels: dict[str, str] = {}

    def write(self, record: logging.LogRecord) -> str | None:
        """Return what the general way would, or `None` if the record needs that one."""
        attributes = vars(record)
        message = record.msg
        fields = attributes.get("fields")
        if (
            record.args
            or record.exc_info
            or record.stack_info
            or message.__class__ is not str
            or record.name.__class__ is not str
            or len(message) > LONGEST_TEXT
            or fields.__class__ is not dict
            # Whoever passed `extra` may have passed anything.
            or len(attributes) > STANDARD_COUNT + 1
        ):
            return None
        written = self._write_fields(cast("dict[Any, Any]", fields), message)
        if written is None:
            return None
        line = (
            f'{{"ts":"{self._times.of(record)}","level":{encode_text(record.levelname)},'
            f'"logger":{encode_text(record.name)},"msg":{encode_text(message)}'
            f"{_write_origin()}{written}}}"
        )
        return None if _SURROGATE in line else line

    def _write_fields(self, fields: dict[Any, Any], message: str) -> str | None:
        parts: list[str] = []
        texts = [message]
        for name, value in fields.items():
            label = self._labels.get(name) or self._find_label(name)
            if label is None:
                return None
            kind = value.__class__
            if kind is str and len(value) <= LONGEST_TEXT:
                texts.append(value)
                parts.append(label + encode_text(value))
            elif (kind is int and value in INTEGERS) or (kind is float and isfinite(value)):
                parts.append(f"{label}{value!r}")
            elif value is None:
                parts.append(f"{label}null")
            elif kind is bool:
                parts.append(f"{label}true" if value else f"{label}false")
            else:
                return None
        if self._redactor.is_suspicious("\n".join(texts)):
            return None
        return "".join(parts)

    def _find_label(self, name: object) -> str | None:
        """Return what is written before the value of a field, or `None` if it is not plain."""
        if not isinstance(name, str) or name in OF_THE_LINE or self._redactor.is_secret(name):
            return None
        label = f",{encode_text(name)}:"
        if len(self._labels) < _MOST_REMEMBERED:
            self._labels[name] = label
        return label


def _write_origin() -> str:
    request = context.current()
    written = ""
    if request is not None:
        written = f',"request_id":{encode_text(request.request_id)}'
        if request.tenant is not None:
            written += f',"tenant":{encode_text(request.tenant)}'
    span = trace.get_current_span()
    if span is not trace.INVALID_SPAN:
        found = span.get_span_context()
        if found.is_valid:
            written += (
                f',"trace_id":"{found.trace_id:032x}","span_id":"{found.span_id:016x}"'
                f',"trace_flags":"{found.trace_flags:02x}"'
            )
    return written
