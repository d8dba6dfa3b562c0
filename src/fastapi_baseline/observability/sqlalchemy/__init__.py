"""What is sent to databases, measured and traced: for any engine of SQLAlchemy."""

from fastapi_baseline.observability.sqlalchemy.engine import instrument_engine
from fastapi_baseline.observability.sqlalchemy.pool import observe_pool
from fastapi_baseline.observability.sqlalchemy.statements import Statement, describe

__all__ = ["Statement", "describe", "instrument_engine", "observe_pool"]
