"""How operators see what the service does."""

from fastapi_baseline.observability.logging import JsonFormatter, configure_logging

__all__ = ["JsonFormatter", "configure_logging"]
