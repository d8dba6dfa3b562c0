"""What the lines about requests and those about WebSockets have in common."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from fastapi_baseline import context

logger = logging.getLogger("fastapi_baseline.access")

LONGEST_PATH = 2_048
"""How many characters of a path are written."""


def add_context(fields: dict[str, Any]) -> None:
    """Add what is known about the request; what the line says by itself is never replaced."""
    request = context.current()
    if request is None:
        return
    statements = request.statements
    if statements.count:
        fields["db_statements"] = statements.count
        fields["db_ms"] = ms(statements.seconds)
    own: Mapping[str, object] = request.fields
    for name, value in own.items():
        fields[f"{name}_" if name in fields else name] = value


def ms(seconds: float) -> float:
    """Return milliseconds, to the hundredth."""
    return round(seconds * 1000, 2)


def write(level: int, message: str, fields: dict[str, Any]) -> None:
    """Write a line, if the level is enabled."""
    if logger.isEnabledFor(level):
        # logger.log() would look for the line of code that has called it, at some cost.
        logger.handle(_make_record(level, message, fields))


def _make_any_record(level: int, message: str, fields: dict[str, Any]) -> logging.LogRecord:
    return logger.makeRecord(
        logger.name, level, __file__, 0, message, (), None, extra={"fields": fields}
    )


class _Template(threading.local):
    """What all records of a thread have in common: the process, the thread and the code."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.attributes = vars(_make_any_record(logging.INFO, "", {}))


_template = _Template()
# The thread that goes on in a copied process has another process in its records.
os.register_at_fork(after_in_child=_template.renew)


def _make_record(level: int, message: str, fields: dict[str, Any]) -> logging.LogRecord:
    """Return the record that `logger.makeRecord` would, at a third of the cost."""
    if logging.getLogRecordFactory() is not logging.LogRecord:
        return _make_any_record(level, message, fields)
    common = _template.attributes
    made = time.time()  # noqa: TID251 -- the same clock as that of all other records
    record = logging.LogRecord.__new__(logging.LogRecord)
    vars(record).update(
        common,
        msg=message,
        levelno=level,
        levelname=logging.getLevelName(level),
        created=made,
        msecs=float(int(made % 1 * 1000)),
        relativeCreated=common["relativeCreated"] + (made - common["created"]) * 1000,
        fields=fields,
    )
    if "taskName" in common:  # From Python 3.12 on.
        vars(record)["taskName"] = _name_of_task()
    return record


def _name_of_task() -> str | None:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    return None if task is None else task.get_name()
