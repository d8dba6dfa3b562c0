"""What a field is in each file: its column, what clients send for it, and examples.

The templates have these under `fields`; their names are public, since templates of a service may
use them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi_baseline.scaffolding.grammar import to_member
from fastapi_baseline.scaffolding.service import Model
from fastapi_baseline.scaffolding.specification import (
    FieldSpecification,
    FieldType,
    KeyType,
    ResourceSpecification,
)
from fastapi_baseline.scaffolding.words import QUERY_WORDS

EXAMPLE_ID = "0199c2a4-7f3e-7b1c-9d52-3f0a6c8e1b47"
"""An identifier, where one is shown."""

_LARGEST = {FieldType.INTEGER: 2**31 - 1, FieldType.BIGINT: 2**63 - 1}
_VARIES = frozenset(FieldType) - {FieldType.BOOLEAN, FieldType.ENUM, FieldType.JSON}
_RANGES = frozenset(
    {
        FieldType.INTEGER,
        FieldType.BIGINT,
        FieldType.NUMBER,
        FieldType.DECIMAL,
        FieldType.DATE,
        FieldType.DATETIME,
    }
)
_TEXTS = frozenset({FieldType.STRING, FieldType.TEXT, FieldType.EMAIL, FieldType.URL})
_CHOICE_LENGTH = 32
# Names that modules of schemas have anyway: a type of this name would take the place of one.
_TAKEN = frozenset(
    {"Annotated", "Any", "Decimal", "Field", "In", "Range", "Text", "UUID", "Moment", "NOT_BLANK"}
)


_KEY_TYPES = {
    KeyType.UUID: "UUID",
    KeyType.INTEGER: "int",
    KeyType.BIGINT: "int",
    KeyType.STRING: "str",
}
_KEY_FIELDS = {
    KeyType.UUID: FieldType.UUID,
    KeyType.INTEGER: FieldType.INTEGER,
    KeyType.BIGINT: FieldType.BIGINT,
    KeyType.STRING: FieldType.STRING,
}
_ANNOTATIONS = {
    FieldType.STRING: "str",
    FieldType.TEXT: "str",
    FieldType.EMAIL: "str",
    FieldType.URL: "str",
    FieldType.INTEGER: "int",
    FieldType.BIGINT: "int",
    FieldType.NUMBER: "float",
    FieldType.DECIMAL: "Decimal",
    FieldType.BOOLEAN: "bool",
    FieldType.UUID: "UUID",
    FieldType.JSON: "dict[str, Any]",
}
_COLUMN_TYPES = {
    FieldType.TEXT: "Text",
    FieldType.BIGINT: "BigInteger",
    FieldType.DECIMAL: "Numeric",
}
_DEFINITIONS = {
    FieldType.NUMBER: "Annotated[float, Field(allow_inf_nan=False, strict=True)]",
    FieldType.DECIMAL: "Annotated[Decimal, Field(max_digits=38, allow_inf_nan=False)]",
    FieldType.BOOLEAN: "Annotated[bool, Field(strict=True)]",
    FieldType.JSON: "Annotated[dict[str, JsonValue], AfterValidator(_storable)]",
}
_LEFT_OUT = {
    FieldType.INTEGER: "0",
    FieldType.BIGINT: "0",
    FieldType.NUMBER: "0.0",
    FieldType.DECIMAL: "Decimal(0)",
    FieldType.BOOLEAN: "False",
    FieldType.UUID: "UUID(int=0)",
    FieldType.STRING: '""',
    FieldType.JSON: "{}",
}
_EXAMPLES: dict[FieldType, tuple[str, Any]] = {
    FieldType.INTEGER: ("n", 1),
    FieldType.BIGINT: ("n", 1),
    FieldType.NUMBER: ("n + 0.5", 1.5),
    FieldType.BOOLEAN: ("True", True),
    FieldType.DATE: ('f"2026-01-0{n}"', "2026-01-01"),
    FieldType.DATETIME: ('f"2026-01-0{n}T09:30:00Z"', "2026-01-01T09:30:00Z"),
    FieldType.UUID: ("str(UUID(int=n))", EXAMPLE_ID),
    FieldType.EMAIL: ('f"mail{n}@example.com"', "mail1@example.com"),
    FieldType.URL: ('f"https://example.com/{n}"', "https://example.com/1"),
    FieldType.JSON: ('{"size": n}', {"size": 1}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field, in the words of the files."""

    name: str
    attribute: str
    words: str
    type: str
    """The word of its type, as in the grammar."""
    is_optional: bool
    is_unique: bool
    annotation: str
    """The type of its values in Python."""
    column: str
    """The call that makes its column, or nothing if its annotation says all."""
    schema_type: str
    """What clients send, without `None`."""
    definition: str
    """What `schema_type` is, if that is a name of the module."""
    left_out: str
    """What stands for a value that is not sent."""
    filter: str
    """What a list can be asked of it, or nothing."""
    filter_example: str
    """An example of that, as Python."""
    is_sortable: bool
    is_searchable: bool
    varies: bool
    """Whether there is any number of examples, and not only a few."""
    example: Any
    """An example, as JSON has it."""
    wrong: str
    """What it cannot be, as Python."""
    test_value: str
    """An expression in Python: the example with the number `n`."""
    filter_key: str
    """The parameter that finds one of two examples."""
    enum: str
    """The name of its enumeration, or nothing."""
    members: Mapping[str, str]
    """The members of that."""
    referenced: str
    """The model that it refers to, or nothing."""
    missing: str
    """An identifier that nothing has which it could refer to, as Python."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """What the names of types are in the files of one resource."""

    date: str
    datetime: str
    model: str
    taken: frozenset[str]


def make_fields(
    resource: ResourceSpecification, models: Mapping[str, Model]
) -> tuple[Sequence[Field], bool]:
    """Return the fields of a resource, and whether `datetime` goes by another name in its files.

    It does if a field is called like one of its types: in a class, a field hides it.
    """
    attributes = {field.attribute for field in resource.fields}
    is_hidden = bool(attributes & {"date", "datetime"})
    names = _Names(
        date="dt.date" if is_hidden else "date",
        datetime="dt.datetime" if is_hidden else "datetime",
        model=resource.model,
        taken=_TAKEN
        | {f"{resource.model}{end}" for end in ("", "In", "Out", "Changes", "Query")}
        | {_camel(field.attribute) for field in resource.fields if field.type is FieldType.ENUM}
        | {model.name for model in models.values()},
    )
    return [
        _field(field, resource, models=models, names=names) for field in resource.fields
    ], is_hidden


def literal(value: Any) -> str:
    """Return what JSON has as Python writes it."""
    if isinstance(value, dict):
        inner = (f"{literal(key)}: {literal(item)}" for key, item in value.items())  # pyright: ignore[reportUnknownVariableType] -- of any kind
        return f"{{{', '.join(inner)}}}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _field(
    field: FieldSpecification,
    resource: ResourceSpecification,
    *,
    models: Mapping[str, Model],
    names: _Names,
) -> Field:
    model = models.get(field.reference or "")
    key = _key_of(field, resource, model)
    enum = f"{names.model}{_camel(field.name)}" if field.type is FieldType.ENUM else ""
    annotation = _annotation(field, names, key=key, enum=enum)
    definition = _definition(field, key)
    schema_type = _alias(field, names) if definition else annotation
    if field.type is FieldType.DATETIME:
        schema_type = "Moment"
    expression, example = _examples(field, key)
    is_filtered = field.attribute not in QUERY_WORDS
    return Field(
        name=field.name,
        attribute=field.attribute,
        words=field.name.replace("_", " "),
        type=str(field.type),
        is_optional=field.is_optional,
        is_unique=field.is_unique,
        annotation=annotation,
        column=_column(field, resource, model=model, enum=enum, key=key),
        schema_type=schema_type,
        definition=definition,
        left_out=_left_out(field, annotation, key=key),
        filter=_filter(field, annotation) if is_filtered else "",
        filter_example=literal(example),
        is_sortable=field.type in _RANGES | {FieldType.STRING, FieldType.EMAIL},
        is_searchable=field.type in {FieldType.STRING, FieldType.TEXT, FieldType.EMAIL},
        varies=field.type in _VARIES,
        example=example,
        wrong='" "' if field.type in {FieldType.STRING, FieldType.TEXT} else '"?"',
        test_value=expression,
        filter_key=_filter_key(field) if is_filtered else "",
        enum=enum,
        members={to_member(choice): choice for choice in field.choices},
        referenced=_referenced(field, resource, model),
        missing=_missing(key),
    )


def _key_of(
    field: FieldSpecification, resource: ResourceSpecification, model: Model | None
) -> KeyType:
    if field.reference == resource.name:
        return resource.key
    return KeyType.UUID if model is None else model.key


def _referenced(
    field: FieldSpecification, resource: ResourceSpecification, model: Model | None
) -> str:
    if field.reference is None:
        return ""
    return resource.model if model is None else model.name


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _alias(field: FieldSpecification, names: _Names) -> str:
    alias = _camel(field.attribute)
    return f"{alias}Value" if alias in names.taken else alias


def _annotation(field: FieldSpecification, names: _Names, *, key: KeyType, enum: str) -> str:
    match field.type:
        case FieldType.DATE:
            return names.date
        case FieldType.DATETIME:
            return names.datetime
        case FieldType.ENUM:
            return enum
        case FieldType.REFERENCE:
            return _KEY_TYPES[key]
        case _:
            return _ANNOTATIONS[field.type]


def _column(
    field: FieldSpecification,
    resource: ResourceSpecification,
    *,
    model: Model | None,
    enum: str,
    key: KeyType,
) -> str:
    parts = [json.dumps(field.column)] if field.column else []
    if type_ := _column_type(field, enum=enum, key=key):
        parts.append(type_)
    if field.type is FieldType.REFERENCE:
        table = resource.table_name if model is None else model.table
        parts.append(f'ForeignKey("{table}.{field.referenced_column or "id"}")')
    if field.is_unique:
        parts.append("unique=True")
    elif field.is_indexed or field.type is FieldType.REFERENCE:
        # A foreign key has no index of its own, and each deletion of what it refers to looks there.
        parts.append("index=True")
    return f"mapped_column({', '.join(parts)})" if parts else ""


def _column_type(field: FieldSpecification, *, enum: str, key: KeyType) -> str:
    match field.type:
        case FieldType.STRING | FieldType.EMAIL | FieldType.URL:
            return _string_type(field)
        case FieldType.DECIMAL if field.precision is not None:
            return f"Numeric({field.precision}, {field.scale})"
        case FieldType.JSON:
            nothing = "none_as_null=True" if field.is_optional else ""
            return f'JSON({nothing}).with_variant(JSONB({nothing}), "postgresql")'
        case FieldType.ENUM:
            return _enum_type(field, enum)
        case FieldType.REFERENCE if key is KeyType.STRING:
            return _string_type(field)
        case _:
            return _COLUMN_TYPES.get(field.type, "")


def _string_type(field: FieldSpecification) -> str:
    return f"String({field.max_length})" if field.max_length else "String"


def _enum_type(field: FieldSpecification, enum: str) -> str:
    values = "values_callable=_values"
    if field.enum_name:
        return f"Enum({enum}, name={json.dumps(field.enum_name)}, {values})"
    longest = max(len(choice) for choice in field.choices)
    length = field.max_length or max(_CHOICE_LENGTH, longest)
    # As text, without a constraint: one more value is a change of the code only.
    return f"Enum({enum}, native_enum=False, length={length}, {values})"


def _definition(field: FieldSpecification, key: KeyType) -> str:
    match field.type:
        case FieldType.STRING | FieldType.TEXT:
            return _text(field, "min_length=1", pattern="NOT_BLANK")
        case FieldType.EMAIL | FieldType.URL:
            return _text(field, pattern=field.type.name)
        case FieldType.INTEGER | FieldType.BIGINT:
            largest = _LARGEST[field.type]
            return f"Annotated[int, Field(ge={-largest - 1:_}, le={largest:_}, strict=True)]"
        case FieldType.DECIMAL if field.precision is not None:
            limits = f"max_digits={field.precision}, decimal_places={field.scale}"
            return f"Annotated[Decimal, Field({limits})]"
        case FieldType.REFERENCE:
            return _reference_definition(field, key)
        case _:
            return _DEFINITIONS.get(field.type, "")


def _text(field: FieldSpecification, *limits: str, pattern: str) -> str:
    length = [f"max_length={field.max_length:_}"] if field.max_length else []
    parts = ["strip_whitespace=True", *limits, *length, f"pattern={pattern}"]
    return f"Annotated[str, StringConstraints({', '.join(parts)})]"


def _reference_definition(field: FieldSpecification, key: KeyType) -> str:
    if key in {KeyType.INTEGER, KeyType.BIGINT}:
        largest = _LARGEST[_KEY_FIELDS[key]]
        return f"Annotated[int, Field(ge=1, le={largest:_}, strict=True)]"
    if key is KeyType.STRING:
        limits = f"min_length=1, max_length={field.max_length or 255}, pattern=NOT_BLANK"
        return f"Annotated[str, StringConstraints({limits})]"
    return ""


def _left_out(field: FieldSpecification, annotation: str, *, key: KeyType) -> str:
    if field.is_optional:
        return "None"
    match field.type:
        case FieldType.ENUM:
            return f"{annotation}.{to_member(field.choices[0])}"
        case FieldType.REFERENCE:
            return _LEFT_OUT[_KEY_FIELDS[key]]
        case FieldType.DATE | FieldType.DATETIME:
            return f"{annotation}.min"
        case _:
            return _LEFT_OUT.get(field.type, '""')


def _filter(field: FieldSpecification, annotation: str) -> str:
    if field.type in _TEXTS:
        return "Text"
    if field.type in _RANGES:
        return f"Range[{annotation}]"
    if field.type is FieldType.ENUM:
        return f"In[{annotation}]"
    return "" if field.type is FieldType.JSON else annotation


def _filter_key(field: FieldSpecification) -> str:
    if field.type in _TEXTS:
        return f"{field.attribute}[eq]"
    if field.type in _RANGES:
        return f"{field.attribute}[gte]"
    return field.attribute if field.type in _VARIES else ""


def _examples(field: FieldSpecification, key: KeyType) -> tuple[str, Any]:
    """Return an expression with `n`, and the example with the number 1, each as JSON has it."""
    match field.type:
        case FieldType.STRING | FieldType.TEXT:
            return _string(field)
        case FieldType.DECIMAL:
            return _decimal(field)
        case FieldType.ENUM:
            return literal(field.choices[0]), field.choices[0]
        case FieldType.REFERENCE if key is KeyType.UUID:
            return f"str({field.name}.id)", EXAMPLE_ID
        case FieldType.REFERENCE:
            return f"{field.name}.id", "1" if key is KeyType.STRING else 1
        case _:
            return _EXAMPLES[field.type]


def _string(field: FieldSpecification) -> tuple[str, str]:
    words = field.name.replace("_", " ").capitalize()
    room = (field.max_length or len(words) + 2) - 1
    start = f"{words} " if len(words) < room else words[:room].rstrip()
    return (f'f"{start}{{n}}"' if start else "str(n)"), f"{start}1"


def _decimal(field: FieldSpecification) -> tuple[str, str]:
    scale = 2 if field.scale is None else field.scale
    if field.precision is not None and field.precision == scale:
        return f'f"0.{"0" * (scale - 1)}{{n}}"', f"0.{'0' * (scale - 1)}1"
    end = f".{'0' * scale}" if scale else ""
    return f'f"{{n}}{end}"', f"1{end}"


def _missing(key: KeyType) -> str:
    return {KeyType.UUID: "str(uuid4())", KeyType.STRING: '"-"'}.get(key, "2_000_000_000")
