"""How operators see what the service does."""

from fastapi_baseline.observability.logging import (
    JsonFormatter,
    LoggingHandle,
    LogLevels,
    configure_logging,
    make_loggers_router,
)

__all__ = [
    "JsonFormatter",
    "LogLevels",
    "LoggingHandle",
    "configure_logging",
    "make_loggers_router",
]
