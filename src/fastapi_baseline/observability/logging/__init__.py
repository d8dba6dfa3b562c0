"""Logs as lines on standard output, each with the identifiers of its request and its trace.

The standard library carries them, so that the lines of every library look alike. Pass what a
machine should find as fields: `logger.info("Paid", extra={"fields": {"order": str(order.id)}})`.
"""

from fastapi_baseline.observability.logging.configuration import LoggingHandle, configure_logging
from fastapi_baseline.observability.logging.formatters import ConsoleFormatter, JsonFormatter
from fastapi_baseline.observability.logging.levels import (
    LoggerLevel,
    LogLevels,
    UnknownLoggerError,
)
from fastapi_baseline.observability.logging.redaction import REDACTED, SECRET_NAMES, Redactor
from fastapi_baseline.observability.logging.routes import LOGGERS_PATH, make_loggers_router

__all__ = [
    "LOGGERS_PATH",
    "REDACTED",
    "SECRET_NAMES",
    "ConsoleFormatter",
    "JsonFormatter",
    "LogLevels",
    "LoggerLevel",
    "LoggingHandle",
    "Redactor",
    "UnknownLoggerError",
    "configure_logging",
    "make_loggers_router",
]
