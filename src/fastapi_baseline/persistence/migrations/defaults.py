"""Whether a column's default in the database is the one of its model.

Databases write expressions their own way, so only constants are compared by value. For the rest it
counts whether there is a default at all.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Column, DefaultClause
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import CompileError

_STRING = re.compile(r"'((?:[^']|'')*)'(?:::[\w\s\"().,\[\]]+)?")
_NUMBER_OR_BOOLEAN = re.compile(
    r"([+-]?\d+(?:\.\d+)?|true|false)(?:::[\w\s\"().,\[\]]+)?", re.IGNORECASE
)


def defaults_differ(stored: str | None, column: Column[Any], dialect: Dialect) -> bool:
    """Return whether the default that the database has for a column must be migrated."""
    wanted = _text_of(column, dialect)
    if stored is None or wanted is None:
        # The default of an integer key is its sequence.
        is_sequence = column.primary_key and column is column.table.autoincrement_column
        return (stored is None) != (wanted is None) and not is_sequence
    old, new = _constant(stored), _constant(wanted)
    return old is not None and new is not None and old != new


def _text_of(column: Column[Any], dialect: Dialect) -> str | None:
    default = column.server_default
    if not isinstance(default, DefaultClause):
        return None
    if isinstance(default.arg, str):
        escaped = default.arg.replace("'", "''")
        return f"'{escaped}'"
    try:
        compiled = default.arg.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    except CompileError:
        return ""
    return str(compiled)


def _constant(text: str) -> str | Decimal | None:
    """Return the value of a constant, without its type, or `None` for an expression."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    if string := _STRING.fullmatch(text):
        value = string[1].replace("''", "'")
    elif plain := _NUMBER_OR_BOOLEAN.fullmatch(text):
        value = plain[1].lower()
    else:
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return value
