"""What the lines about requests and those about WebSockets have in common."""

import logging
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
        record = logger.makeRecord(
            logger.name, level, __file__, 0, message, (), None, extra={"fields": fields}
        )
        logger.handle(record)
