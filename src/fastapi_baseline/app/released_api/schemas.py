"""Two schemas of JSON, one of a released API and one of the next: what callers would miss.

What a caller sends must still be taken, so a schema of requests may only become wider. What a caller
gets must still be what it was, so a schema of responses may only become narrower; a new value of an
enumeration is no break there, as callers have to expect it.
"""

import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

Schema = Mapping[str, Any]
Document = Mapping[str, Any]

_NULL: Schema = {"type": "null"}
_DEEPEST = 50
_UPPER_LIMITS = ("maximum", "exclusiveMaximum", "maxItems", "maxLength", "maxProperties")
_LOWER_LIMITS = ("minimum", "exclusiveMinimum", "minItems", "minLength", "minProperties")
_EXACT_LIMITS = ("multipleOf", "pattern")
# Of these, nothing is the same as not at all.
_LENGTHS = frozenset({"minItems", "minLength", "minProperties"})


class Direction(Enum):
    """Who sends what a schema describes."""

    REQUEST = "request"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Break:
    """What callers would miss: where in the body, such as `items[].name`, and what."""

    place: str
    what: str

    def within(self, place: str) -> "Break":
        """Return the same, seen from what is around it."""
        joint = "." if self.place and place and not self.place.startswith("[") else ""
        return Break(f"{place}{joint}{self.place}", self.what)


@dataclass(slots=True)
class SchemaComparison:
    """Compares schemas of two documents; each pair of them is compared once."""

    released: Document
    current: Document
    direction: Direction
    _known: dict[tuple[str, str], Sequence[Break]] = field(
        default_factory=dict[tuple[str, str], Sequence[Break]]
    )

    def find_breaks(self, old: Schema, new: Schema) -> Sequence[Break]:
        """Return what callers would miss."""
        key = (json.dumps(old, sort_keys=True), json.dumps(new, sort_keys=True))
        if key not in self._known:
            # While it is compared, a schema that contains itself is as good as it turns out to be.
            self._known[key] = ()
            self._known[key] = tuple(self._compare(old, new))
        return self._known[key]

    def _compare(self, old: Schema, new: Schema) -> Iterator[Break]:
        before = alternatives_of(old, self.released)
        after = alternatives_of(new, self.current)
        if self.direction is Direction.REQUEST:
            for old_one in before:
                found = [self._compare_one(old_one, one) for one in _like(old_one, after)]
                yield from _fewest(found, otherwise=f"no longer takes {describe(old_one)}")
        else:
            for new_one in after:
                found = [self._compare_one(one, new_one) for one in _like(new_one, before)]
                yield from _fewest(found, otherwise=f"may now be {describe(new_one)}")

    def _compare_one(self, old: Schema, new: Schema) -> Sequence[Break]:
        breaks = [*self._compare_types(old, new), *self._compare_values(old, new)]
        if self.direction is Direction.REQUEST:
            breaks += _find_tighter_limits(old, new)
        breaks += self._compare_fields(old, new)
        breaks += self._compare_items(old, new)
        return breaks

    def _compare_types(self, old: Schema, new: Schema) -> Iterator[Break]:
        before, after = old.get("type"), new.get("type")
        wide, narrow = (after, before) if self.direction is Direction.REQUEST else (before, after)
        is_wider = wide is None or wide == narrow or (wide, narrow) == ("number", "integer")
        if not is_wider:
            yield Break("", f"is {describe(new)} instead of {describe(old)}")
        before, after = old.get("format"), new.get("format")
        wide, narrow = (after, before) if self.direction is Direction.REQUEST else (before, after)
        if is_wider and wide is not None and wide != narrow:
            yield Break("", f"is {describe(new)} instead of {describe(old)}")

    def _compare_values(self, old: Schema, new: Schema) -> Iterator[Break]:
        before, after = _values_of(old), _values_of(new)
        if after is None:
            return
        if self.direction is Direction.RESPONSE:
            if before is not None and not any(value in before for value in after):
                yield Break("", f"is {_listed(after)} instead of {_listed(before)}")
        elif before is None:
            yield Break("", f"takes only {_listed(after)}")
        else:
            for value in before:
                if value not in after:
                    yield Break("", f"no longer takes {value!r}")

    def _compare_fields(self, old: Schema, new: Schema) -> Iterator[Break]:
        before, after = _mapping(old, "properties"), _mapping(new, "properties")
        must, must_now = set(old.get("required", ())), set(new.get("required", ()))
        is_request = self.direction is Direction.REQUEST
        for name, schema in before.items():
            if name in after:
                for found in self.find_breaks(_schema(schema), _schema(after[name])):
                    yield found.within(name)
                if not is_request and name in must - must_now:
                    yield Break(name, "may be left out")
            elif not is_request or not new.get("additionalProperties"):
                yield Break(name, "is no longer taken" if is_request else "is gone")
        if is_request:
            for name in sorted(must_now - must):
                yield Break(name, "is required")
        yield from self._compare_other_fields(old, new)

    def _compare_other_fields(self, old: Schema, new: Schema) -> Iterator[Break]:
        before, after = old.get("additionalProperties"), new.get("additionalProperties")
        if self.direction is Direction.REQUEST:
            if after is False and before is not False:
                yield Break("", "refuses fields that it does not know")
        elif before and not after:
            yield Break("", "has no fields with names of their own any more")
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            for found in self.find_breaks(_schema(before), _schema(after)):
                yield found.within("{}")

    def _compare_items(self, old: Schema, new: Schema) -> Iterator[Break]:
        before, after = old.get("items"), new.get("items")
        if before is None and after is None:
            return
        for found in self.find_breaks(_schema(before), _schema(after)):
            yield found.within("[]")


def resolve(item: Any, document: Document) -> Mapping[str, Any]:
    """Return what stands at the end of references in a document; nothing if one leads nowhere."""
    for _ in range(_DEEPEST):
        reference = _mapping({"item": item}, "item").get("$ref")
        if not isinstance(reference, str):
            break
        item = document
        for part in reference.removeprefix("#/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            item = cast("Mapping[str, Any]", item).get(name, {})
    return cast("Mapping[str, Any]", item) if isinstance(item, Mapping) else {}


def alternatives_of(schema: Any, document: Document, *, depth: int = 0) -> Sequence[Schema]:
    """Return what a schema allows, each with one type or with any, and without `anyOf` and `allOf`."""
    if schema is False:
        return []
    resolved = resolve(schema, document)
    if depth > _DEEPEST:
        return [resolved]
    parts = resolved.get("allOf")
    if parts:
        rest = {key: value for key, value in resolved.items() if key != "allOf"}
        resolved = _merged([rest, *(_flat(part, document, depth=depth) for part in parts)])
    found: list[Schema] = []
    choices = resolved.get("anyOf") or resolved.get("oneOf")
    rest = {key: value for key, value in resolved.items() if key not in {"anyOf", "oneOf"}}
    if choices:
        for choice in choices:
            allowed = alternatives_of(choice, document, depth=depth + 1)
            found += [_merged([rest, one]) for one in allowed]
    elif isinstance(resolved.get("type"), list):
        found += [{**rest, "type": name} for name in resolved["type"]]
    else:
        found.append(resolved)
    # As OpenAPI 3.0 says it.
    if resolved.get("nullable") is True:
        found.append(_NULL)
    return found


def describe(schema: Schema) -> str:
    """Return what a schema is, in words: `string (date-time)`, `null`, `anything`."""
    kind = str(schema.get("type", "anything"))
    return f"{kind} ({schema['format']})" if schema.get("format") else kind


def _flat(schema: Any, document: Document, *, depth: int) -> Schema:
    found = alternatives_of(schema, document, depth=depth + 1)
    return found[0] if len(found) == 1 else {"anyOf": list(found)}


def _merged(schemas: Sequence[Schema]) -> Schema:
    merged: dict[str, Any] = {}
    for schema in schemas:
        for key, value in schema.items():
            if key == "properties":
                merged[key] = {**merged.get(key, {}), **value}
            elif key == "required":
                merged[key] = [*merged.get(key, ()), *value]
            else:
                merged[key] = value
    return merged


def _like(one: Schema, others: Sequence[Schema]) -> Iterator[Schema]:
    """Give the alternatives that are worth a comparison."""
    for other in others:
        kinds = {one.get("type"), other.get("type")}
        if len(kinds) == 1 or None in kinds or kinds == {"integer", "number"}:
            yield other


def _fewest(found: Sequence[Sequence[Break]], *, otherwise: str) -> Sequence[Break]:
    return min(found, key=len) if found else [Break("", otherwise)]


def _find_tighter_limits(old: Schema, new: Schema) -> Iterator[Break]:
    kinds: Sequence[tuple[Sequence[str], Callable[[Any, Any], bool]]] = (
        (_UPPER_LIMITS, operator.gt),
        (_LOWER_LIMITS, operator.lt),
        (_EXACT_LIMITS, operator.ne),
    )
    for names, is_tightened in kinds:
        for name in names:
            before, after = old.get(name), new.get(name)
            if name in _LENGTHS:
                before = before or 0
            if after is not None and (before is None or is_tightened(before, after)):
                yield Break("", f"has {name} {after}")
    if new.get("uniqueItems") and not old.get("uniqueItems"):
        yield Break("", "takes no item twice")


def _values_of(schema: Schema) -> Sequence[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return cast("Sequence[Any]", values) if isinstance(values, list) else None


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(repr(value) for value in values)


def _mapping(schema: Schema, key: str) -> Mapping[str, Any]:
    found = schema.get(key)
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _schema(value: Any) -> Schema:
    if value is False:
        return {"not": {}}
    return cast("Schema", value) if isinstance(value, Mapping) else {}
