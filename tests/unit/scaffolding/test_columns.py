from typing import Any

import pytest
from sqlalchemy import types
from sqlalchemy.dialects import postgresql, sqlite

from fastapi_baseline.scaffolding.columns import ColumnType, read_checks, type_of
from fastapi_baseline.scaffolding.specification import FieldType

PLAIN: list[tuple[Any, ColumnType]] = [
    (types.VARCHAR(40), ColumnType(type=FieldType.STRING, max_length=40)),
    (types.VARCHAR(), ColumnType(type=FieldType.STRING, max_length=10_000)),
    (types.CHAR(32), ColumnType(type=FieldType.STRING, max_length=32)),
    (types.TEXT(), ColumnType(type=FieldType.TEXT, max_length=1_000_000)),
    (postgresql.CITEXT(), ColumnType(type=FieldType.TEXT, max_length=1_000_000)),
    (types.INTEGER(), ColumnType(type=FieldType.INTEGER)),
    (types.BIGINT(), ColumnType(type=FieldType.BIGINT)),
    (types.REAL(), ColumnType(type=FieldType.NUMBER)),
    (postgresql.DOUBLE_PRECISION(), ColumnType(type=FieldType.NUMBER)),
    (types.NUMERIC(12, 2), ColumnType(type=FieldType.DECIMAL, precision=12, scale=2)),
    (types.NUMERIC(9), ColumnType(type=FieldType.DECIMAL, precision=9, scale=0)),
    (types.NUMERIC(), ColumnType(type=FieldType.DECIMAL)),
    (types.NUMERIC(2, 4), ColumnType(type=FieldType.DECIMAL)),
    (types.NUMERIC(100, 2), ColumnType(type=FieldType.DECIMAL)),
    (types.BOOLEAN(), ColumnType(type=FieldType.BOOLEAN)),
    (types.DATE(), ColumnType(type=FieldType.DATE)),
    (postgresql.TIMESTAMP(timezone=True), ColumnType(type=FieldType.DATETIME)),
    (types.UUID(), ColumnType(type=FieldType.UUID)),
    (
        postgresql.ENUM("open", "it's paid", name="status"),
        ColumnType(type=FieldType.ENUM, choices=("open", "it's paid"), enum_name="status"),
    ),
    (
        postgresql.DOMAIN("short", types.VARCHAR(12)),
        ColumnType(type=FieldType.STRING, max_length=12),
    ),
]


@pytest.mark.parametrize(("kind", "expected"), PLAIN, ids=repr)
def test_maps_a_type_to_that_of_a_field(kind: Any, expected: ColumnType) -> None:
    assert type_of(kind, is_sqlite=False) == expected


@pytest.mark.parametrize(
    ("kind", "type_", "told"),
    [
        (types.SMALLINT(), FieldType.INTEGER, "32767"),
        (postgresql.JSONB(), FieldType.JSON, "an object"),
        (postgresql.TIMESTAMP(), FieldType.DATETIME, "UTC"),
    ],
    ids=repr,
)
def test_tells_what_a_column_holds_otherwise(kind: Any, type_: FieldType, told: str) -> None:
    found = type_of(kind, is_sqlite=False)

    assert found is not None
    assert found.type is type_
    assert told in (found.note or "")


@pytest.mark.parametrize(
    "kind",
    [
        types.LargeBinary(),
        types.NullType(),
        types.Time(),
        types.Interval(),
        postgresql.ARRAY(types.Text()),
        postgresql.INET(),
        postgresql.ENUM("a b", "a_b", name="same_in_python"),
        postgresql.ENUM("é", name="without_a_name"),
    ],
    ids=repr,
)
def test_maps_no_type_that_fields_do_not_have(kind: Any) -> None:
    assert type_of(kind, is_sqlite=False) is None


def test_takes_what_sqlite_stores_a_uuid_in_for_one() -> None:
    found = type_of(types.CHAR(32), is_sqlite=True)

    assert found is not None
    assert found.type is FieldType.UUID
    assert "UUID" in (found.note or "")


def test_takes_moments_of_sqlite_as_they_are_stored() -> None:
    assert type_of(sqlite.DATETIME(), is_sqlite=True) == ColumnType(type=FieldType.DATETIME)


@pytest.mark.parametrize(
    "condition",
    [
        "status IN ('open', 'it''s paid')",
        "\"status\" in ('open','it''s paid')",
        "status = ANY (ARRAY['open'::text, 'it''s paid'::text])",
        "status::text = ANY (ARRAY['open'::character varying, 'it''s paid'::character varying]::text[])",
        "(status)::text = ANY ((ARRAY['open'::character varying, 'it''s paid'::character varying(9)])::text[])",
    ],
)
def test_reads_the_values_that_a_check_allows(condition: str) -> None:
    checks = read_checks([condition])

    assert checks.choices == {"status": ("open", "it's paid")}
    assert checks.others == []


@pytest.mark.parametrize(
    ("condition", "longest"),
    [
        ("length(note) <= 500", 500),
        ("char_length(note) < 40", 39),
        ("char_length(note::text) <= 40", 40),
        ("(character_length((note)::text) <= 40)", 40),
    ],
)
def test_reads_how_long_a_check_lets_a_text_be(condition: str, longest: int) -> None:
    assert read_checks([condition]).lengths == {"note": longest}


def test_takes_the_shortest_of_several_lengths() -> None:
    assert read_checks(["length(a) <= 5", "length(a) <= 9"]).lengths == {"a": 5}


@pytest.mark.parametrize(
    "condition",
    [
        "balance >= 0::numeric",
        "status IN (1, 2)",
        "status IN ('open', upper('paid'))",
        "status IN ('a b', 'a_b')",
        "status IN ('open') OR total > 0",
        "length(note) >= 5",
        "status <> ALL (ARRAY['x'::text])",
    ],
)
def test_keeps_what_a_check_says_otherwise(condition: str) -> None:
    checks = read_checks([condition])

    assert (checks.choices, checks.lengths, checks.others) == ({}, {}, [condition])
