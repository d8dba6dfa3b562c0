"""structlog in front of the standard library: the same lines, with its way of binding fields."""

from collections.abc import MutableMapping
from typing import Any

from fastapi_baseline._extras import optional

with optional("structlog", extra="structlog"):
    import structlog

_ARGUMENTS = ("exc_info", "stack_info", "stacklevel")


def configure_structlog() -> None:
    """Send what structlog is given through the standard library, with bound values as fields.

    Call it besides `configure_logging`, whose format, levels, redaction and queue then hold for
    both. Values bound with `structlog.contextvars` are fields, too.
    """
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            hand_over,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def hand_over(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Return the arguments for a logger of the standard library: structlog's last processor."""
    arguments: dict[str, Any] = {name: event.pop(name) for name in _ARGUMENTS if name in event}
    message = event.pop("event", "")
    return {"msg": message, "extra": {"fields": dict(event)}, **arguments}
