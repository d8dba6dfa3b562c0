"""What a schema of Pydantic needs of a model: columns, and those of related rows.

Related rows are read with one statement for each relationship and thousand rows; no entity is made
of them. What lists uses it by way of `readers`, and of `selection.Listing`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Row, Select, bindparam, inspect, select, tuple_
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Mapper, RelationshipProperty, aliased
from sqlalchemy.sql.util import ClauseAdapter

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.reading.schema_fields import SchemaField, Source, fields_of
from fastapi_baseline.persistence.sessions.session import ReadSession

Record = dict[str, Any]

_KEYS = "keys"
# Bind parameters of a statement are limited, to 32,766 on SQLite and 32,767 by asyncpg, and drivers
# prepare a statement for each number of them.
_MAX_VALUES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """What is selected of one table for a schema, and what is read for it from others."""

    names: tuple[str, ...]
    """What the schema calls the first of the columns."""
    columns: tuple[Any, ...]
    key: tuple[int, ...]
    """Where the primary key is among the columns, if there are relations."""
    relations: "tuple[Relation, ...]"
    shown: tuple[ColumnElement[Any], ...]
    """The columns, and those of all relations, under the names of their models."""

    async def records(
        self, session: ReadSession, rows: Sequence[Row[*tuple[Any, ...]]], **options: Any
    ) -> list[Record]:
        """Return what the schema takes, for rows that begin with the columns.

        `options` are execution options for the statements that read relations.
        """
        records = [dict(zip(self.names, row)) for row in rows]  # noqa: B905 -- what is beside stays
        if self.relations and rows:
            keys = [tuple(row[position] for position in self.key) for row in rows]
            for relation in self.relations:
                related = await relation.read(session, keys, options)
                for key, record in zip(keys, records, strict=True):
                    record[relation.name] = relation.of(related, key)
        return records


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A relationship that a schema shows."""

    name: str
    is_to_many: bool
    statement: Select[Any]
    """Its rows end with the key of the row that they are related to."""
    projection: Projection
    key_length: int

    async def read(
        self, session: ReadSession, keys: Iterable[tuple[Any, ...]], options: Mapping[str, Any]
    ) -> dict[tuple[Any, ...], list[Record]]:
        """Return what is related to the rows with these keys."""
        related: dict[tuple[Any, ...], list[Record]] = {}
        for chunk in _chunks(keys, self.key_length):
            result = await session.execute(
                self.statement, {_KEYS: chunk}, execution_options=options
            )
            rows = result.all()
            records = await self.projection.records(session, rows, **options)
            for row, record in zip(rows, records, strict=True):
                related.setdefault(tuple(row[-self.key_length :]), []).append(record)
        return related

    def of(self, related: Mapping[tuple[Any, ...], list[Record]], key: tuple[Any, ...]) -> Any:
        """Return what is related to the row with this key."""
        found = related.get(key, [])
        if self.is_to_many:
            return found
        return found[0] if found else None


@cache
def projection_of(model: type[Any], schema: type[BaseModel]) -> Projection:
    """Return what a schema needs of a model.

    Raises:
        ConfigurationError: If the model has no column for a field that is required.
    """
    mapper: Mapper[Any] = inspect(model)
    needs = _Needs()
    _collect(needs, schema, mapper, within=())
    return _projected(needs, mapper, model)


@cache
def read_columns(model: type[Any], schema: type[BaseModel]) -> tuple[ColumnElement[Any], ...]:
    """Return the columns that a schema reads of an entity of the model."""
    columns = _read(inspect(model), schema, within=())
    return tuple(select(*columns).selected_columns)


def _read(
    mapper: Mapper[Any], schema: type[BaseModel], *, within: tuple[type[BaseModel], ...]
) -> Iterator[Any]:
    if schema in within:
        return
    for shown in fields_of(schema):
        for source in shown.sources:
            relationship = mapper.relationships.get(source.attribute)
            if relationship is None:
                column = _expression(mapper.class_, mapper, source.attribute)
                yield from () if column is None else (column,)
            elif shown.nested is not None:
                yield from _read(relationship.mapper, shown.nested, within=(*within, schema))


@dataclass(slots=True)
class _Needs:
    columns: dict[str, str] = field(default_factory=dict[str, str])
    relations: "dict[str, tuple[RelationshipProperty[Any], _Needs]]" = field(
        default_factory=dict[str, "tuple[RelationshipProperty[Any], _Needs]"]
    )


def _collect(
    needs: _Needs,
    schema: type[BaseModel],
    mapper: Mapper[Any],
    *,
    within: tuple[type[BaseModel], ...],
) -> None:
    if schema in within:
        message = f"{schema.__name__} contains itself: pass load= with as_, to read entities."
        raise ConfigurationError(message)
    within = (*within, schema)
    for shown in fields_of(schema):
        source = next((one for one in shown.sources if _has(mapper, one)), None)
        if source is not None:
            _add(needs, source, mapper, asked=_Asked(schema=schema, field=shown, within=within))
        elif shown.is_required:
            raise ConfigurationError(_missing(schema, shown, mapper))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    schema: type[BaseModel]
    field: SchemaField
    within: tuple[type[BaseModel], ...]


def _add(needs: _Needs, source: Source, mapper: Mapper[Any], *, asked: _Asked) -> None:
    relationship = mapper.relationships.get(source.attribute)
    if relationship is None:
        needs.columns[source.key] = source.attribute
        return
    related: Mapper[Any] = relationship.mapper
    _, inner = needs.relations.setdefault(source.key, (relationship, _Needs()))
    match source.rest:
        case [str(first), *rest]:
            deeper = Source(key=first, attribute=first, rest=tuple(rest))
            if not _has(related, deeper):
                raise ConfigurationError(_missing(asked.schema, asked.field, related))
            _add(inner, deeper, related, asked=asked)
        case [] if asked.field.nested is not None:
            _collect(inner, asked.field.nested, related, within=asked.within)
        case _:
            message = (
                f"{asked.schema.__name__}.{asked.field.name} shows the relationship "
                f"{mapper.class_.__name__}.{source.attribute} and says no schema for it: annotate "
                "it with one, or with a list of one, or pass load= with as_, to read entities."
            )
            raise ConfigurationError(message)


def _has(mapper: Mapper[Any], source: Source) -> bool:
    if source.attribute in mapper.relationships:
        return True
    return _expression(mapper.class_, mapper, source.attribute) is not None


def _expression(entity: Any, mapper: Mapper[Any], name: str) -> Any:
    """Return what selects an attribute, or `None` if it exists in Python only."""
    if name not in mapper.all_orm_descriptors:
        return None
    try:
        expression = getattr(entity, name)
        select(expression)
    except (ArgumentError, AttributeError, NotImplementedError, TypeError):
        return None  # A hybrid property without an expression, or an association proxy.
    return expression


def _missing(schema: type[BaseModel], shown: SchemaField, mapper: Mapper[Any]) -> str:
    return (
        f"{schema.__name__}.{shown.name} is required, and {mapper.class_.__name__} has no column "
        "for it: name one with validation_alias, add a column_property or a hybrid_property with "
        "an expression, give the field a default, or pass load= with as_, to read entities."
    )


def _projected(needs: _Needs, mapper: Mapper[Any], entity: Any) -> Projection:
    columns = [_expression(entity, mapper, name) for name in needs.columns.values()]
    places = {name: place for place, name in reversed([*enumerate(needs.columns.values())])}
    key: list[int] = []
    for name in _key_names(mapper) if needs.relations else ():
        if name not in places:
            columns.append(getattr(entity, name))
        key.append(places.get(name, len(columns) - 1))
    relations = [
        _relation(name, relationship, inner, parent=mapper)
        for name, (relationship, inner) in needs.relations.items()
    ]
    # An alias would hide from a policy whose columns they are.
    own = (_expression(mapper.class_, mapper, name) for name in needs.columns.values())
    return Projection(
        names=tuple(needs.columns),
        columns=tuple(columns),
        key=tuple(key),
        relations=tuple(relations),
        shown=(
            *select(*own).selected_columns,
            *(column for relation in relations for column in relation.projection.shown),
        ),
    )


def _relation(
    name: str, relationship: RelationshipProperty[Any], needs: _Needs, *, parent: Mapper[Any]
) -> Relation:
    related: Mapper[Any] = relationship.mapper
    is_of_itself = bool({*related.tables}.intersection(parent.tables))
    target: Any = aliased(related.class_) if is_of_itself else related.class_
    keys = [getattr(parent.class_, key) for key in _key_names(parent)]
    key: Any = keys[0] if len(keys) == 1 else tuple_(*keys)
    projection = _projected(needs, related, target)
    selected: Any = select(*projection.columns, *keys)
    statement = _joined(selected.select_from(parent.class_), relationship, parent, target=target)
    statement = statement.where(key.in_(bindparam(_KEYS, expanding=True)))
    if relationship.uselist:
        statement = statement.order_by(*_order(relationship, target))
    return Relation(
        name=name,
        is_to_many=bool(relationship.uselist),
        statement=statement,
        projection=projection,
        key_length=len(keys),
    )


def _joined(
    statement: Any, relationship: RelationshipProperty[Any], parent: Mapper[Any], *, target: Any
) -> Any:
    if relationship.secondary is None or relationship.secondaryjoin is None:
        attribute: Any = getattr(parent.class_, relationship.key)
        return statement.join(attribute.of_type(target))
    # Joined by the relationship, the table between would get another name, which the order of the
    # relationship does not know.
    to_target = ClauseAdapter(inspect(target).selectable).traverse(relationship.secondaryjoin)
    return statement.join(relationship.secondary, relationship.primaryjoin).join(target, to_target)


def _order(relationship: RelationshipProperty[Any], target: Any) -> Iterator[Any]:
    adapter = ClauseAdapter(inspect(target).selectable)
    for clause in relationship.order_by or ():
        yield adapter.traverse(clause)
    for key in _key_names(relationship.mapper):
        yield getattr(target, key)


def _key_names(mapper: Mapper[Any]) -> list[str]:
    return [mapper.get_property_by_column(column).key for column in mapper.primary_key]


def _chunks(keys: Iterable[tuple[Any, ...]], length: int) -> Iterator[list[Any]]:
    unique = [*dict.fromkeys(keys)]
    values: list[Any] = [key[0] for key in unique] if length == 1 else unique
    size = _MAX_VALUES // length
    for start in range(0, len(values), size):
        yield values[start : start + size]
