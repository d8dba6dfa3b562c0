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
    from fastapi_baseline.persistence.database import (
        Database,
    )
    from fastapi_baseline.persistence.errors import (
        CheckViolationError,
        CommitInTransactionError,
        DatabaseUnavailableError,
        ExclusionViolationError,
        ForeignKeyViolationError,
        HiddenColumnError,
        InvalidCursorError,
        InvalidKeyError,
        InvalidTextError,
        LockTimeoutError,
        NotADependencyError,
        NotNullViolationError,
        PoolTimeoutError,
        ReadOnlyColumnError,
        ReadOnlyTransactionError,
        SerializationFailureError,
        StaleEntityError,
        StatementTimeoutError,
        TransactionAbortedError,
        UnconditionedWriteError,
        UniqueViolationError,
        UnknownAttributeError,
        ValueOutOfRangeError,
        ValueTooLongError,
        VersionMismatchError,
    )
    from fastapi_baseline.persistence.loading import LoadPlans
    from fastapi_baseline.persistence.models import (
        Authorship,
        Base,
        Timestamps,
        UTCDateTime,
        UUIDPrimaryKey,
        Versioned,
    )
    from fastapi_baseline.persistence.paging.pages import (
        CursorPage,
        Page,
        Slice,
    )
    from fastapi_baseline.persistence.paging.totals import (
        Total,
    )
    from fastapi_baseline.persistence.policy import (
        Policy,
    )
    from fastapi_baseline.persistence.query.criteria import (
        Criteria,
        CursorQuery,
        ListQuery,
    )
    from fastapi_baseline.persistence.query.operators import (
        In,
        IsNull,
        Range,
        Text,
        on,
        parameter,
        via,
    )
    from fastapi_baseline.persistence.reading.locking import (
        Lock,
    )
    from fastapi_baseline.persistence.reading.ordering import (
        order_index,
    )
    from fastapi_baseline.persistence.repository import (
        ReadRepository,
        Repository,
    )
    from fastapi_baseline.persistence.sessions.changes import cache_tags
    from fastapi_baseline.persistence.sessions.retries import Backoff
    from fastapi_baseline.persistence.sessions.session import (
        ReadSession,
        WriteSession,
    )
    from fastapi_baseline.persistence.sessions.session_factory import Isolation
    from fastapi_baseline.persistence.specification import (
        Spec,
        related,
    )
    from fastapi_baseline.persistence.transaction import (
        ReadTransaction,
        StreamTransaction,
        Transaction,
    )
    from fastapi_baseline.persistence.writing.preconditions import (
        IfMatch,
        OptionalIfMatch,
        Precondition,
        etag_of,
    )
    from fastapi_baseline.persistence.writing.soft_delete import (
        SoftDelete,
        unique_while_present,
    )
    from fastapi_baseline.persistence.writing.upsert import (
        Upserted,
    )

__all__ = [
    "Authorship",
    "Backoff",
    "Base",
    "CheckViolationError",
    "CommitInTransactionError",
    "Criteria",
    "CursorPage",
    "CursorQuery",
    "Database",
    "DatabaseUnavailableError",
    "ExclusionViolationError",
    "ForeignKeyViolationError",
    "HiddenColumnError",
    "IfMatch",
    "In",
    "InvalidCursorError",
    "InvalidKeyError",
    "InvalidTextError",
    "IsNull",
    "Isolation",
    "ListQuery",
    "LoadPlans",
    "Lock",
    "LockTimeoutError",
    "NotADependencyError",
    "NotNullViolationError",
    "OptionalIfMatch",
    "Page",
    "Policy",
    "PoolTimeoutError",
    "Precondition",
    "Range",
    "ReadOnlyColumnError",
    "ReadOnlyTransactionError",
    "ReadRepository",
    "ReadSession",
    "ReadTransaction",
    "Repository",
    "SerializationFailureError",
    "Slice",
    "SoftDelete",
    "Spec",
    "StaleEntityError",
    "StatementTimeoutError",
    "StreamTransaction",
    "Text",
    "Timestamps",
    "Total",
    "Transaction",
    "TransactionAbortedError",
    "UTCDateTime",
    "UUIDPrimaryKey",
    "UnconditionedWriteError",
    "UniqueViolationError",
    "UnknownAttributeError",
    "Upserted",
    "ValueOutOfRangeError",
    "ValueTooLongError",
    "VersionMismatchError",
    "Versioned",
    "WriteSession",
    "cache_tags",
    "etag_of",
    "on",
    "order_index",
    "parameter",
    "related",
    "unique_while_present",
    "via",
]

_HOMES = {
    "Authorship": "models",
    "Backoff": "sessions.retries",
    "Base": "models",
    "Criteria": "query.criteria",
    "CursorPage": "paging.pages",
    "CursorQuery": "query.criteria",
    "Database": "database",
    "IfMatch": "writing.preconditions",
    "In": "query.operators",
    "IsNull": "query.operators",
    "Isolation": "sessions.session_factory",
    "ListQuery": "query.criteria",
    "LoadPlans": "loading",
    "Lock": "reading.locking",
    "OptionalIfMatch": "writing.preconditions",
    "Page": "paging.pages",
    "Policy": "policy",
    "Precondition": "writing.preconditions",
    "Range": "query.operators",
    "ReadRepository": "repository",
    "ReadSession": "sessions.session",
    "ReadTransaction": "transaction",
    "Repository": "repository",
    "Slice": "paging.pages",
    "SoftDelete": "writing.soft_delete",
    "Spec": "specification",
    "StreamTransaction": "transaction",
    "Text": "query.operators",
    "Timestamps": "models",
    "Total": "paging.totals",
    "Transaction": "transaction",
    "UTCDateTime": "models",
    "UUIDPrimaryKey": "models",
    "Upserted": "writing.upsert",
    "Versioned": "models",
    "WriteSession": "sessions.session",
    "etag_of": "writing.preconditions",
    "on": "query.operators",
    "order_index": "reading.ordering",
    "parameter": "query.operators",
    "related": "specification",
    "unique_while_present": "writing.soft_delete",
    "via": "query.operators",
    "cache_tags": "sessions.changes",
}

__getattr__, __dir__ = export_lazily(
    __name__, {name: _HOMES.get(name, "errors") for name in __all__}
)
