"""A resource that is made from a schema of an OpenAPI document: `--from-openapi`.

What a schema says and no field can is refused, with all of it in one message; what is not checked
by the generated schemas, as a `pattern`, is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.documents import Document, SchemaError, read_document
from fastapi_baseline.scaffolding.grammar import (
    DECIMAL,
    DEFAULT_LENGTH,
    EMAIL_LENGTH,
    MAX_LENGTH,
    MAX_TEXT_LENGTH,
    URL_LENGTH,
)
from fastapi_baseline.scaffolding.service import Model
from fastapi_baseline.scaffolding.sources import (
    Reading,
    are_choices,
    snake_case_of,
    with_a_name,
)
from fastapi_baseline.scaffolding.specification import (
    FieldSpecification,
    FieldType,
    KeyType,
    ResourceSpecification,
)
from fastapi_baseline.scaffolding.words import ROW_WORDS

_FORMATS: Mapping[str, FieldType] = {
    "date": FieldType.DATE,
    "date-time": FieldType.DATETIME,
    "decimal": FieldType.DECIMAL,
    "email": FieldType.EMAIL,
    "uri": FieldType.URL,
    "url": FieldType.URL,
    "uuid": FieldType.UUID,
}
_TYPES: Mapping[str, FieldType] = {
    "boolean": FieldType.BOOLEAN,
    "integer": FieldType.INTEGER,
    "number": FieldType.NUMBER,
    "object": FieldType.JSON,
}
_REFUSED_FORMATS = frozenset({"binary", "byte", "duration", "password", "time"})
_LENGTHS = {FieldType.EMAIL: EMAIL_LENGTH, FieldType.URL: URL_LENGTH}
_KEYS = {
    FieldType.UUID: KeyType.UUID,
    FieldType.INTEGER: KeyType.INTEGER,
    FieldType.BIGINT: KeyType.BIGINT,
    FieldType.STRING: KeyType.STRING,
}
_LARGEST_INTEGER = 2**31 - 1
_UNCHECKED = (
    "default",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maximum",
    "minimum",
    "multipleOf",
    "pattern",
)


def read_schema(location: str, *, name: str, plural: str, models: Mapping[str, Model]) -> Reading:
    """Return the resource that a schema is, given its file, as `api.yaml#/components/schemas/Order`.

    Without where it is in the file, it is the schema that is called like the model: `Order`.
    `models` are those that the service has, by their names in snake case.

    Raises:
        ConfigurationError: If it is not there, or says what no field can be.
    """
    path, _, pointer = location.partition("#")
    document = read_document(Path(path))
    model = ResourceSpecification(name=name, plural=plural, fields=()).model
    try:
        schema = document.find_schema(pointer, model=model)
    except SchemaError as error:
        raise ConfigurationError(f"The schema {location} {error}.") from error
    properties: Any = schema.get("properties")
    if schema.get("type", "object") != "object" or not isinstance(properties, Mapping):
        raise ConfigurationError(f"{location} is no object with properties.")
    description = _Description(
        document=document, required=frozenset(map(str, schema.get("required", ()))), models=models
    )
    fields = description.fields_of(properties)  # pyright: ignore[reportUnknownArgumentType] -- of any kind
    return Reading(
        resource=ResourceSpecification(name=name, plural=plural, fields=fields),
        notes=tuple(description.notes),
    )


@dataclass(slots=True, kw_only=True)
class _Description:
    """One schema that is being described."""

    document: Document
    required: frozenset[str]
    models: Mapping[str, Model]
    notes: list[str] = field(default_factory=list[str])

    def fields_of(self, properties: Mapping[str, object]) -> tuple[FieldSpecification, ...]:
        fields: dict[str, FieldSpecification] = {}
        refused: list[str] = []
        for name, schema in properties.items():
            try:
                found = self._field(str(name), schema)
            except SchemaError as error:
                refused.append(f"{name!r} {error}")
                continue
            if found is None:
                continue
            found = with_a_name(found, str(name), fields.__contains__)
            fields[found.attribute] = found
            if found.attribute != name:
                self._note(str(name), f"is called {found.attribute!r} here")
        if refused:
            raise ConfigurationError(f"No resource can be made of it: {'; '.join(refused)}.")
        return tuple(fields.values())

    def _field(self, name: str, schema: object) -> FieldSpecification | None:
        found = self.document.resolve(schema)
        attribute = snake_case_of(name)
        if attribute in ROW_WORDS:
            self._note(name, "is left out: rows have one of their own")
            return None
        if found.get("readOnly"):
            self._note(name, "is left out: it is readOnly, and the server would have to make it")
            return None
        if found.get("writeOnly"):
            raise SchemaError("is writeOnly, and fields are shown")
        is_optional = bool(found.get("nullable")) or name not in self.required
        made = self._typed(attribute, name, found)
        unchecked = [key for key in _UNCHECKED if key in found]
        if unchecked:
            self._note(name, f"has what is not in force here: {', '.join(unchecked)}")
        return replace(made, is_optional=is_optional)

    def _typed(self, attribute: str, name: str, schema: Mapping[str, Any]) -> FieldSpecification:
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if values is not None:
            if not are_choices(values):
                raise SchemaError("has values that are no texts with a name for each in Python")
            return FieldSpecification(name=attribute, type=FieldType.ENUM, choices=tuple(values))
        form: Any = schema.get("format")
        match schema.get("type"):
            case "string":
                made = self._string(attribute, name, schema)
            case "number" if form == "decimal":
                made = _decimal(attribute)
            case "integer" if form == "int64" or _is_large(schema):
                made = FieldSpecification(name=attribute, type=FieldType.BIGINT)
            case "object" if "properties" in schema:
                raise SchemaError("is an object with properties: make it a resource of its own")
            case "array":
                raise SchemaError("is a list: make it a resource that refers to this one")
            case str(kind) if kind in _TYPES:
                made = FieldSpecification(name=attribute, type=_TYPES[kind])
            case kind:
                raise SchemaError(f"has the type {kind!r}" if kind else "has no type")
        return self._referring(made)

    def _string(self, attribute: str, name: str, schema: Mapping[str, Any]) -> FieldSpecification:
        form: Any = schema.get("format")
        if form in _REFUSED_FORMATS:
            raise SchemaError(f"has the format {form!r}, which no field has")
        kind = _FORMATS.get(form, FieldType.STRING)
        if form is not None and kind is FieldType.STRING:
            self._note(name, f"has the format {form!r}, which is not checked here")
        if kind is FieldType.DECIMAL:
            return _decimal(attribute)
        if kind not in {FieldType.STRING, *_LENGTHS}:
            return FieldSpecification(name=attribute, type=kind)
        longest: Any = schema.get("maxLength")
        if kind is FieldType.STRING and longest is None:
            self._note(name, f"has no maxLength, and may have {DEFAULT_LENGTH} characters here")
        length = longest if isinstance(longest, int) else _LENGTHS.get(kind, DEFAULT_LENGTH)
        if not 1 <= length <= MAX_TEXT_LENGTH:
            raise SchemaError(f"has a maxLength that is not 1 to {MAX_TEXT_LENGTH}")
        if kind is FieldType.STRING and length > MAX_LENGTH:
            kind = FieldType.TEXT
        return FieldSpecification(name=attribute, type=kind, max_length=length)

    def _referring(self, made: FieldSpecification) -> FieldSpecification:
        """Return a field as a reference if it is called like the key of a model, and is like it."""
        other = made.name.removesuffix("_id")
        model = self.models.get(other) if other != made.name else None
        if model is None or _KEYS.get(made.type) is not model.key:
            return made
        return replace(made, name=other, type=FieldType.REFERENCE, reference=other)

    def _note(self, name: str, what: str) -> None:
        self.notes.append(f"The property {name!r} {what}.")


def _decimal(attribute: str) -> FieldSpecification:
    precision, scale = DECIMAL
    return FieldSpecification(
        name=attribute, type=FieldType.DECIMAL, precision=precision, scale=scale
    )


def _is_large(schema: Mapping[str, Any]) -> bool:
    largest: Any = schema.get("maximum")
    return isinstance(largest, int) and largest > _LARGEST_INTEGER
