"""The data layer: models, the transaction of a request, and repositories, on SQLAlchemy.

A route takes a `Transaction`, which is committed before the response is sent, or a
`ReadTransaction`; a `Repository` works in the one it is given and never commits. What the database
refuses becomes an error with a code, told apart by SQLSTATE or SQLite's error name.
"""

import importlib
from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily
from fastapi_baseline._extras import optional

with optional("sqlalchemy", "greenlet", extra="persistence"):
    # By name: SQLAlchemy itself looks for greenlet only when it first runs something.
    importlib.import_module("greenlet")
    importlib.import_module("sqlalchemy")

if TYPE_CHECKING:
    from fastapi_baseline.persistence.database import Database
    from fastapi_baseline.persistence.errors import (
        CheckViolationError,
        DatabaseUnavailableError,
        ExclusionViolationError,
        ForeignKeyViolationError,
        InvalidTextError,
        LockTimeoutError,
        NotNullViolationError,
        PoolTimeoutError,
        ReadOnlyTransactionError,
        SerializationFailureError,
        StaleEntityError,
        StatementTimeoutError,
        TransactionAbortedError,
        UniqueViolationError,
        UnknownAttributeError,
        ValueOutOfRangeError,
        ValueTooLongError,
    )
    from fastapi_baseline.persistence.models import Base, Timestamps, UTCDateTime, UUIDPrimaryKey
    from fastapi_baseline.persistence.page import Page
    from fastapi_baseline.persistence.repository import Repository
    from fastapi_baseline.persistence.transaction import ReadTransaction, Transaction

__all__ = [
    "Base",
    "CheckViolationError",
    "Database",
    "DatabaseUnavailableError",
    "ExclusionViolationError",
    "ForeignKeyViolationError",
    "InvalidTextError",
    "LockTimeoutError",
    "NotNullViolationError",
    "Page",
    "PoolTimeoutError",
    "ReadOnlyTransactionError",
    "ReadTransaction",
    "Repository",
    "SerializationFailureError",
    "StaleEntityError",
    "StatementTimeoutError",
    "Timestamps",
    "Transaction",
    "TransactionAbortedError",
    "UTCDateTime",
    "UUIDPrimaryKey",
    "UniqueViolationError",
    "UnknownAttributeError",
    "ValueOutOfRangeError",
    "ValueTooLongError",
]

_HOMES = {
    "Base": "models",
    "Database": "database",
    "Page": "page",
    "ReadTransaction": "transaction",
    "Repository": "repository",
    "Timestamps": "models",
    "Transaction": "transaction",
    "UTCDateTime": "models",
    "UUIDPrimaryKey": "models",
}

__getattr__, __dir__ = export_lazily(
    __name__, {name: _HOMES.get(name, "errors") for name in __all__}
)
