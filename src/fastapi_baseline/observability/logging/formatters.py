"""The two forms of a line: JSON for machines, and text for people."""

import json
import logging
import re
from typing import Any, cast

from fastapi_baseline.observability.logging.lines import LineComposer, compose_failure
from fastapi_baseline.observability.logging.plain_lines import PlainLines
from fastapi_baseline.observability.logging.redaction import Redactor

_encode = json.JSONEncoder(separators=(",", ":")).encode
# Half of a surrogate pair, which strict readers of JSON refuse (RFC 8259, section 8.2).
_SURROGATE = r"\ud"
# Control characters, line ends of Unicode, and what turns the direction of writing.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_PLAIN_VALUE = re.compile(r"[^\s\"'=\\]+")
_SHOWN_ELSEWHERE = ("ts", "level", "logger", "msg", "exception", "stack")


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON: `ts`, `level`, `logger`, `msg`, origin, fields.

    The line is ASCII and has no control characters, so that nothing in it can forge a line or
    speak to a terminal. Secrets are left out. It has to be asked on the thread that made the
    record: `request_id`, `tenant`, `trace_id`, `span_id` and `trace_flags` are known only there.
    """

    def __init__(self, redactor: Redactor | None = None) -> None:
        """Leave out what `redactor` takes for a secret."""
        super().__init__()
        redactor = redactor or Redactor()
        self._plain = PlainLines(redactor)
        self._composer = LineComposer(redactor)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end; it never fails."""
        try:
            plain = self._plain.write(record)
            if plain is not None:
                return plain
            line = self._composer.compose(record)
            text = _encode(line)
            return _encode(_join_surrogates(line)) if _SURROGATE in text else text
        except Exception as error:  # noqa: BLE001 -- a service does not fail because of a log line
            return _encode(_join_surrogates(compose_failure(record, error)))


class ConsoleFormatter(logging.Formatter):
    """Writes a record for a person: one line, and below it, indented, the traceback.

    What could move the cursor, colour the screen or begin a new line is written as an escape.
    """

    def __init__(self, redactor: Redactor | None = None) -> None:
        """Leave out what `redactor` takes for a secret."""
        super().__init__()
        self._composer = LineComposer(redactor or Redactor())

    def format(self, record: logging.LogRecord) -> str:
        """Return the line and what is below it, without its end; it never fails."""
        try:
            line = self._composer.compose(record)
        except Exception as error:  # noqa: BLE001 -- a service does not fail because of a log line
            line = compose_failure(record, error)
        parts = [
            line["ts"][11:23],
            _escape(f"{line['level']:<8}"),
            _escape(f"{line['logger']}:"),
            _escape(line["msg"]),
        ]
        for name, value in line.items():
            if name not in _SHOWN_ELSEWHERE:
                parts.append(f"{_escape(name)}={_show(value)}")
        below = [line[name] for name in ("exception", "stack") if name in line]
        rows = [f"  {_escape(row)}" for text in below for row in text.split("\n")]
        return "\n".join([" ".join(parts).rstrip(), *rows])


def _show(value: object) -> str:
    if isinstance(value, str) and _PLAIN_VALUE.fullmatch(value):
        return _escape(value)
    return _escape(json.dumps(value, ensure_ascii=False))


def _escape(text: str) -> str:
    return _UNSAFE.sub(_as_escape, text)


def _as_escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _join_surrogates(value: Any) -> Any:
    """Return the value with halves of pairs joined, or replaced where the other one is missing."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        return {_join_surrogates(name): _join_surrogates(item) for name, item in mapping.items()}
    if isinstance(value, list):
        return [_join_surrogates(item) for item in cast("list[Any]", value)]
    return value
