"""What a schema of Pydantic is given, and under which names."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin  # pyright: ignore[reportDeprecated] -- compared with, not written

from pydantic import AliasChoices, AliasPath, BaseModel
from pydantic.fields import FieldInfo

# `Schema | None` is the first as an annotation, and the second where Pydantic has resolved it.
_UNIONS = (UnionType, Union)  # pyright: ignore[reportDeprecated] -- compared with, not written

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the value of a field may come from, and the key under which the schema takes it."""

    key: str
    attribute: str
    rest: Path = ()
    """What follows the attribute: `("name",)` for `AliasPath("customer", "name")`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaField:
    """One field of a schema."""

    name: str
    is_required: bool
    sources: tuple[Source, ...]
    """The best first."""
    nested: type[BaseModel] | None
    """The schema of what is in it, if that is one schema."""


def fields_of(schema: type[BaseModel]) -> Iterator[SchemaField]:
    """Return the fields of a schema, those that it inherits among them."""
    schema.model_rebuild()
    for name, field in schema.model_fields.items():
        yield SchemaField(
            name=name,
            is_required=field.is_required(),
            sources=tuple(_sources(name, field, schema)),
            nested=_schema_in(field.annotation),
        )


def _sources(name: str, field: FieldInfo, schema: type[BaseModel]) -> Iterator[Source]:
    config = schema.model_config
    aliases = _aliases(field) if config.get("validate_by_alias", True) else []
    for alias in aliases:
        first, *rest = [alias] if isinstance(alias, str) else alias.path
        yield Source(key=str(first), attribute=str(first), rest=tuple(rest))
    # An alias is what the value is called on the wire; the model may still call it as the field.
    by_name = config.get("validate_by_name") or config.get("populate_by_name") or not aliases
    keys = [name] if by_name else [alias for alias in aliases if isinstance(alias, str)]
    yield from (Source(key=key, attribute=name) for key in keys[:1])


def _aliases(field: FieldInfo) -> list[str | AliasPath]:
    alias = field.validation_alias
    if alias is None:
        return []
    return alias.choices if isinstance(alias, AliasChoices) else [alias]


def _schema_in(annotation: Any) -> type[BaseModel] | None:
    """Return the schema in an annotation such as `list[Schema]` or `Schema | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _schema_in(arguments[0])
    if origin in _UNIONS:
        present = [argument for argument in arguments if argument is not NoneType]
        return _schema_in(present[0]) if len(present) == 1 else None
    is_class = isinstance(origin, type)
    if is_class and issubclass(origin, Collection) and not issubclass(origin, Mapping):
        return _schema_in(arguments[0])
    return None
