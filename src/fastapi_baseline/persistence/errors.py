"""What a database can answer instead of doing what it was asked.

    ConflictError
    ├── UniqueViolationError          the values are taken
    ├── ForeignKeyViolationError      it refers to what is not there, or is still referred to
    ├── ExclusionViolationError       it overlaps with what is stored
    └── StaleEntityError              it was changed or removed by someone else meanwhile
    UnprocessableError
    ├── CheckViolationError           the values break a rule of the table
    ├── NotNullViolationError         a value is missing
    ├── ValueTooLongError             a text does not fit its column
    ├── ValueOutOfRangeError          a number or a date does not fit its column
    └── InvalidTextError              a text holds a character that the database cannot store
    UnavailableError
    ├── DatabaseUnavailableError      it cannot be reached, or broke off
    ├── PoolTimeoutError              no connection was free in time
    ├── LockTimeoutError              what is needed stayed locked
    └── SerializationFailureError     it collided with another transaction; a retry may succeed
    DeadlineExceededError
    └── StatementTimeoutError         a statement took longer than it may
    InvalidRequestError
    └── InvalidCursorError            a page cursor is damaged, or belongs to another list
    ForbiddenError
    ├── HiddenColumnError             a policy hides a column that was asked by
    └── ReadOnlyColumnError           a policy keeps a column from being set
    PreconditionFailedError
    └── VersionMismatchError          it has another version than the asker expected
    ConfigurationError
    └── NotADependencyError           a query was given to `Depends()`
    BaselineError                     defects of the service, answered with 500
    ├── CommitInTransactionError      a commit inside of a transaction that commits itself
    ├── UnconditionedWriteError       a write to all rows that does not say so
    ├── TransactionAbortedError       a failed statement was passed over, so nothing was stored
    ├── ReadOnlyTransactionError      a write in a `ReadTransaction`
    ├── InvalidKeyError               a primary key of other values than its columns have
    └── UnknownAttributeError         a repository was asked to set what the model does not have

The error of the driver is their `__cause__`. Statements that are wrong in themselves stay what
they are: errors of SQLAlchemy, and a 500.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from fastapi_baseline.errors import (
    BaselineError,
    ConfigurationError,
    ConflictError,
    DeadlineExceededError,
    FieldError,
    ForbiddenError,
    InvalidRequestError,
    PreconditionFailedError,
    UnavailableError,
    UnprocessableError,
)


class UniqueViolationError(ConflictError):
    """The values are taken; `fields` names them."""

    code = "unique_violation"
    default_message = "A resource with these values already exists."


class ForeignKeyViolationError(ConflictError):
    """It refers to something that is not there, or something still refers to it."""

    code = "foreign_key_violation"
    default_message = "It refers to something that does not exist, or is still referred to."


class ExclusionViolationError(ConflictError):
    """It overlaps with something that is stored."""

    code = "exclusion_violation"
    default_message = "It overlaps with a resource that exists."


class StaleEntityError(ConflictError):
    """It was changed or removed by someone else since it was read."""

    code = "stale_entity"
    default_message = "The resource has been changed or removed meanwhile."


class CheckViolationError(UnprocessableError):
    """The values break a rule of their table."""

    code = "check_violation"
    default_message = "The values break a rule."


class NotNullViolationError(UnprocessableError):
    """A value is missing that its column needs."""

    code = "not_null_violation"
    default_message = "A value is missing."


class ValueTooLongError(UnprocessableError):
    """A text is longer than its column. SQLite never says so."""

    code = "value_too_long"
    default_message = "A value is too long."


class ValueOutOfRangeError(UnprocessableError):
    """A number or a date is beyond what its column or the driver can hold."""

    code = "value_out_of_range"
    default_message = "A value is out of range."


class InvalidTextError(UnprocessableError):
    """A text holds a character that the database cannot store, such as NUL on PostgreSQL."""

    code = "invalid_text"
    default_message = "A text contains a character that cannot be stored."


class _RetryableError(UnavailableError):
    """One that says when to come back."""

    default_retry_after: ClassVar[timedelta] = timedelta(seconds=1)

    def __init__(
        self,
        message: str | None = None,
        *,
        fields: Sequence[FieldError] = (),
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(
            message, fields=fields, retry_after=retry_after or self.default_retry_after
        )


class DatabaseUnavailableError(_RetryableError):
    """The database cannot be reached, refuses connections, or broke off.

    If it broke off while a transaction was being committed, the outcome is not known.
    """

    code = "database_unavailable"
    default_message = "The database is temporarily unavailable."
    default_retry_after = timedelta(seconds=5)


class PoolTimeoutError(_RetryableError):
    """All connections stayed in use for longer than `DATABASE__POOL_TIMEOUT`."""

    code = "database_busy"
    default_message = "The service is too busy."


class LockTimeoutError(_RetryableError):
    """What is needed stayed locked by another transaction."""

    code = "lock_timeout"
    default_message = "The resource is in use by another request."


class SerializationFailureError(_RetryableError):
    """The transaction collided with another one, and was undone; a retry may succeed."""

    code = "serialization_failure"
    default_message = "The request collided with another one."


class StatementTimeoutError(DeadlineExceededError):
    """A statement took longer than `DATABASE__STATEMENT_TIMEOUT`."""

    code = "statement_timeout"
    default_message = "The database took too long."


class InvalidCursorError(InvalidRequestError):
    """A page cursor is damaged, or was made for another order, filter or asker."""

    code = "invalid_cursor"
    default_message = "The cursor does not belong to this list: start again without it."


class HiddenColumnError(ForbiddenError):
    """Rows were to be filtered, sorted or shown by a column that a policy hides."""

    code = "hidden_column"
    default_message = "This cannot be asked for."


class ReadOnlyColumnError(ForbiddenError):
    """A column was to be set that a policy keeps; `fields` names it."""

    code = "read_only_column"
    default_message = "A value cannot be set."


class VersionMismatchError(PreconditionFailedError):
    """The entity has another version than the one that was expected (RFC 9110, section 13.1.1)."""

    code = "version_mismatch"


class CommitInTransactionError(BaselineError):
    """`commit()` was called inside of a transaction that is committed by whoever began it."""

    code = "commit_in_transaction"
    default_message = (
        "This transaction commits itself when its block ends, so that nothing is stored by halves: "
        "leave `commit()` out, use `flush()` to send what is pending, or `on_commit()` to act "
        "afterwards."
    )


class UnconditionedWriteError(BaselineError):
    """`update_where` or `delete_where` was called without a condition."""

    code = "unconditioned_write"
    default_message = "This would change all rows: name a condition, or pass all_rows=True."


class TransactionAbortedError(BaselineError):
    """A statement failed, its error was caught, and the transaction went on as if nothing was.

    What it wrote is not stored, on any database. Wrap what may fail in
    `async with session.begin_nested():`, or call `session.rollback()` to give all of it up.
    """

    code = "transaction_aborted"
    default_message = (
        "A statement failed and its error was caught, so the transaction cannot be committed: "
        "wrap what may fail in `async with session.begin_nested():`."
    )


class ReadOnlyTransactionError(BaselineError):
    """Something was written in a `ReadTransaction`."""

    code = "read_only_transaction"
    default_message = "This writes in a read transaction: take a `Transaction` instead."


class InvalidKeyError(BaselineError, ValueError):
    """A repository was given a key of too few or too many values, or of another type."""

    code = "invalid_key"


class UnknownAttributeError(BaselineError):
    """A repository was asked to set something that is no settable column of its model."""

    code = "unknown_attribute"


class NotADependencyError(ConfigurationError, TypeError):
    """`Depends()` was given a query: it would take the parameters one by one, and ignore the rest.

    So a filter that is misspelt would find every row. FastAPI reads a query as a whole if it is
    annotated as one: `query: Annotated[OrderQuery, Query()]`.
    """

    code = "not_a_dependency"
