"""What the columns of a table are as fields: their types, and what their checks say."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.scaffolding.grammar import MAX_DIGITS, MAX_LENGTH, MAX_TEXT_LENGTH
from fastapi_baseline.scaffolding.sources import are_choices
from fastapi_baseline.scaffolding.specification import FieldType

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import types
    from sqlalchemy.dialects.postgresql import CITEXT, DOMAIN

_NAME = r"[(\s]*\"?(?P<column>\w+)\"?\)*(?:::[\w ]+(?:\(\d+\))?)?\)*"
_IN = re.compile(rf"{_NAME}\s+IN\s*\((?P<values>.*)\)\)*\s*", re.IGNORECASE | re.DOTALL)
_ANY = re.compile(rf"{_NAME}\s*=\s*ANY\s*\((?P<values>.*)\)\)*\s*", re.IGNORECASE | re.DOTALL)
_LENGTH = re.compile(
    rf"\(*(?:char_length|character_length|length)\({_NAME}\)\s*(?P<than><=?)\s*(?P<number>\d+)\)*",
    re.IGNORECASE,
)
_TEXT = re.compile(r"'((?:[^']|'')*)'")
# What PostgreSQL writes around the values: casts and the array that it has made of them.
_BETWEEN = re.compile(r"(?:::[a-z ]+(?:\(\d+\))?(?:\[\])?|ARRAY|[\s,()\[\]])*", re.IGNORECASE)
_UUID_TEXT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnType:
    """The type of a column, as a field has it."""

    type: FieldType
    max_length: int | None = None
    precision: int | None = None
    scale: int | None = None
    choices: tuple[str, ...] = ()
    enum_name: str | None = None
    note: str | None = None
    """What was guessed, or is narrower than what the column can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What the checks of a table say of its columns."""

    choices: Mapping[str, tuple[str, ...]]
    """The values that a column can have, by its name."""
    lengths: Mapping[str, int]
    """How many characters a column can have, by its name."""
    others: Sequence[str]
    """The checks that say something else, as the database has them."""


def type_of(  # noqa: PLR0911 -- a table of types, from the narrow to the wide
    kind: Any, *, is_sqlite: bool
) -> ColumnType | None:
    """Return what a column of a type of SQLAlchemy is as a field, or `None` if it is none."""
    match kind:
        case DOMAIN():
            return type_of(kind.data_type, is_sqlite=is_sqlite)
        case types.Enum():
            return _enum(kind)
        case types.String() | CITEXT():
            return _text(kind, is_sqlite=is_sqlite)
        case types.Float():
            return ColumnType(type=FieldType.NUMBER)
        case types.Numeric():
            return _decimal(kind)
        case types.SmallInteger():
            note = "holds numbers up to 32767 only; the database refuses larger ones"
            return ColumnType(type=FieldType.INTEGER, note=note)
        case types.DateTime():
            return _datetime(kind, is_sqlite=is_sqlite)
        case types.JSON():
            note = "is shown only where it holds an object; a list or a plain value cannot be shown"
            return ColumnType(type=FieldType.JSON, note=note)
        case _:
            return next((ColumnType(type=to) for of, to in _PLAIN if isinstance(kind, of)), None)


_PLAIN: Sequence[tuple[type[Any], FieldType]] = (
    (types.BigInteger, FieldType.BIGINT),
    (types.Integer, FieldType.INTEGER),
    (types.Boolean, FieldType.BOOLEAN),
    (types.Date, FieldType.DATE),
    (types.Uuid, FieldType.UUID),
)


def read_checks(checks: Iterable[str]) -> Checks:
    """Return what checks say, given the conditions that the database has for them."""
    choices: dict[str, tuple[str, ...]] = {}
    lengths: dict[str, int] = {}
    others: list[str] = []
    for condition in checks:
        text = " ".join(condition.split())
        if found := _LENGTH.fullmatch(text):
            longest = int(found["number"]) - (found["than"] == "<")
            lengths[found["column"]] = min(longest, lengths.get(found["column"], longest))
        elif (found := _IN.fullmatch(text) or _ANY.fullmatch(text)) and (
            values := _values(found["values"])
        ):
            choices[found["column"]] = values
        else:
            others.append(text)
    return Checks(choices=choices, lengths=lengths, others=others)


def _values(text: str) -> tuple[str, ...]:
    """Return the texts of a list, or none if anything else is in it."""
    if not _BETWEEN.fullmatch(_TEXT.sub("", text)):
        return ()
    values = tuple(value.replace("''", "'") for value in _TEXT.findall(text))
    return values if are_choices(values) else ()


def _enum(kind: Any) -> ColumnType | None:
    if not are_choices(kind.enums):
        return None
    return ColumnType(type=FieldType.ENUM, choices=tuple(kind.enums), enum_name=kind.name)


def _text(kind: Any, *, is_sqlite: bool) -> ColumnType:
    length: int | None = getattr(kind, "length", None)
    if isinstance(kind, types.CHAR) and length == _UUID_TEXT and is_sqlite:
        return ColumnType(
            type=FieldType.UUID,
            note="is CHAR(32), as UUIDs are stored on SQLite, and was taken for one",
        )
    if isinstance(kind, types.Text | CITEXT):
        return ColumnType(type=FieldType.TEXT, max_length=length or MAX_TEXT_LENGTH)
    return ColumnType(type=FieldType.STRING, max_length=length or MAX_LENGTH)


def _decimal(kind: Any) -> ColumnType:
    precision, scale = kind.precision, kind.scale or 0
    if precision is None or precision > MAX_DIGITS or not 0 <= scale <= precision:
        return ColumnType(type=FieldType.DECIMAL)
    return ColumnType(type=FieldType.DECIMAL, precision=precision, scale=scale)


def _datetime(kind: Any, *, is_sqlite: bool) -> ColumnType:
    if kind.timezone or is_sqlite:
        return ColumnType(type=FieldType.DATETIME)
    note = (
        "has no time zone: its values are taken for UTC, and so must be the time zone of sessions"
    )
    return ColumnType(type=FieldType.DATETIME, note=note)
