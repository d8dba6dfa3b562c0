"""OpenAPI documents: schemas by where they are, with what they refer to put in its place."""

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError

_SCHEMAS = "#/components/schemas/"
_MOST_NAMES = 10
_NULL = "null"
_NONE: AbstractSet[str] = frozenset()


class SchemaError(Exception):
    """What is wrong with a schema, to be said after its name: `refers to itself`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An OpenAPI document of version 3."""

    path: Path
    content: Mapping[str, Any]

    def find_schema(self, pointer: str, *, model: str) -> Mapping[str, Any]:
        """Return a schema, given where it is, or else what the model of it is called.

        Raises:
            ConfigurationError: If it is not there.
            SchemaError: If it leaves a choice, or refers to nothing, to itself or to another file.
        """
        reference = f"#{pointer}" if pointer else f"{_SCHEMAS}{model}"
        try:
            found = self._look_up(reference)
        except SchemaError:
            known = ", ".join(self._names()[:_MOST_NAMES]) or "none"
            message = (
                f"{self.path} has no {reference}: say which schema it is, as in "
                f"{self.path.name}{_SCHEMAS}NAME; there are: {known}."
            )
            raise ConfigurationError(message) from None
        return self.resolve(found, frozenset({reference}))

    def resolve(self, schema: object, seen: AbstractSet[str] = _NONE) -> dict[str, Any]:
        """Return a schema in which everything stands that it refers to, but for its properties.

        One of two choices that is `null` becomes `nullable`, as does the type.

        Raises:
            SchemaError: If it leaves a choice, or refers to nothing, to itself or to another file.
        """
        if not isinstance(schema, Mapping):
            raise SchemaError(f"has {schema!r} instead of a schema")
        found = dict(cast("Mapping[str, Any]", schema))
        if (reference := found.pop("$ref", None)) is not None:
            if not isinstance(reference, str) or reference in seen:
                raise SchemaError(f"refers to itself, by {reference!r}")
            found = self.resolve(self._look_up(reference), seen | {reference}) | found
        for part in cast("list[Any]", found.pop("allOf", [])):
            found = _merged(found, self.resolve(part, seen))
        for key in ("anyOf", "oneOf"):
            if key in found:
                found = self._chosen(found, key, seen)
        return _with_nullable(found)

    def _chosen(self, schema: dict[str, Any], key: str, seen: AbstractSet[str]) -> dict[str, Any]:
        options: list[Any] = schema.pop(key)
        rest = [option for option in options if option != {"type": _NULL}]
        if len(rest) != 1:
            raise SchemaError(f"has a choice of types ({key})")
        nullable = {"nullable": True} if len(rest) < len(options) else {}
        return _merged(self.resolve(rest[0], seen), schema) | nullable

    def _look_up(self, reference: str) -> object:
        if not reference.startswith("#/"):
            raise SchemaError(f"refers to {reference}: put all of it into one file first")
        found: Any = self.content
        for part in reference.removeprefix("#/").split("/"):
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                raise SchemaError(f"refers to {reference}, which is not there")
            found = cast("Mapping[str, Any]", found)[key]
        return found

    def _names(self) -> list[str]:
        components: Any = self.content.get("components") or {}
        return sorted(map(str, components.get("schemas") or {}))


def read_document(path: Path) -> Document:
    """Return the document in a file, of JSON or YAML.

    Raises:
        ConfigurationError: If it cannot be read, or is no OpenAPI document of version 3.
    """
    with optional("yaml", extra="cli"):
        import yaml  # noqa: PLC0415 -- of the extra

    try:
        text = path.read_text(encoding="utf-8")
        content: Any = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        cause = " ".join(str(error).split())
        raise ConfigurationError(f"{path} cannot be read. {cause}") from error
    version = str(content.get("openapi", "")) if isinstance(content, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] -- of any kind
    if not version.startswith("3."):
        raise ConfigurationError(f"{path} is no OpenAPI document of version 3.")
    return Document(path=path, content=cast("dict[str, Any]", content))


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**one, **other}
    for key in ("properties", "required"):
        if key in one and key in other:
            merged[key] = (
                {**one[key], **other[key]} if key == "properties" else [*one[key], *other[key]]
            )
    return merged


def _with_nullable(schema: dict[str, Any]) -> dict[str, Any]:
    kind: Any = schema.get("type")
    if isinstance(kind, list):
        rest = [name for name in cast("list[Any]", kind) if name != _NULL]
        if len(rest) != 1:
            raise SchemaError("has a choice of types (type)")
        schema["type"] = rest[0]
        if len(rest) < len(cast("list[Any]", kind)):
            schema["nullable"] = True
    values: Any = schema.get("enum")
    if isinstance(values, list) and None in values:
        schema["enum"] = [value for value in cast("list[Any]", values) if value is not None]
        schema["nullable"] = True
    return schema
