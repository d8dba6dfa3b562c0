from collections.abc import Mapping
from typing import Any

import pytest

from fastapi_baseline.app.released_api.schemas import Direction, SchemaComparison

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
WHOLE = {"type": "integer"}
NULL = {"type": "null"}


def record(*required: str, **fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(required)}


def listed(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def breaks(
    direction: Direction,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    components: Mapping[str, Any] | None = None,
) -> list[str]:
    document = {"components": {"schemas": components or {}}}
    found = SchemaComparison(document, document, direction).find_breaks(old, new)
    return [f"{one.place} {one.what}".strip() for one in found]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(TEXT, WHOLE, ["no longer takes string"], id="another type"),
        pytest.param(NUMBER, WHOLE, ["is integer instead of number"], id="whole numbers only"),
        pytest.param({}, TEXT, ["is string instead of anything"], id="a type at all"),
        pytest.param({"anyOf": [TEXT, NULL]}, TEXT, ["no longer takes null"], id="null no more"),
        pytest.param({**TEXT, "nullable": True}, TEXT, ["no longer takes null"], id="as in 3.0"),
        pytest.param({"type": ["string", "null"]}, TEXT, ["no longer takes null"], id="as in 3.1"),
        pytest.param(
            {"anyOf": [TEXT, WHOLE]}, TEXT, ["no longer takes integer"], id="one type fewer"
        ),
        pytest.param(
            TEXT,
            {**TEXT, "format": "uuid"},
            ["is string (uuid) instead of string"],
            id="a format",
        ),
        pytest.param(
            {**TEXT, "enum": ["a", "b"]},
            {**TEXT, "enum": ["a"]},
            ["no longer takes 'b'"],
            id="a value fewer",
        ),
        pytest.param(TEXT, {**TEXT, "const": "a"}, ["takes only 'a'"], id="one value"),
        pytest.param(TEXT, {**TEXT, "maxLength": 5}, ["has maxLength 5"], id="a limit"),
        pytest.param(
            {**TEXT, "maxLength": 9}, {**TEXT, "maxLength": 5}, ["has maxLength 5"], id="less"
        ),
        pytest.param(
            {**WHOLE, "minimum": 1}, {**WHOLE, "minimum": 2}, ["has minimum 2"], id="more"
        ),
        pytest.param(
            {**TEXT, "pattern": "a"}, {**TEXT, "pattern": "b"}, ["has pattern b"], id="a pattern"
        ),
        pytest.param(
            listed(TEXT), {**listed(TEXT), "uniqueItems": True}, ["takes no item twice"], id="a set"
        ),
        pytest.param(record(), record("a", a=TEXT), ["a is required"], id="a new field"),
        pytest.param(
            record(a=TEXT), record("a", a=TEXT), ["a is required"], id="a field that was optional"
        ),
        pytest.param(record(a=TEXT), record(), ["a is no longer taken"], id="a field fewer"),
        pytest.param(
            record(a=record(b=listed(TEXT))),
            record(a=record(b=listed(WHOLE))),
            ["a.b[] no longer takes string"],
            id="deep inside",
        ),
        pytest.param(
            record(),
            {**record(), "additionalProperties": False},
            ["refuses fields that it does not know"],
            id="nothing else",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": TEXT},
            {"type": "object", "additionalProperties": WHOLE},
            ["{} no longer takes string"],
            id="values of any name",
        ),
        pytest.param(
            {"allOf": [record(a=TEXT), record(b=TEXT)]},
            record(a=TEXT),
            ["b is no longer taken"],
            id="parts of a whole",
        ),
    ],
)
def test_a_request_must_still_be_taken(
    old: Mapping[str, Any], new: Mapping[str, Any], said: list[str]
) -> None:
    assert breaks(Direction.REQUEST, old, new) == said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(TEXT, WHOLE, ["may now be integer"], id="another type"),
        pytest.param(WHOLE, NUMBER, ["is number instead of integer"], id="no whole number"),
        pytest.param(TEXT, {}, ["is anything instead of string"], id="any type"),
        pytest.param(TEXT, {"anyOf": [TEXT, NULL]}, ["may now be null"], id="null"),
        pytest.param(
            {**TEXT, "format": "date-time"},
            {**TEXT, "format": "date"},
            ["is string (date) instead of string (date-time)"],
            id="another format",
        ),
        pytest.param(
            {**TEXT, "const": "a"}, {**TEXT, "const": "b"}, ["is 'b' instead of 'a'"], id="another"
        ),
        pytest.param(record(a=TEXT), record(), ["a is gone"], id="a field fewer"),
        pytest.param(
            record("a", a=TEXT), record(a=TEXT), ["a may be left out"], id="a field that was there"
        ),
        pytest.param(
            {"type": "object", "additionalProperties": TEXT},
            record(),
            ["has no fields with names of their own any more"],
            id="no fields of any name",
        ),
    ],
)
def test_a_response_must_still_be_what_it_was(
    old: Mapping[str, Any], new: Mapping[str, Any], said: list[str]
) -> None:
    assert breaks(Direction.RESPONSE, old, new) == said


@pytest.mark.parametrize(
    ("direction", "old", "new"),
    [
        pytest.param(Direction.REQUEST, record(), record(a=TEXT), id="may have one more field"),
        pytest.param(
            Direction.REQUEST, record("a", a=TEXT), record(a=TEXT), id="may leave a field out"
        ),
        pytest.param(
            Direction.REQUEST, {**TEXT, "maxLength": 5}, {**TEXT, "maxLength": 9}, id="may be more"
        ),
        pytest.param(Direction.REQUEST, TEXT, {**TEXT, "minLength": 0}, id="may be empty, as ever"),
        pytest.param(Direction.REQUEST, WHOLE, NUMBER, id="may be broken"),
        pytest.param(Direction.REQUEST, TEXT, {"anyOf": [TEXT, WHOLE]}, id="may be a number, too"),
        pytest.param(Direction.RESPONSE, record(), record("a", a=TEXT), id="may have a field more"),
        pytest.param(Direction.RESPONSE, {"anyOf": [TEXT, NULL]}, TEXT, id="is always there now"),
        pytest.param(
            Direction.RESPONSE,
            {**TEXT, "enum": ["a"]},
            {**TEXT, "enum": ["a", "b"]},
            id="may have a new value",
        ),
    ],
)
def test_is_no_break_that_it(
    direction: Direction, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert breaks(direction, old, new) == []


def test_compares_schemas_that_contain_themselves() -> None:
    node = {"$ref": "#/components/schemas/Node"}
    other = {"$ref": "#/components/schemas/Other"}
    components = {
        "Node": record(next={"anyOf": [node, NULL]}, value=TEXT),
        "Other": record(next={"anyOf": [other, NULL]}, value=WHOLE),
    }

    found = breaks(Direction.RESPONSE, node, other, components=components)

    assert found == ["next.value may now be integer", "value may now be integer"]


def test_passes_over_references_that_lead_nowhere_or_in_circles() -> None:
    components: dict[str, Any] = {
        "Round": {"$ref": "#/components/schemas/Round"},
        "Self": {"anyOf": [{"$ref": "#/components/schemas/Self"}]},
    }
    for name in ("Round", "Self", "Lost"):
        reference = {"$ref": f"#/components/schemas/{name}"}

        assert breaks(Direction.REQUEST, reference, reference, components=components) == []
