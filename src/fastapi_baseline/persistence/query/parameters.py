"""The parameters of a query as a request has them: names with operators in brackets, and lists.

They are the fields of a Pydantic model of their own, which FastAPI reads instead of the fields of
the class: a field such as `created_at: Range[datetime]` is four parameters.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic import create_model as create_pydantic_model
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.query.operators import (
    In,
    IsNull,
    Operator,
    Parameter,
    Range,
    Target,
    Text,
)
from fastapi_baseline.persistence.query.values import STORABLE, text_type, value_type

MAX_VALUES = 100
"""How many values one parameter may have."""
MAX_CURSOR = 4_096
"""How many characters a cursor may have."""
MAX_SEARCH = 200
"""How many characters a text to search for may have."""

_TOKEN = "^[A-Za-z0-9_-]+$"  # noqa: S105 -- what a cursor is made of: base64url, unpadded
_MEANINGS = {
    "": "",
    "gt": "More than this.",
    "gte": "This or more.",
    "lt": "Less than this.",
    "lte": "This or less.",
    "eq": "Exactly this.",
    "ne": "Anything but this.",
    "contains": "Contains this, in upper or lower case.",
    "startswith": "Begins with this, in upper or lower case.",
    "is_null": "Has no value (true), or has one (false).",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One parameter of the request: a part of a field, which has the name of its alias."""

    field: str
    part: str
    alias: str
    type: Any
    info: FieldInfo


class Once:
    """Makes a list the one value in it.

    FastAPI gives the last value of a parameter that is repeated, unless a list is asked for: so a
    list is asked for, and more than one value is refused.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        (item,) = get_args(source)
        return core_schema.no_info_before_validator_function(_only, handler.generate_schema(item))


def once(item: Any) -> Any:
    """Return the type of a parameter that may be given once."""
    return Annotated[list[item], Once()]


def _only(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    values = cast("list[Any]", value)
    if len(values) != 1:
        raise PydanticCustomError("repeated_parameter", "It can be given only once")
    return values[0]


def filter_parameters(
    name: str, info: FieldInfo, *, declared: Any, target: Target
) -> Sequence[Wire]:
    """Return the parameters of a field that filters; `declared` is its type without `None`.

    Raises:
        ConfigurationError: If the field cannot be compared with its column.
    """
    stored = target.column.type
    kind = get_origin(declared) or declared
    if kind is In:
        item = value_type(_argument(declared), stored)
        many = Annotated[list[item], Field(min_length=1, max_length=MAX_VALUES)]
        return [_wire(name, info, part="", type_=many)]
    if kind is Range:
        value = value_type(_argument(declared), stored)
        return [_wire(name, info, part=part, type_=once(value)) for part in Range.parts]
    if kind is Text:
        exact, some = (text_type(stored, min_length=length) for length in (0, 1))
        return [
            _wire(name, info, part=part, type_=once(exact if part in {"eq", "ne"} else some))
            for part in Text.parts
        ]
    if kind is IsNull:
        return [_wire(name, info, part=part, type_=once(bool)) for part in IsNull.parts]
    value = value_type(_constrained(declared, info), stored)
    return [_wire(name, info, part="", type_=once(value))]


def alias_of(name: str, info: FieldInfo) -> str:
    """Return the name that a field has for whoever makes the model."""
    alias = info.validation_alias
    return alias if isinstance(alias, str) else info.alias or name


def own_parameter(name: str, info: FieldInfo, *, declared: Any) -> Wire:
    """Return the parameter of a field that is no filter."""
    is_list = get_origin(declared) in {list, tuple, set, frozenset}
    constrained = _constrained(declared, info)
    return _wire(name, info, part="", type_=constrained if is_list else once(constrained))


def sort_parameter(names: Iterable[str], default: Sequence[str]) -> Wire:
    """Return the parameter for the order; its values are those names, and with `-` before."""
    directions = [(name, f"-{name}") for name in names]
    allowed = [name for pair in directions for name in pair]
    kind = Annotated[
        list[Literal[tuple(allowed)]], BeforeValidator(_split), Field(max_length=len(allowed))
    ]
    description = "What to sort by, in this order; with `-` before it, from the last to the first."
    # The document says what `_split` refuses.
    once_each: Any = [
        {"contains": {"enum": [*pair]}, "minContains": 0, "maxContains": 1} for pair in directions
    ]
    info: Any = Field(
        alias="sort",
        default=[*default],
        description=description,
        json_schema_extra={"uniqueItems": True, "allOf": once_each},
    )
    return Wire(field="sort", part="", alias="sort", type=kind, info=info)


def search_parameter() -> Wire:
    """Return the parameter for a text to search for."""
    kind = Annotated[str, Field(min_length=1, max_length=MAX_SEARCH), STORABLE]
    return _plain(
        "q", kind, default=None, description="A text to search for, in upper or lower case."
    )


def limit_parameter(default: int, maximum: int) -> Wire:
    """Return the parameter for the size of a page."""
    kind = Annotated[int, Field(ge=1, le=maximum)]
    return _plain("limit", kind, default=default, description="How many to return at most.")


def offset_parameter(maximum: int) -> Wire:
    """Return the parameter for where a page begins."""
    kind = Annotated[int, Field(ge=0, le=maximum)]
    return _plain("offset", kind, default=0, description="How many to leave out.")


def cursor_parameter() -> Wire:
    """Return the parameter for where a page begins, as the page before has said it."""
    kind = Annotated[
        str,
        # Only in the document: a token with other characters is refused as one that is not ours.
        Field(min_length=1, max_length=MAX_CURSOR, json_schema_extra={"pattern": _TOKEN}),
    ]
    return _plain("cursor", kind, default=None, description="Where to go on, from the page before.")


def parameters_model(name: str, parameters: Sequence[Wire]) -> type[BaseModel]:
    """Return the model of the parameters of a request; its fields are called as in the URL."""
    fields: dict[str, Any] = {
        # Not their own names, which the model could have something else under.
        f"parameter_{number}": (wire.type, wire.info)
        for number, wire in enumerate(parameters)
    }
    config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    return create_pydantic_model(name, __config__=config, **fields)


def written(values: Mapping[Any, Any], *, optional: Collection[str]) -> dict[Any, Any]:
    """Return what Python code passes as a request would have it: operators taken apart.

    `optional` has the names of what may be `None`, which means that it is not there.
    """
    flat: dict[Any, Any] = {}
    for name, value in values.items():
        match value:
            case In():
                flat[name] = list(value.values)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] -- of whatever
            case Operator():
                parts = ((part, getattr(value, part)) for part in value.parts)
                flat.update({f"{name}[{part}]": item for part, item in parts if item is not None})
            case None if name in optional:
                pass
            case _:
                flat[name] = value
    return flat


def _argument(declared: Any) -> Any:
    arguments = get_args(declared)
    if not arguments:
        raise ConfigurationError(f"say what it compares with: {declared.__name__}[...].")
    return arguments[0]


def _constrained(declared: Any, info: FieldInfo) -> Any:
    """Return the type of a plain field with what is annotated to it, such as `Field(ge=1)`."""
    metadata = [item for item in info.metadata if not isinstance(item, (Target, Parameter))]
    return Annotated[(declared, *metadata)] if metadata else declared


def _wire(name: str, info: FieldInfo, *, part: str, type_: Any) -> Wire:
    own = alias_of(name, info)
    alias = f"{own}[{part}]" if part else own
    described = " ".join(filter(None, (info.description, _MEANINGS[part])))
    return Wire(
        field=own,
        part=part,
        alias=alias,
        type=type_,
        info=Field(
            default=_shown_default(info),
            alias=alias,
            description=described or None,
            deprecated=info.deprecated,
            examples=info.examples,
        ),
    )


def _shown_default(info: FieldInfo) -> Any:
    if info.is_required():
        return ...
    return None if isinstance(info.default, Operator) else info.get_default()


def _plain(name: str, kind: Any, *, default: Any, description: str) -> Wire:
    info = Field(alias=name, default=default, description=description)
    return Wire(field=name, part="", alias=name, type=once(kind), info=info)


def _split(value: Any) -> Any:
    """Return names of which some are joined by commas, one by one."""
    if not isinstance(value, (str, list, tuple)):
        return value
    names = [value] if isinstance(value, str) else cast("Sequence[Any]", value)
    if not all(isinstance(name, str) for name in names):
        return names
    split = [name for joined in names for name in joined.split(",")]
    if len({name.removeprefix("-") for name in split}) != len(split):
        raise PydanticCustomError("repeated_sort", "It names the same thing twice")
    return split
