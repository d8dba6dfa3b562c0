"""Which values of a client a column can be compared with.

A value that a column cannot hold is refused here, before a driver or the database would: some
refuse it with an error that says nothing, and some round or cut it and then find other rows.
"""

import enum
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args, get_origin
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from sqlalchemy import BigInteger, DateTime, Enum, Integer, Numeric, SmallInteger, Time, Uuid
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from fastapi_baseline.errors import ConfigurationError

MAX_TEXT = 1_000
"""How many characters a text to compare with may have."""
MAX_DIGITS = 1_000
"""How many digits a number may have if its column does not say."""

_COMPARABLE = (bool, int, float, Decimal, str, date, datetime, time, timedelta, UUID)
_CONTAINERS = (bytes, bytearray, dict, frozenset, list, object, set, tuple)
# What SQLAlchemy stores as a moment where the database has no type for it (SQLite).
_EARLIEST, _LATEST = timedelta(days=-719_000), timedelta(days=2_932_000)


def value_type(declared: Any, stored: TypeEngine[Any]) -> Any:
    """Return the type of a parameter whose value is compared with a column, for Pydantic.

    Raises:
        ConfigurationError: If values of the declared type cannot be compared with the column.
    """
    plain = _plain(declared)
    expected = _python_type(stored)
    stored = _undecorated(stored)
    if isinstance(stored, Enum):
        return _choice(declared, plain, stored)
    members = _members(plain)
    if plain not in _COMPARABLE and members is None:
        # A type of its own, such as what a `TypeDecorator` makes of a text.
        if get_origin(plain) is not None or not isinstance(plain, type) or plain in _CONTAINERS:
            raise ConfigurationError(f"{_name(plain)} cannot be compared with a column.")
        return declared
    # The type of a foreign key may be known only when the other table is.
    if not isinstance(stored, NullType) and any(
        kind is not expected for kind in (members or (plain,))
    ):
        raise ConfigurationError(f"its column holds {_name(expected)}, and not {_name(plain)}.")
    limits = _LIMITS[plain](stored) if plain in _LIMITS else ()
    if not limits:
        return declared
    # What the class annotates comes last, since of two bounds the last one counts.
    inner, *own = get_args(declared) if get_origin(declared) is Annotated else (declared,)
    return Annotated[(inner, *limits, *own)]


def text_type(stored: TypeEngine[Any], *, min_length: int) -> Any:
    """Return the type of a parameter that is searched for in a text.

    Raises:
        ConfigurationError: If the column holds no text.
    """
    stored = _undecorated(stored)
    if isinstance(stored, (Enum, Uuid)) or _python_type(stored) is not str:
        raise ConfigurationError("its column holds no text.")
    return Annotated[str, Field(min_length=min_length or None, max_length=MAX_TEXT), STORABLE]


def _plain(declared: Any) -> Any:
    """Return a type without what is annotated to it, and without its new name."""
    while True:
        if get_origin(declared) is Annotated:
            declared = get_args(declared)[0]
        elif hasattr(declared, "__supertype__"):
            declared = declared.__supertype__
        else:
            return declared


def _undecorated(stored: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(stored, TypeDecorator):
        return stored.impl_instance
    return stored


def _python_type(stored: TypeEngine[Any]) -> type[Any] | None:
    try:
        known = stored.python_type
    except NotImplementedError:
        known = object
    if known is not object:
        return known
    # A decorator that does not say more is as what it decorates.
    undecorated = _undecorated(stored)
    return None if undecorated is stored else _python_type(undecorated)


def _choice(declared: Any, plain: Any, stored: Enum) -> Any:
    enumeration = stored.enum_class
    if enumeration is not None:
        if plain is not enumeration:
            raise ConfigurationError(
                f"its column holds {_name(enumeration)}, and not {_name(plain)}."
            )
        return declared
    names = stored.enums
    if plain is str:
        return Literal[tuple(names)]
    if get_origin(plain) is Literal and set(get_args(plain)) <= set(names):
        return declared
    raise ConfigurationError(f"its column holds one of {', '.join(names)}, and not {_name(plain)}.")


def _members(plain: Any) -> Sequence[Any] | None:
    """Return the types of the values of an enumeration, or of literals."""
    if get_origin(plain) is Literal:
        return [type(value) for value in get_args(plain)]
    if isinstance(plain, type) and issubclass(plain, enum.Enum):
        return [type(member.value) for member in plain]
    return None


def _name(kind: Any) -> str:
    if kind is None:
        return "what cannot be compared"
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _int_limits(stored: TypeEngine[Any]) -> tuple[Any, ...]:
    bits = {SmallInteger: 16, BigInteger: 64, Integer: 32}
    width = next((bits[kind] for kind in bits if isinstance(stored, kind)), 64)
    return (Field(ge=-(2 ** (width - 1)), le=2 ** (width - 1) - 1),)


def _decimal_limits(stored: TypeEngine[Any]) -> tuple[Any, ...]:
    precision = stored.precision if isinstance(stored, Numeric) else None
    scale = stored.scale if isinstance(stored, Numeric) else None
    if precision is None:
        return (Field(max_digits=MAX_DIGITS, allow_inf_nan=False),)
    # What does not fit would be rounded, and then compared with the wrong number.
    return (Field(max_digits=precision, decimal_places=scale or 0, allow_inf_nan=False),)


def _float_limits(stored: TypeEngine[Any]) -> tuple[Any, ...]:
    finite = Field(allow_inf_nan=False)
    if not isinstance(stored, Numeric) or stored.scale is None:
        return (finite,)
    scale = stored.scale

    def refuse_to_round(value: float) -> float:
        if round(value, scale) != value:
            message = "It has more than {places} decimal places"
            raise PydanticCustomError("decimal_max_places", message, {"places": scale})
        return value

    return (finite, AfterValidator(refuse_to_round))


def _str_limits(stored: TypeEngine[Any]) -> tuple[Any, ...]:
    limits = (Field(max_length=MAX_TEXT), STORABLE)
    return (*limits, AfterValidator(_check_uuid)) if isinstance(stored, Uuid) else limits


def _datetime_limits(stored: TypeEngine[Any]) -> tuple[Any, ...]:
    is_aware = isinstance(stored, (DateTime, NullType)) and getattr(stored, "timezone", True)
    return (_WRITTEN_OUT, AfterValidator(_to_utc if is_aware else _refuse_zone))


def _time_limits(stored: TypeEngine[Any]) -> tuple[Any, ...]:
    if isinstance(stored, Time) and stored.timezone:
        return (_WRITTEN_OUT, AfterValidator(_check_zone))
    return (_WRITTEN_OUT, AfterValidator(_refuse_zone))


def _storable(value: str) -> str:
    if "\0" in value:
        raise PydanticCustomError("unstorable_text", "It contains a NUL character")
    return value


def _check_uuid(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError as error:
        raise PydanticCustomError("uuid_parsing", "It is no UUID") from error


def _written_out(value: Any) -> Any:
    """Refuse what Pydantic would take for seconds or days since 1970."""
    if isinstance(value, (int, float, Decimal, str)):
        try:
            float(value)
        except (ValueError, OverflowError):
            return value
        raise PydanticCustomError("number_for_time", "It is a number; write it as in RFC 3339")
    return value


def _to_utc(value: datetime) -> datetime:
    _check_zone(value)
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise PydanticCustomError("out_of_range", "It is out of range") from error


def _check_zone(value: Any) -> Any:
    if value.utcoffset() is None:
        raise PydanticCustomError(
            "timezone_aware", "It has no time zone; end it with Z or an offset such as +01:00"
        )
    return value


def _refuse_zone(value: Any) -> Any:
    if value.tzinfo is not None:
        raise PydanticCustomError(
            "timezone_naive", "It has a time zone, and is compared with what has none"
        )
    return value


class _Storable:
    """Refuses what `_storable` does, and says so in the document."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_storable, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"pattern": r"^[^\u0000]*$"} | handler(schema)


STORABLE = _Storable()
"""Refuses texts that a database cannot store."""

_WRITTEN_OUT = BeforeValidator(_written_out)

_LIMITS: dict[Any, Callable[[TypeEngine[Any]], tuple[Any, ...]]] = {
    int: _int_limits,
    float: _float_limits,
    Decimal: _decimal_limits,
    str: _str_limits,
    datetime: _datetime_limits,
    date: lambda _: (_WRITTEN_OUT,),
    time: _time_limits,
    timedelta: lambda _: (Field(ge=_EARLIEST, le=_LATEST),),
}
