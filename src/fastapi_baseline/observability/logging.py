"""Logs as lines of JSON on standard output, each with the identifier of its request.

The standard library carries them, so that the lines of every library look alike. Pass what a
machine should find as fields: `logger.info("Paid", extra={"fields": {"order": str(order.id)}})`.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from fastapi_baseline import context
from fastapi_baseline.settings import LogSettings

_UVICORN_LOGGERS = ("uvicorn", "uvicorn.error")


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON: `ts`, `level`, `logger`, `msg`, `request_id`, fields.

    Line breaks inside of values are escaped, so that no value can forge a line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        request = context.current()
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "msg": record.getMessage(),
        }
        if request is not None:
            line["request_id"] = request.request_id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class ConsoleFormatter(logging.Formatter):
    """Writes a record for a person."""

    def __init__(self) -> None:
        """Fix the order of the parts."""
        super().__init__("%(asctime)s %(levelname)-8s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the fields of the record and its request at the end."""
        fields: dict[str, object] = dict(getattr(record, "fields", {}))
        request = context.current()
        if request is not None:
            fields["request_id"] = request.request_id
        tail = " ".join(f"{name}={value}" for name, value in fields.items())
        head, newline, traceback = super().format(record).partition("\n")
        return f"{head} {tail}".rstrip() + newline + traceback


class _StandardOutput(logging.Handler):
    """Writes to whatever standard output is at that moment, so that it can be redirected."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except Exception:  # noqa: BLE001 -- a log line that fails must not fail the request
            self.handleError(record)


def configure_logging(settings: LogSettings) -> None:
    """Send the records of this process to standard output, in the format of the settings.

    Calling it again replaces what it did before; handlers of others stay. The lines of uvicorn go
    the same way, except its access log, which is silenced, since the service writes its own.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _StandardOutput):
            root.removeHandler(handler)
    handler = _StandardOutput()
    handler.setFormatter(JsonFormatter() if settings.format == "json" else ConsoleFormatter())
    root.addHandler(handler)
    root.setLevel(settings.level)
    for name in _UVICORN_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").disabled = True
