"""Items of rows: entities, or schemas for which no more is selected than they need.

    reader = reader_of(model, as_, plan)           # plan: loading.plan_of(...)
    statement = reader.columns(statement)          # what the statement selects
    items = await reader.read(session, statement)

or, with expressions that are selected beside, such as the values of a keyset:

    statement = reader.columns(statement, *beside)
    rows = await reader.rows(session, statement)   # each row ends with the values beside
    items = await reader.items(session, rows)      # rows may be cut or reversed before

`reader.shown` are the columns that the items show, for `Policy.check_reach`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import GenericAlias, MappingProxyType
from typing import Any, Protocol, TypeVar, cast, overload

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import ColumnElement, Row, Select, inspect
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.base import ExecutableOption

from fastapi_baseline.persistence.loading import NOTHING_ELSE
from fastapi_baseline.persistence.reading.projection import Projection, projection_of, read_columns
from fastapi_baseline.persistence.sessions.session import ReadSession

ModelT = TypeVar("ModelT")
ItemT_co = TypeVar("ItemT_co", covariant=True)
SchemaT = TypeVar("SchemaT", bound=BaseModel)

AnyRow = Row[*tuple[Any, ...]]
Options = Mapping[str, Any]
"""Execution options of statements."""

_NO_OPTIONS: Options = MappingProxyType({})


class Reader(Protocol[ItemT_co]):
    """What makes items of the rows of a statement."""

    @property
    def shown(self) -> Sequence[ColumnElement[Any]]:
        """Return the columns that items show, if it is known; entities leave out what is hidden."""
        ...

    def columns(self, statement: Select[Any], *beside: Any) -> Select[Any]:
        """Return the statement with what it must select, and at the end what is asked for beside."""
        ...

    async def read(
        self, session: ReadSession, statement: Select[Any], options: Options = ...
    ) -> Sequence[ItemT_co]:
        """Return the items of a statement that `columns` made, with nothing beside."""
        ...

    async def rows(
        self, session: ReadSession, statement: Select[Any], options: Options = ...
    ) -> Sequence[AnyRow]:
        """Return the rows of a statement that `columns` made."""
        ...

    async def items(
        self, session: ReadSession, rows: Sequence[AnyRow], options: Options = ...
    ) -> Sequence[ItemT_co]:
        """Return the items of rows, in their order."""
        ...


@overload
def reader_of(
    model: type[ModelT], as_: None, plan: tuple[ExecutableOption, ...] = ()
) -> Reader[ModelT]: ...
@overload
def reader_of(
    model: type[Any], as_: type[SchemaT], plan: tuple[ExecutableOption, ...] = ()
) -> Reader[SchemaT]: ...
@overload
def reader_of(
    model: type[Any], as_: type[BaseModel] | None, plan: tuple[ExecutableOption, ...] = ()
) -> Reader[Any]: ...
def reader_of(
    model: type[Any], as_: type[BaseModel] | None, plan: tuple[ExecutableOption, ...] = ()
) -> Reader[Any]:
    """Return what makes entities of rows, or schemas if `as_` is one.

    With a load plan a schema is made of entities and reads their attributes; without, it is made
    of the columns that it needs.

    Raises:
        ConfigurationError: If the model has no column for a field that the schema requires.
    """
    if as_ is None:
        return _Entities(plan=plan, options=(*plan, *_nothing_else(model)))
    if plan:
        entities = _Entities(plan=plan, options=(*plan, *_nothing_else(model)))
        shown = read_columns(model, as_)
        return _ReadEntities(entities=entities, adapter=_adapter_of(as_), shown=shown)
    return _schemas_of(model, as_)


@cache
def _nothing_else(model: type[Any]) -> tuple[ExecutableOption, ...]:
    """Return what keeps relationships from being loaded, if the model has any."""
    mapper: Mapper[Any] = inspect(model)
    has_any = any(related.relationships for related in mapper.self_and_descendants)
    return (NOTHING_ELSE,) if has_any else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entities:
    plan: tuple[ExecutableOption, ...]
    options: tuple[ExecutableOption, ...]
    shown: Sequence[ColumnElement[Any]] = ()

    def columns(self, statement: Select[Any], *beside: Any) -> Select[Any]:
        loading = statement.options(*self.options) if self.options else statement
        return loading.add_columns(*beside) if beside else loading

    async def read(
        self, session: ReadSession, statement: Select[Any], options: Options = _NO_OPTIONS
    ) -> Sequence[Any]:
        result = await session.scalars(statement, execution_options=options)
        # A plan may join what makes several rows of one entity.
        return result.unique().all() if self.plan else result.all()

    async def rows(
        self, session: ReadSession, statement: Select[Any], options: Options = _NO_OPTIONS
    ) -> Sequence[AnyRow]:
        result = await session.execute(statement, execution_options=options)
        return result.unique().all() if self.plan else result.all()

    async def items(
        self, session: ReadSession, rows: Sequence[AnyRow], options: Options = _NO_OPTIONS
    ) -> Sequence[Any]:
        del session, options
        return [row[0] for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadEntities:
    """Schemas that read the attributes of entities."""

    entities: _Entities
    adapter: TypeAdapter[Any]
    shown: Sequence[ColumnElement[Any]]

    def columns(self, statement: Select[Any], *beside: Any) -> Select[Any]:
        return self.entities.columns(statement, *beside)

    async def read(
        self, session: ReadSession, statement: Select[Any], options: Options = _NO_OPTIONS
    ) -> Sequence[Any]:
        return self._made(await self.entities.read(session, statement, options))

    async def rows(
        self, session: ReadSession, statement: Select[Any], options: Options = _NO_OPTIONS
    ) -> Sequence[AnyRow]:
        return await self.entities.rows(session, statement, options)

    async def items(
        self, session: ReadSession, rows: Sequence[AnyRow], options: Options = _NO_OPTIONS
    ) -> Sequence[Any]:
        return self._made(await self.entities.items(session, rows, options))

    def _made(self, entities: Sequence[Any]) -> Sequence[Any]:
        return self.adapter.validate_python([*entities], from_attributes=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schemas:
    """Schemas that are made of columns."""

    projection: Projection
    adapter: TypeAdapter[Any]
    shown: Sequence[ColumnElement[Any]]

    def columns(self, statement: Select[Any], *beside: Any) -> Select[Any]:
        columns = (*self.projection.columns, *beside)
        return cast("Any", statement).with_only_columns(*columns, maintain_column_froms=True)

    async def read(
        self, session: ReadSession, statement: Select[Any], options: Options = _NO_OPTIONS
    ) -> Sequence[Any]:
        return await self.items(session, await self.rows(session, statement, options), options)

    async def rows(
        self, session: ReadSession, statement: Select[Any], options: Options = _NO_OPTIONS
    ) -> Sequence[AnyRow]:
        return (await session.execute(statement, execution_options=options)).all()

    async def items(
        self, session: ReadSession, rows: Sequence[AnyRow], options: Options = _NO_OPTIONS
    ) -> Sequence[Any]:
        records = await self.projection.records(session, rows, **options)
        return self.adapter.validate_python(records)


@cache
def _schemas_of(model: type[Any], schema: type[BaseModel]) -> _Schemas:
    projection = projection_of(model, schema)
    return _Schemas(projection=projection, adapter=_adapter_of(schema), shown=projection.shown)


@cache
def _adapter_of(schema: type[BaseModel]) -> TypeAdapter[Any]:
    return TypeAdapter(cast("Any", GenericAlias(list, (schema,))))
