"""From what a driver raises to an error that says what happened.

Told apart by SQLSTATE (PostgreSQL, appendix A) or by SQLite's error name; never by message.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import exc
from sqlalchemy.orm import registry
from sqlalchemy.orm.exc import StaleDataError

from fastapi_baseline.errors import BaselineError, FieldError, NotFoundError
from fastapi_baseline.persistence import errors
from fastapi_baseline.persistence.constraints import violated_attributes

READ_ONLY = "fastapi_baseline_read_only"
"""What `session.info` has for a session that only reads."""

_BY_SQLSTATE: dict[str, type[BaselineError]] = {
    "22001": errors.ValueTooLongError,
    "22003": errors.ValueOutOfRangeError,
    "22008": errors.ValueOutOfRangeError,
    "22021": errors.InvalidTextError,
    "22P05": errors.InvalidTextError,
    "23001": errors.ForeignKeyViolationError,
    "23502": errors.NotNullViolationError,
    "23503": errors.ForeignKeyViolationError,
    "23505": errors.UniqueViolationError,
    "23514": errors.CheckViolationError,
    "23P01": errors.ExclusionViolationError,
    "25006": errors.DatabaseUnavailableError,  # a standby, after a failover
    "25P02": errors.TransactionAbortedError,
    "25P03": errors.DatabaseUnavailableError,
    "25P04": errors.StatementTimeoutError,
    "40001": errors.SerializationFailureError,
    "40P01": errors.SerializationFailureError,
    "55P03": errors.LockTimeoutError,
    "57014": errors.StatementTimeoutError,
}
# Connections (08), resources (53), operators at work (57P) and the system below (58).
_UNAVAILABLE_CLASSES = ("08", "53", "57P", "58")

_BY_SQLITE_NAME: dict[str, type[BaselineError]] = {
    "SQLITE_CONSTRAINT_CHECK": errors.CheckViolationError,
    "SQLITE_CONSTRAINT_FOREIGNKEY": errors.ForeignKeyViolationError,
    "SQLITE_CONSTRAINT_NOTNULL": errors.NotNullViolationError,
    "SQLITE_CONSTRAINT_PRIMARYKEY": errors.UniqueViolationError,
    "SQLITE_CONSTRAINT_ROWID": errors.UniqueViolationError,
    "SQLITE_CONSTRAINT_TRIGGER": errors.ForeignKeyViolationError,  # of a key with RESTRICT
    "SQLITE_CONSTRAINT_UNIQUE": errors.UniqueViolationError,
    "SQLITE_TOOBIG": errors.ValueTooLongError,
}
# Extended names begin with these.
_BY_SQLITE_KIND: dict[str, type[BaselineError]] = {
    "SQLITE_BUSY": errors.LockTimeoutError,
    "SQLITE_CANTOPEN": errors.DatabaseUnavailableError,
    "SQLITE_CORRUPT": errors.DatabaseUnavailableError,
    "SQLITE_FULL": errors.DatabaseUnavailableError,
    "SQLITE_IOERR": errors.DatabaseUnavailableError,
    "SQLITE_LOCKED": errors.LockTimeoutError,
    "SQLITE_NOTADB": errors.DatabaseUnavailableError,
    "SQLITE_PROTOCOL": errors.LockTimeoutError,
    "SQLITE_READONLY": errors.DatabaseUnavailableError,
}

_REFUSED_WRITE = ("25006", "SQLITE_READONLY")

_FIELD_DETAILS: dict[type[BaselineError], str] = {
    errors.UniqueViolationError: "The value is taken.",
    errors.ForeignKeyViolationError: "It refers to something that does not exist.",
    errors.CheckViolationError: "The value breaks a rule.",
    errors.NotNullViolationError: "A value is needed.",
    errors.ExclusionViolationError: "It overlaps with a resource that exists.",
}


@contextmanager
def translated(*, registries: Sequence[registry], read_only: bool = False) -> Generator[None]:
    """Raise what the database answers as an error of ours; the original is its `__cause__`.

    Errors that are not the database's pass, and so do statements that are wrong in themselves.
    """
    try:
        yield
    except exc.SQLAlchemyError as error:
        translation = translate(error, registries=registries, read_only=read_only)
        if translation is None:
            raise
        raise translation from error


def translate(
    error: exc.SQLAlchemyError, *, registries: Sequence[registry], read_only: bool = False
) -> BaselineError | None:
    """Return what an error of SQLAlchemy means, or `None` if it is a defect."""
    match error:
        case exc.TimeoutError():
            return errors.PoolTimeoutError()
        case StaleDataError():
            return errors.StaleEntityError()
        case exc.NoResultFound():
            return NotFoundError()
        case exc.PendingRollbackError():
            return errors.TransactionAbortedError()
        case exc.DBAPIError():
            kind = _kind_of(error, read_only=read_only)
            return kind(fields=_fields(error, kind, registries)) if kind else None
        case _:
            return None


def _kind_of(error: exc.DBAPIError, *, read_only: bool) -> type[BaselineError] | None:
    driver_error: Any = error.driver_exception
    state: str = getattr(driver_error, "sqlstate", None) or ""
    name: str = getattr(driver_error, "sqlite_errorname", None) or ""
    if read_only and (state or name).startswith(_REFUSED_WRITE):
        return errors.ReadOnlyTransactionError
    kind = _BY_SQLSTATE.get(state) or _BY_SQLITE_NAME.get(name)
    if kind is not None:
        return kind
    if error.connection_invalidated or state.startswith(_UNAVAILABLE_CLASSES):
        return errors.DatabaseUnavailableError
    return _kind_of_unsent(error, state) or next(
        (kind for prefix, kind in _BY_SQLITE_KIND.items() if name.startswith(prefix)), None
    )


def _kind_of_unsent(error: exc.DBAPIError, state: str) -> type[BaselineError] | None:
    """Return what is wrong with a value that the driver did not even send."""
    cause = error.driver_exception.__cause__  # asyncpg's
    if isinstance(cause, OverflowError):
        return errors.ValueOutOfRangeError
    if isinstance(cause, UnicodeEncodeError):
        return errors.InvalidTextError
    if isinstance(error, exc.DataError) and not state:  # psycopg, of NUL
        return errors.InvalidTextError
    return None


def _fields(
    error: exc.DBAPIError, kind: type[BaselineError], registries: Sequence[registry]
) -> list[FieldError]:
    detail = _FIELD_DETAILS.get(kind)
    # What is deleted is still referred to by others: no field of the request is at fault.
    if detail is None or (error.statement or "").startswith("DELETE"):
        return []
    names = violated_attributes(error.driver_exception, registries)
    return [FieldError(path=(name,), detail=detail, code=kind.code) for name in names]
