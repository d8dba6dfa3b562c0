"""Many rows at once, from a source that may be larger than the memory."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Dialect, Table, insert

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.scope import ModelT, WritingScope
from fastapi_baseline.persistence.sessions.changes import note_changes
from fastapi_baseline.persistence.shape import Shape
from fastapi_baseline.persistence.writing.postgres_copy import Record, copy_records, encoders
from fastapi_baseline.persistence.writing.row_defaults import (
    RowContext,
    discriminator,
    is_python_side,
)
from fastapi_baseline.persistence.writing.rows import Row, check_names, row_of
from fastapi_baseline.persistence.writing.stamps import WriteStamp, insert_values, stamp_of

_Values = Mapping[str, Any]
_Rows = Iterable[Any] | AsyncIterable[Any]


@dataclass(frozen=True, slots=True)
class _Given:
    """Stands for what each row gives of an attribute."""

    name: str


class _Template:
    """How rows that give the same attributes are stamped, filled and encoded.

    The write policy is asked once for all of them, with `_Given` in place of values: what it adds
    to one it adds to each.
    """

    def __init__(
        self, names: Iterable[str], shape: Shape, *, context: RowContext, stamp: WriteStamp
    ) -> None:
        check_names(names, shape)
        given = {name: _Given(name) for name in names}
        row = insert_values(shape, {**discriminator(shape.mapper), **given}, stamp=stamp)
        defaults = _defaults_beside(row, shape)
        row |= {name: default.arg for name, default in defaults.items() if default.is_scalar}
        self._context = context
        self._made = {name: one.arg for name, one in defaults.items() if not one.is_scalar}
        self._taken = {name: one.name for name, one in row.items() if isinstance(one, _Given)}
        self._same = {name: one for name, one in row.items() if name not in self._taken}
        columns = shape.mapper.columns
        self.columns = [columns[name] for name in (*self._taken, *self._made, *self._same)]

    def records(self, rows: Iterable[_Values], dialect: Dialect) -> list[Record]:
        """Return rows as the driver takes them, in the order of `columns`."""
        encode = encoders(self.columns, dialect)
        first = len(self._taken) + len(self._made)
        encoded = [(at, one) for at, one in enumerate(encode[:first]) if one is not None]
        same = [
            value if one is None else one(value)
            for value, one in zip(self._same.values(), encode[first:], strict=True)
        ]
        records: list[Record] = []
        for record in self._differing(rows):
            for at, one in encoded:
                record[at] = one(record[at])
            records.append([*record, *same])
        return records

    def parameters(self, rows: Iterable[_Values]) -> list[Row]:
        """Return rows as SQLAlchemy takes them, by the keys of columns."""
        keys = [column.key for column in self.columns]
        same = [*self._same.values()]
        return [dict(zip(keys, [*row, *same], strict=True)) for row in self._differing(rows)]

    def _differing(self, rows: Iterable[_Values]) -> Iterator[list[Any]]:
        """Yield of each row what others need not have."""
        names, context, same = [*self._taken.values()], self._context, self._same
        made = [*self._made.items()]
        for given in rows:
            values = [given[name] for name in names]
            if made:
                row = {**same, **given}
                context.current_parameters = row
                for name, make in made:
                    row[name] = make(context)
                    values.append(row[name])
            yield values


class Copying(WritingScope[ModelT]):
    """Inserts rows the fastest way that there is: COPY on PostgreSQL, `executemany` on SQLite."""

    async def copy_many(
        self,
        rows: Iterable[Mapping[str, Any] | ModelT] | AsyncIterable[Mapping[str, Any] | ModelT],
        *,
        batch_size: int = 10_000,
    ) -> int:
        """Insert rows, and return how many; mappings of attributes, or entities.

        So many rows are in memory at a time as a batch has, and while one is sent the source is not
        asked for more; it may use the session. What rows leave out gets its default, and stamps.
        Nothing is loaded: entities that are given stay outside of the session.

        Raises:
            UniqueViolationError: If values are taken, and likewise for other constraints; rows
                before are undone with the transaction.
            UnknownAttributeError: If a row gives something that is no column.
            ReadOnlyColumnError: If a policy keeps something that a row gives.
            ConfigurationError: If a policy says which rows may be created, as nothing asks that of
                each; if the model is in several tables; or if the default or the type of a column
                is SQL, which COPY does not run.
        """
        self._check_copyable(batch_size)
        bind = self.session.get_bind(self._shape.mapper)
        context = RowContext(bind.dialect, bind.get_execution_options())
        copied = 0
        async with aclosing(_batches(rows, batch_size)) as batches:
            async for batch in batches:
                await self._flush()
                for names, alike in self._by_names(batch).items():
                    await self._send(names, alike, context)
                copied += len(batch)
        return copied

    def _check_copyable(self, batch_size: int) -> None:
        name = self.model.__name__
        if batch_size < 1:
            raise ValueError(f"A batch of {batch_size} rows is none.")
        if self._shape.is_spread:
            raise ConfigurationError(f"{name} is in several tables: add its entities instead.")
        if self._policy is not None and self._policy.after("create") is not None:
            message = f"A policy says which {name} may be created, so add them: COPY does not ask."
            raise ConfigurationError(message)

    def _by_names(self, batch: Sequence[Any]) -> dict[tuple[str, ...], list[_Values]]:
        alike: dict[tuple[str, ...], list[_Values]] = {}
        for source in batch:
            row = row_of(source, self._shape)
            alike.setdefault(tuple(row), []).append(row)
        return alike

    async def _send(
        self, names: Sequence[str], rows: Sequence[_Values], context: RowContext
    ) -> None:
        if self._policy is not None:
            self._policy.check_settable(names)
        stamp = stamp_of(self.session, self._shape)
        template = _Template(names, self._shape, context=context, stamp=stamp)
        table = cast("Table", self._shape.mapper.local_table)
        note_changes(self.session.sync_session, self.model)
        with self._translated():
            if context.dialect.name == "postgresql":
                connection = await self.session.connection({"mapper": self._shape.mapper})
                records = template.records(rows, context.dialect)
                await copy_records(connection, table, template.columns, records=records)
            else:
                await self.session.execute(insert(table), template.parameters(rows))


async def _batches(rows: _Rows, size: int) -> AsyncGenerator[list[Any]]:
    batch: list[Any] = []
    async with aclosing(_each(rows)) as each:
        async for row in each:
            batch.append(row)
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


async def _each(rows: _Rows) -> AsyncGenerator[Any]:
    if isinstance(rows, AsyncGenerator):
        async with aclosing(cast("AsyncGenerator[Any]", rows)):
            async for row in rows:
                yield row
    elif isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row


def _defaults_beside(row: Row, shape: Shape) -> dict[str, Any]:
    """Return the defaults of columns that a row leaves out, but for those of the database.

    Raises:
        ConfigurationError: If one is SQL.
    """
    defaults: dict[str, Any] = {}
    for name, column in shape.mapper.columns.items():
        default: Any = getattr(column, "default", None)
        if name in row or default is None:
            continue
        if not is_python_side(default):
            message = (
                f"The default of {shape.mapper.class_.__name__}.{name} is SQL, which COPY does not "
                "run: give a value in every row, or make it a server_default."
            )
            raise ConfigurationError(message)
        defaults[name] = default
    return defaults
