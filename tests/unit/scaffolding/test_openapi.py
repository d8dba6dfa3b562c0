import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.grammar import parse_field
from fastapi_baseline.scaffolding.openapi import read_schema
from fastapi_baseline.scaffolding.service import Model
from fastapi_baseline.scaffolding.sources import Reading
from fastapi_baseline.scaffolding.specification import FieldSpecification, FieldType

CUSTOMER = Model(
    name="Customer", module="shop.domains.customers.models", domain="customers", table="customer"
)
KIND = {"type": "string", "enum": ["open", "paid"]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "api.json"


def write(path: Path, schemas: Mapping[str, object]) -> None:
    document = {"openapi": "3.1.0", "paths": {}, "components": {"schemas": schemas}}
    path.write_text(json.dumps(document), encoding="utf-8")


def read(path: Path, schema: object = None, **others: object) -> Reading:
    """Write a document with the schema `Order`, and read that."""
    write(path, {"Order": schema, **others})
    return read_schema(str(path), name="order", plural="orders", models={"customer": CUSTOMER})


def properties(*, required: tuple[str, ...] = (), **found: object) -> dict[str, object]:
    return {"type": "object", "properties": found, "required": list(required)}


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ({"type": "string", "maxLength": 40}, "a:string(40)"),
        ({"type": "string", "maxLength": 20_000}, "a:text(20000)"),
        ({"type": "string"}, "a:string(255)"),
        ({"type": "string", "format": "date"}, "a:date"),
        ({"type": "string", "format": "date-time"}, "a:datetime"),
        ({"type": "string", "format": "uuid"}, "a:uuid"),
        ({"type": "string", "format": "email"}, "a:email"),
        ({"type": "string", "format": "uri"}, "a:url"),
        ({"type": "string", "format": "decimal"}, "a:decimal"),
        ({"type": "number", "format": "decimal"}, "a:decimal"),
        ({"type": "number"}, "a:number"),
        ({"type": "integer"}, "a:integer"),
        ({"type": "integer", "format": "int64"}, "a:bigint"),
        ({"type": "integer", "maximum": 2**31}, "a:bigint"),
        ({"type": "boolean"}, "a:boolean"),
        ({"type": "object", "additionalProperties": True}, "a:json"),
        (KIND, "a:enum(open|paid)"),
        ({"const": "open"}, "a:enum(open)"),
        ({"$ref": "#/components/schemas/Kind"}, "a:enum(open|paid)"),
        ({"allOf": [{"$ref": "#/components/schemas/Kind"}]}, "a:enum(open|paid)"),
    ],
    ids=str,
)
def test_maps_a_property_to_a_field(path: Path, schema: object, word: str) -> None:
    reading = read(path, properties(required=("a",), a=schema), Kind=KIND)

    assert reading.resource.fields == (parse_field(word),)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "boolean", "nullable": True},
        {"type": ["boolean", "null"]},
        {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        {"oneOf": [{"type": "null"}, {"type": "boolean"}]},
    ],
    ids=str,
)
def test_makes_what_can_be_null_optional(path: Path, schema: object) -> None:
    reading = read(path, properties(required=("a",), a=schema))

    assert reading.resource.fields == (parse_field("a:boolean?"),)


def test_makes_what_is_not_required_optional(path: Path) -> None:
    assert read(path, properties(a={"type": "boolean"})).resource.fields[0].is_optional


def test_takes_null_out_of_an_enumeration(path: Path) -> None:
    schema = {"type": ["string", "null"], "enum": ["open", None]}

    reading = read(path, properties(required=("a",), a=schema))

    assert reading.resource.fields == (parse_field("a:enum(open)?"),)


def test_puts_the_parts_of_a_schema_together(path: Path) -> None:
    named = properties(required=("name",), name={"type": "boolean"})
    rest = properties(required=("done",), done={"type": "boolean"})

    reading = read(path, {"allOf": [{"$ref": "#/components/schemas/Named"}, rest]}, Named=named)

    assert reading.resource.fields == (parse_field("name:boolean"), parse_field("done:boolean"))


def test_refers_to_a_model_that_is_there(path: Path) -> None:
    customer = {"type": "string", "format": "uuid"}

    reading = read(path, properties(required=("customerId",), customerId=customer))

    assert reading.resource.fields == (parse_field("customer:ref=customer"),)


def test_takes_an_identifier_of_another_type_for_a_plain_value(path: Path) -> None:
    reading = read(path, properties(customer_id={"type": "integer"}))

    expected = FieldSpecification(name="customer_id", type=FieldType.INTEGER, is_optional=True)
    assert reading.resource.fields == (expected,)


@pytest.mark.parametrize(
    ("name", "schema", "note"),
    [
        ("id", {"type": "string"}, "is left out: rows have one of their own"),
        ("createdAt", {"type": "string"}, "is left out: rows have one of their own"),
        ("etag", {"type": "string", "readOnly": True}, "is left out: it is readOnly"),
        ("dueOn", {"type": "string", "format": "date"}, "is called 'due_on' here"),
        ("order", {"type": "boolean"}, "is called 'order_value' here"),
        ("a", {"type": "string"}, "has no maxLength, and may have 255 characters"),
        ("a", {"type": "string", "maxLength": 9, "format": "ipv4"}, "has the format 'ipv4'"),
        ("a", {"type": "integer", "minimum": 1, "default": 2}, "not in force here: default, min"),
    ],
)
def test_tells_what_is_otherwise(
    path: Path, name: str, schema: Mapping[str, Any], note: str
) -> None:
    reading = read(path, {"properties": {"b": {"type": "boolean"}, name: schema}})

    (found,) = reading.notes
    assert found.startswith(f"The property {name!r} ")
    assert note in found


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "array", "items": {"type": "string"}}, "is a list"),
        ({"type": "object", "properties": {}}, "is an object with properties"),
        ({"type": "string", "writeOnly": True}, "is writeOnly"),
        ({"type": "string", "format": "binary"}, "has the format 'binary'"),
        ({"type": "string", "maxLength": 10**9}, "has a maxLength that is not"),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, r"a choice of types \(oneOf\)"),
        ({"type": ["string", "integer"]}, r"a choice of types \(type\)"),
        ({"type": "integer", "enum": [1, 2]}, "has values that are no texts"),
        ({"enum": ["a b", "a_b"]}, "has values that are no texts"),
        ({"type": "file"}, "has the type 'file'"),
        ({}, "has no type"),
        (True, "has True instead of a schema"),
        ({"$ref": "#/components/schemas/Loop"}, "refers to itself"),
        ({"$ref": "#/components/schemas/Gone"}, "which is not there"),
        ({"$ref": "other.yaml#/Order"}, "put all of it into one file first"),
    ],
    ids=str,
)
def test_refuses_what_no_field_can_be(path: Path, schema: object, reason: str) -> None:
    loop = {"$ref": "#/components/schemas/Loop"}

    with pytest.raises(ConfigurationError, match=f"No resource can be made of it: 'a' .*{reason}"):
        read(path, properties(a=schema), Loop=loop)


def test_says_all_that_it_refuses_at_once(path: Path) -> None:
    schema = properties(a={"type": "array"}, b={"type": "boolean"}, c={})

    with pytest.raises(ConfigurationError) as refusal:
        read(path, schema)

    assert refusal.value.message == (
        "No resource can be made of it: 'a' is a list: make it a resource that refers to this "
        "one; 'c' has no type."
    )


def test_finds_a_schema_by_its_place(path: Path) -> None:
    write(path, {"Order/New": properties(a={"type": "boolean"})})
    location = f"{path}#/components/schemas/Order~1New"

    reading = read_schema(location, name="order", plural="orders", models={})

    assert [field.name for field in reading.resource.fields] == ["a"]


def test_reads_yaml(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(
        "openapi: 3.0.3\n"
        "components: {schemas: {Order: {properties: {due: {type: string, format: date}}}}}\n",
        encoding="utf-8",
    )

    reading = read_schema(str(path), name="order", plural="orders", models={})

    assert reading.resource.fields == (parse_field("due:date?"),)


def test_names_the_schemas_that_are_there(path: Path) -> None:
    write(path, {"Other": {}, "Another": {}})

    with pytest.raises(ConfigurationError, match="there are: Another, Other"):
        read_schema(str(path), name="order", plural="orders", models={})


@pytest.mark.parametrize(
    ("schema", "reason"),
    [(KIND, "no object with properties"), ({"$ref": "#/components/schemas/Order"}, "to itself")],
    ids=["enumeration", "loop"],
)
def test_refuses_a_schema_that_is_no_object(path: Path, schema: object, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        read(path, schema)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("api.json", "{", "cannot be read"),
        ("api.yaml", "a: [", "cannot be read"),
        ("api.yaml", "swagger: '2.0'", "no OpenAPI document of version 3"),
        ("api.yaml", "- a", "no OpenAPI document of version 3"),
    ],
)
def test_refuses_what_is_no_document(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError, match=reason):
        read_schema(str(tmp_path / name), name="order", plural="orders", models={})


def test_says_that_there_is_no_file(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_schema(str(path), name="order", plural="orders", models={})
