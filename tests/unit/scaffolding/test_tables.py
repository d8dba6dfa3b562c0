from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import types
from sqlalchemy.dialects import postgresql

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.reflection import ForeignKey, Table
from fastapi_baseline.scaffolding.service import Model
from fastapi_baseline.scaffolding.sources import Reading
from fastapi_baseline.scaffolding.specification import FieldSpecification, FieldType, KeyType
from fastapi_baseline.scaffolding.tables import describe_table

CUSTOMER = Model(
    name="Customer",
    module="shop.domains.customers.models",
    domain="customers",
    table="clients",
    key=KeyType.INTEGER,
)


def column(name: str, kind: Any, **more: Any) -> Mapping[str, Any]:
    return {"name": name, "type": kind, "nullable": False, "default": None} | more


ID = column("id", types.INTEGER())
NAME = column("name", types.VARCHAR(80))


def describe(
    *columns: Mapping[str, Any], models: Mapping[str, Model] | None = None, **more: Any
) -> Reading:
    facts: dict[str, Any] = {"name": "orders", "is_sqlite": True, "primary": ("id",)} | more
    table = Table(columns=columns, **facts)
    return describe_table(table, name="order", plural="orders", models=models or {})


def only_field(reading: Reading) -> FieldSpecification:
    (found,) = reading.resource.fields
    return found


def test_keeps_the_table_and_its_columns() -> None:
    resource = describe(ID, NAME, column("Total", types.BIGINT(), nullable=True)).resource

    assert (resource.table_name, resource.key, resource.key_column) == (
        "orders",
        KeyType.INTEGER,
        None,
    )
    assert resource.fields == (
        FieldSpecification(name="name", type=FieldType.STRING, max_length=80),
        FieldSpecification(name="total", type=FieldType.BIGINT, is_optional=True, column="Total"),
    )


def test_has_neither_timestamps_nor_versions_that_are_not_there() -> None:
    resource = describe(ID, NAME).resource

    assert not resource.has_timestamps
    assert not resource.is_versioned


def test_finds_timestamps_and_versions() -> None:
    moment = types.DATETIME()

    reading = describe(
        ID,
        NAME,
        column("created_at", moment),
        column("updated_at", moment),
        column("version", types.INTEGER()),
    )

    assert reading.resource.has_timestamps
    assert reading.resource.is_versioned
    assert [field.name for field in reading.resource.fields] == ["name"]
    assert "'version' counts the changes" in " ".join(reading.notes)


def test_leaves_out_a_timestamp_that_is_alone() -> None:
    reading = describe(ID, NAME, column("created_at", types.DATETIME(), default="now()"))

    assert not reading.resource.has_timestamps
    assert only_field(reading).name == "name"
    assert "'created_at' is left out" in " ".join(reading.notes)


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (types.UUID(), KeyType.UUID),
        (types.BIGINT(), KeyType.BIGINT),
        (types.VARCHAR(20), KeyType.STRING),
    ],
    ids=repr,
)
def test_takes_any_plain_key(kind: Any, key: KeyType) -> None:
    resource = describe(column("number", kind), NAME, primary=("number",)).resource

    assert (resource.key, resource.key_column) == (key, "number")
    assert resource.key_max_length == (20 if key is KeyType.STRING else None)


def test_takes_a_key_that_the_server_counts() -> None:
    counted = column("id", types.BIGINT(), identity={"start": 1})

    assert describe(counted, NAME, is_sqlite=False).resource.key is KeyType.BIGINT


@pytest.mark.parametrize(
    ("columns", "facts", "message"),
    [
        ((ID, NAME), {"primary": ()}, "has no column"),
        ((ID, NAME), {"primary": ("id", "name")}, "has 2 columns"),
        ((column("id", types.DATE()), NAME), {}, "is date"),
        ((ID, NAME), {"is_sqlite": False}, "Nothing counts the primary key"),
        (
            (ID, NAME),
            {
                "foreign_keys": (
                    ForeignKey(columns=("id",), table="a", referred=("id",), key=("id",)),
                )
            },
            "refers to another table",
        ),
        (
            (ID, column("photo", types.BLOB())),
            {},
            "'photo' of 'orders' is blob, which no field can be, and rows cannot do without it",
        ),
    ],
)
def test_refuses_a_table_whose_rows_could_not_be_added(
    columns: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        describe(*columns, **facts)


@pytest.mark.parametrize(
    ("left_out", "reason"),
    [
        (column("photo", types.BLOB(), nullable=True), "it is blob"),
        (column("tags", postgresql.ARRAY(types.Text()), default="{}"), "it is array"),
        (column("total", types.INTEGER(), computed={"sqltext": "1"}), "the database computes it"),
        (column("number", types.INTEGER(), identity={"start": 1}), "the database counts it"),
        (column("created_by", types.VARCHAR(9), nullable=True), "no place beside the stamps"),
        (
            column("odd", postgresql.ENUM("a b", "a_b", name="odd"), nullable=True),
            "of the type odd",
        ),
    ],
    ids=["photo", "tags", "total", "number", "created_by", "odd"],
)
def test_tells_what_it_leaves_out(left_out: Mapping[str, Any], reason: str) -> None:
    reading = describe(ID, NAME, left_out)

    assert only_field(reading).name == "name"
    assert f"The column {left_out['name']!r} is left out: " in reading.notes[0]
    assert reason in reading.notes[0]


def test_finds_what_is_unique_and_what_has_an_index() -> None:
    resource = describe(
        ID,
        NAME,
        column("email", types.TEXT()),
        column("city", types.TEXT()),
        uniques=(("email",), ("name", "city")),
        indexes=(("city",), ("name", "email")),
    ).resource

    unique = [field.name for field in resource.fields if field.is_unique]
    indexed = [field.name for field in resource.fields if field.is_indexed]
    assert (unique, indexed) == (["email"], ["city"])
    assert resource.unique_together == (("name", "city"),)


def test_makes_an_enumeration_of_what_a_check_allows() -> None:
    status = column("status", types.VARCHAR(10))

    found = only_field(describe(ID, status, checks=("status IN ('open', 'paid')",)))

    assert (found.type, found.choices, found.max_length) == (
        FieldType.ENUM,
        ("open", "paid"),
        10,
    )


def test_has_room_for_each_value_of_an_enumeration() -> None:
    status = column("status", types.VARCHAR(2))

    assert only_field(describe(ID, status, checks=("status IN ('open')",))).max_length == 4


def test_limits_a_text_as_a_check_does() -> None:
    note = column("note", types.TEXT())

    assert only_field(describe(ID, note, checks=("length(note) <= 500",))).max_length == 500


def refers(*columns: str, table: str = "clients", referred: str = "id") -> dict[str, Any]:
    key = ForeignKey(columns=columns, table=table, referred=(referred,), key=("id",))
    return {"foreign_keys": (key,)}


@pytest.mark.parametrize(
    ("name", "kept"), [("customer_id", None), ("customer", "customer"), ("Buyer", "Buyer")]
)
def test_refers_to_the_model_of_the_other_table(name: str, kept: str | None) -> None:
    models = {"customer": CUSTOMER}

    found = only_field(describe(ID, column(name, types.INTEGER()), models=models, **refers(name)))

    assert (found.type, found.reference, found.column) == (
        FieldType.REFERENCE,
        "customer",
        kept,
    )
    assert found.attribute == ("buyer_id" if name == "Buyer" else "customer_id")


def test_names_the_key_that_it_refers_to_unless_that_is_the_id() -> None:
    key = ForeignKey(columns=("a_id",), table="clients", referred=("number",), key=("number",))

    found = only_field(
        describe(
            ID,
            column("a_id", types.INTEGER()),
            models={"customer": CUSTOMER},
            foreign_keys=(key,),
        )
    )

    assert found.referenced_column == "number"


def test_refers_to_rows_of_its_own() -> None:
    parent = column("parent_id", types.INTEGER(), nullable=True)

    found = only_field(describe(ID, parent, **refers("parent_id", table="orders")))

    assert (found.reference, found.is_optional) == ("order", True)


@pytest.mark.parametrize(
    "facts",
    [refers("customer_id", table="regions"), refers("customer_id", referred="email")],
    ids=["without a model", "not the key"],
)
def test_tells_of_a_reference_that_it_cannot_make(facts: Mapping[str, Any]) -> None:
    reading = describe(
        ID, column("customer_id", types.INTEGER()), models={"customer": CUSTOMER}, **facts
    )

    assert only_field(reading).type is FieldType.INTEGER
    assert "'customer_id' refers to" in reading.notes[0]


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("class", "class_value"),
        ("metadata", "metadata_value"),
        ("order", "order"),
        ("CamelCase", "camel_case"),
        ("net total", "net_total"),
    ],
)
def test_calls_a_column_what_code_can_call_it(name: str, attribute: str) -> None:
    reading = describe(ID, column(name, types.TEXT()))

    found = only_field(reading)
    assert (found.attribute, found.column) == (attribute, name)
    assert len(reading.notes) == (name != attribute)


def test_gives_two_columns_two_names() -> None:
    resource = describe(ID, column("a", types.TEXT()), column("A", types.TEXT())).resource

    assert [field.attribute for field in resource.fields] == ["a", "a_value"]


def test_refuses_a_column_that_code_cannot_name() -> None:
    with pytest.raises(ConfigurationError, match="rename it first"):
        describe(ID, column("§", types.TEXT()))


def test_tells_what_only_the_database_knows() -> None:
    pair = ForeignKey(columns=("a", "b"), table="pairs", referred=("a", "b"), key=("a", "b"))

    reading = describe(
        ID,
        column("a", types.BOOLEAN(), default="true"),
        column("b", types.INTEGER()),
        checks=("b > 0",),
        special=("ix_part",),
        unread=("Skipped the index ix_lower",),
        uniques=(("a",), ("b", "gone")),
        foreign_keys=(pair,),
    )

    assert list(reading.notes) == [
        "The column 'a' has a default in the database, and clients have to send it anyway.",
        "What breaks the check b > 0, only the database refuses.",
        "Skipped the index ix_lower.",
        "What breaks the unique index ix_part, only the database refuses.",
        "That a, b together refer to pairs, only the database knows.",
        "That a must be unique, only the database knows.",
        "That b, gone must be unique, only the database knows.",
    ]
