"""A resource that is made from a table which exists already: `baseline add resource --from-table`.

The table stays as it is: the model takes its name and the names of its columns, and no migration
makes it. What the model, or the schemas, cannot say of it is told.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.columns import Checks, ColumnType, read_checks, type_of
from fastapi_baseline.scaffolding.reflection import ForeignKey, Table, reflect
from fastapi_baseline.scaffolding.service import Model
from fastapi_baseline.scaffolding.sources import Reading, snake_case_of, with_a_name
from fastapi_baseline.scaffolding.specification import (
    ID,
    STAMPS,
    VERSION,
    FieldSpecification,
    FieldType,
    KeyType,
    ResourceSpecification,
)
from fastapi_baseline.scaffolding.words import SQL_WORDS

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import Enum
    from sqlalchemy.exc import SQLAlchemyError

_KEYS = {
    FieldType.UUID: KeyType.UUID,
    FieldType.INTEGER: KeyType.INTEGER,
    FieldType.BIGINT: KeyType.BIGINT,
    FieldType.STRING: KeyType.STRING,
    FieldType.TEXT: KeyType.STRING,
}
_MAX_KEY = 255
_TEXTS = frozenset({FieldType.STRING, FieldType.TEXT})
_NEVER_UNIQUE = frozenset({FieldType.BOOLEAN, FieldType.ENUM, FieldType.JSON})
# What somebody fills in who is not the client: a default of the database, or nobody.
_STAMPS = frozenset({*STAMPS, "created_by", "updated_by"})


def read_table(
    table: str, *, name: str, plural: str, database_url: str, models: Mapping[str, Model]
) -> Reading:
    """Return the resource that a table of a database is; the database is only looked at.

    `name` and `plural` are what one and several are called, and `models` those that the service
    has, by their names in snake case.

    Raises:
        ConfigurationError: If there is no such table, or rows could not be added to it over HTTP.
    """
    found = reflect(table, database_url=database_url)
    return describe_table(found, name=name, plural=plural, models=models)


def describe_table(table: Table, *, name: str, plural: str, models: Mapping[str, Model]) -> Reading:
    """Return the resource that a table is.

    Raises:
        ConfigurationError: If rows could not be added to it over HTTP.
    """
    return _Description(table=table, name=name, models=models).make(plural)


@dataclass(slots=True, kw_only=True)
class _Description:
    """One table that is being described."""

    table: Table
    name: str
    models: Mapping[str, Model]
    notes: list[str] = field(default_factory=list[str])
    fields: dict[str, FieldSpecification] = field(default_factory=dict[str, FieldSpecification])
    """The fields, by the names of their columns."""

    def make(self, plural: str) -> Reading:
        columns = {column["name"]: column for column in self.table.columns}
        key, key_type = self._key(columns)
        own = {key["name"]}
        has_timestamps = all(self._is_stamp(columns.get(stamp)) for stamp in STAMPS)
        own |= set(STAMPS) if has_timestamps else set()
        is_versioned = self._is_version(columns.get(VERSION))
        if is_versioned:
            own.add(VERSION)
            self._note(VERSION, "counts the changes of a row from now on")
        checks = read_checks(self.table.checks)
        for column in self.table.columns:
            if column["name"] not in own:
                self._add(column, checks)
        self._note_the_rest(checks)
        return Reading(
            resource=ResourceSpecification(
                name=self.name,
                plural=plural,
                fields=tuple(self.fields.values()),
                unique_together=tuple(self._unique_together()),
                table=self.table.name,
                key=key_type,
                key_column=None if key["name"] == ID else key["name"],
                key_max_length=self._key_length(key),
                has_timestamps=has_timestamps,
                is_versioned=is_versioned,
            ),
            notes=tuple(self.notes),
        )

    def _key(self, columns: Mapping[str, Mapping[str, Any]]) -> tuple[Mapping[str, Any], KeyType]:
        name = self.table.name
        if len(self.table.primary) != 1:
            what = f"{len(self.table.primary)} columns" if self.table.primary else "no column"
            message = f"The primary key of {name!r} has {what}: a resource is found by exactly one."
            raise ConfigurationError(message)
        key = columns[self.table.primary[0]]
        if any(key["name"] in foreign.columns for foreign in self.table.foreign_keys):
            message = (
                f"The primary key of {name!r} refers to another table: its rows are parts of rows "
                f"of that one, and no resource of their own."
            )
            raise ConfigurationError(message)
        kind = type_of(key["type"], is_sqlite=self.table.is_sqlite)
        key_type = _KEYS.get(kind.type) if kind else None
        if key_type is None:
            message = (
                f"The primary key of {name!r} is {_said(key)}: it is a UUID, a whole number or a "
                f"text."
            )
            raise ConfigurationError(message)
        is_number = key_type in {KeyType.INTEGER, KeyType.BIGINT}
        if is_number and not self.table.is_sqlite and not _is_counted(key):
            message = (
                f"Nothing counts the primary key of {name!r}: give it a default, ALTER TABLE "
                f"{name} ALTER {key['name']} ADD GENERATED BY DEFAULT AS IDENTITY"
            )
            raise ConfigurationError(message)
        return key, key_type

    def _key_length(self, key: Mapping[str, Any]) -> int | None:
        kind = type_of(key["type"], is_sqlite=self.table.is_sqlite)
        if kind is None or kind.type not in _TEXTS:
            return None
        return min(kind.max_length or _MAX_KEY, _MAX_KEY)

    def _is_stamp(self, column: Mapping[str, Any] | None) -> bool:
        if column is None or column["nullable"]:
            return False
        kind = type_of(column["type"], is_sqlite=self.table.is_sqlite)
        return kind is not None and kind.type is FieldType.DATETIME

    def _is_version(self, column: Mapping[str, Any] | None) -> bool:
        if column is None or column["nullable"]:
            return False
        kind = type_of(column["type"], is_sqlite=self.table.is_sqlite)
        return kind is not None and kind.type in {FieldType.INTEGER, FieldType.BIGINT}

    def _add(self, column: Mapping[str, Any], checks: Checks) -> None:
        name: str = column["name"]
        if reason := self._reason_to_leave_out(column):
            self._note(name, f"is left out: {reason}")
            return
        kind = type_of(column["type"], is_sqlite=self.table.is_sqlite)
        if kind is None:
            message = (
                f"The column {name!r} of {self.table.name!r} is {_said(column)}, which no field "
                f"can be, and rows cannot do without it: give it a default, or let it be empty."
            )
            raise ConfigurationError(message)
        if kind.note:
            self._note(name, kind.note)
        if column.get("default") is not None and not column["nullable"]:
            self._note(name, "has a default in the database, and clients have to send it anyway")
        self.fields[name] = self._named(
            self._referring(_narrowed(self._field(column, kind), checks, column)), name
        )

    def _reason_to_leave_out(self, column: Mapping[str, Any]) -> str:
        if column.get("computed"):
            return "the database computes it"
        if not column["nullable"] and column.get("default") is None and not column.get("identity"):
            return ""
        if column["name"] in _STAMPS:
            return "it has no place beside the stamps of the library"
        if column.get("identity"):
            return "the database counts it"
        if type_of(column["type"], is_sqlite=self.table.is_sqlite) is None:
            return f"it is {_said(column)}, which no field can be"
        return ""

    def _field(self, column: Mapping[str, Any], kind: ColumnType) -> FieldSpecification:
        name: str = column["name"]
        attribute = snake_case_of(name)
        is_unique = (name,) in self.table.uniques
        return FieldSpecification(
            name=attribute,
            type=kind.type,
            is_optional=bool(column["nullable"]),
            is_unique=is_unique,
            is_indexed=not is_unique and (name,) in self.table.indexes,
            max_length=kind.max_length,
            precision=kind.precision,
            scale=kind.scale,
            choices=kind.choices,
            enum_name=kind.enum_name,
            column=name,
        )

    def _referring(self, field: FieldSpecification) -> FieldSpecification:
        """Return the field as a reference, if its column refers to rows that a model has."""
        name = str(field.column)
        foreign = [key for key in self.table.foreign_keys if key.columns == (name,)]
        if not foreign:
            return field
        reference = self._referenced(foreign[0])
        if reference is None or (reference == self.name and not field.is_optional):
            what = f"{foreign[0].table}.{', '.join(foreign[0].referred)}"
            self._note(name, f"refers to {what}, and is a plain value here: see the guide")
            return field
        key = foreign[0].key[0]
        return replace(
            field,
            name=field.name.removesuffix("_id") or field.name,
            type=FieldType.REFERENCE,
            reference=reference,
            referenced_column=None if key == ID else key,
        )

    def _referenced(self, foreign: ForeignKey) -> str | None:
        """Return the resource whose key a foreign key refers to, or `None` if there is none."""
        if foreign.referred != foreign.key or len(foreign.key) != 1:
            return None
        if foreign.table == self.table.name:
            return self.name
        found = (name for name, model in self.models.items() if model.table == foreign.table)
        return next(found, None)

    def _named(self, field: FieldSpecification, column: str) -> FieldSpecification:
        taken = {given.attribute for given in self.fields.values()}
        named = with_a_name(field, column, lambda attribute: attribute in taken)
        if named.attribute != column:
            self._note(column, f"is called {named.attribute!r} by clients and in the code")
        elif column not in SQL_WORDS:
            named = replace(named, column=None)
        return named

    def _unique_together(self) -> Iterator[tuple[str, ...]]:
        for columns in self.table.uniques:
            fields = [self.fields[column] for column in columns if column in self.fields]
            is_one = len(columns) == 1
            if not is_one and len(fields) == len(columns):
                yield columns
            elif not is_one or not all(found.is_unique for found in fields):
                self.notes.append(
                    f"That {', '.join(columns)} must be unique, only the database knows."
                )

    def _note_the_rest(self, checks: Checks) -> None:
        for condition in checks.others:
            self.notes.append(f"What breaks the check {condition}, only the database refuses.")
        self.notes += (f"{message.rstrip('.')}." for message in self.table.unread)
        for name in self.table.special:
            self.notes.append(f"What breaks the unique index {name}, only the database refuses.")
        for foreign in self.table.foreign_keys:
            if len(foreign.columns) > 1:
                columns = ", ".join(foreign.columns)
                self.notes.append(
                    f"That {columns} together refer to {foreign.table}, only the database knows."
                )

    def _note(self, column: str, what: str) -> None:
        self.notes.append(f"The column {column!r} {what}.")


def _narrowed(
    field: FieldSpecification, checks: Checks, column: Mapping[str, Any]
) -> FieldSpecification:
    """Return the field with what the checks of its column say of it."""
    name = str(field.column)
    if field.type in _TEXTS and name in checks.choices:
        choices = checks.choices[name]
        length: int | None = getattr(column["type"], "length", None)
        # SQLite stores what is longer, too.
        length = max(length, *map(len, choices)) if length else None
        field = replace(field, type=FieldType.ENUM, choices=choices, max_length=length)
    elif field.type in _TEXTS and name in checks.lengths:
        longest = max(1, min(checks.lengths[name], field.max_length or checks.lengths[name]))
        field = replace(field, max_length=longest)
    if field.type in _NEVER_UNIQUE:
        field = replace(field, is_unique=False)
    return field


def _is_counted(key: Mapping[str, Any]) -> bool:
    return bool(key.get("default") is not None or key.get("identity"))


def _said(column: Mapping[str, Any]) -> str:
    """Return the type of a column as the database calls it."""
    if isinstance(column["type"], Enum):
        return f"of the type {column['type'].name}, whose values have no names in Python"
    try:
        return str(column["type"]).lower()
    except SQLAlchemyError:
        return "of a type that is not known here"
