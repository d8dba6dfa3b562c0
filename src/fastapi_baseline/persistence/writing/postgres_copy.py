"""COPY ... FROM STDIN, through either driver of PostgreSQL, in the transaction of a connection."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Column, Dialect, Table, bindparam, exc
from sqlalchemy.ext.asyncio import AsyncConnection

from fastapi_baseline.errors import BaselineError, ConfigurationError
from fastapi_baseline.persistence.errors import (
    DatabaseUnavailableError,
    InvalidTextError,
    StatementTimeoutError,
    ValueOutOfRangeError,
)

Record = Sequence[Any]

_STATEMENT = "COPY"
_DRIVERS = ("asyncpg", "psycopg")
# What asyncpg lets through as it is; the first that fits counts, and a timeout is an OSError.
_NAMED: dict[type[Exception], type[BaselineError]] = {
    TimeoutError: StatementTimeoutError,
    OSError: DatabaseUnavailableError,
    OverflowError: ValueOutOfRangeError,
    UnicodeEncodeError: InvalidTextError,
}


def encoders(columns: Sequence[Column[Any]], dialect: Dialect) -> list[Callable[[Any], Any] | None]:
    """Return what turns the values of columns into those that the driver takes, where needed.

    Raises:
        ConfigurationError: If the type of a column wraps values in SQL, which COPY does not run.
    """
    found: list[Callable[[Any], Any] | None] = []
    for column in columns:
        kind: Any = column.type.dialect_impl(dialect)
        if kind.bind_expression(bindparam("value")) is not None:
            message = f"The type of {column} is written with SQL: its rows cannot be copied."
            raise ConfigurationError(message)
        found.append(kind.bind_processor(dialect))
    return found


async def copy_records(
    connection: AsyncConnection,
    table: Table,
    columns: Sequence[Column[Any]],
    *,
    records: Sequence[Record],
) -> None:
    """Copy records, whose values are as `encoders` made them, into a table.

    Raises:
        sqlalchemy.exc.DBAPIError: What the database says is wrong with one; the transaction has
            failed then.
        ValueOutOfRangeError: If a number is too large for its column.
        InvalidTextError: If a text is none in Unicode.
        StatementTimeoutError: If it took too long.
        DatabaseUnavailableError: If the connection broke.
    """
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        if connection.dialect.driver == "asyncpg":
            await _copy_with_asyncpg(connection, driver, table, columns, records)
        else:
            await _copy_with_psycopg(connection, driver, table, columns, records)
    except Exception as error:
        await _note_failure(connection)
        named = next((named for kind, named in _NAMED.items() if isinstance(error, kind)), None)
        if named is not None:
            raise named from error
        if not type(error).__module__.startswith(_DRIVERS):
            raise
        raise exc.DBAPIError.instance(
            _STATEMENT, None, error, Exception, hide_parameters=True, dialect=connection.dialect
        ) from error


async def _copy_with_asyncpg(  # noqa: PLR0917 -- one of two ways, called in one place
    connection: AsyncConnection,
    driver: Any,
    table: Table,
    columns: Sequence[Column[Any]],
    records: Sequence[Record],
) -> None:
    if not driver.is_in_transaction():
        # SQLAlchemy begins the transaction with its own first statement.
        await connection.exec_driver_sql("SELECT 1")
    await driver.copy_records_to_table(
        table.name,
        schema_name=table.schema,
        columns=[column.name for column in columns],
        records=records,
    )


async def _copy_with_psycopg(  # noqa: PLR0917 -- one of two ways, called in one place
    connection: AsyncConnection,
    driver: Any,
    table: Table,
    columns: Sequence[Column[Any]],
    records: Sequence[Record],
) -> None:
    preparer = connection.dialect.identifier_preparer
    names = ", ".join(preparer.format_column(column) for column in columns)
    # As text, which the server reads by the types of its columns; binary would need them here.
    statement = f"COPY {preparer.format_table(table)} ({names}) FROM STDIN"
    async with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for record in records:
            await copy.write_row(record)


async def _note_failure(connection: AsyncConnection) -> None:
    """Let SQLAlchemy find out what it has not seen: that the transaction failed, or is gone.

    It would go on to commit, which PostgreSQL answers with a rollback and no error.

    Raises:
        DatabaseUnavailableError: If the connection is gone.
    """
    with suppress(exc.DBAPIError):
        await connection.exec_driver_sql("SELECT 1")
    if connection.invalidated:
        raise DatabaseUnavailableError
