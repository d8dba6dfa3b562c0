from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, literal_column, text, true
from sqlalchemy.dialects import postgresql, sqlite

from fastapi_baseline.persistence.migrations.defaults import defaults_differ


def _differ(stored: str | None, wanted: Any, *, dialect: Any = None) -> bool:
    column: Column[Any] = Column("c", String, server_default=wanted)
    Table("t", MetaData(), column)
    return defaults_differ(stored, column, dialect or postgresql.dialect())


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (None, None),
        ("'a'::character varying", "a"),
        ("'it''s'::text", "it's"),
        ("'{}'::jsonb", text("'{}'")),
        ("0", text("0")),
        ("'0'::smallint", text("0")),
        ("'-1'::integer", text("-1")),
        ("(-1)", text("-1")),
        ("1.50", text("1.5")),
        ("true", true()),
        ("now()", func.now()),
        ("(now() + '1 day'::interval)", text("now() + interval '1 day'")),
        ("lower('A'::text)", func.lower("A")),
        ("CURRENT_TIMESTAMP", text("now()")),
    ],
)
def test_the_same_default_is_no_difference(stored: str | None, wanted: Any) -> None:
    assert not _differ(stored, wanted)


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (None, text("0")),
        ("0", None),
        ("0", text("1")),
        ("'a'::character varying", "b"),
        ("true", text("false")),
        ("now()", None),
    ],
)
def test_another_default_is_a_difference(stored: str | None, wanted: Any) -> None:
    assert _differ(stored, wanted)


def test_reads_what_sqlite_stores() -> None:
    assert not _differ("1", true(), dialect=sqlite.dialect())
    assert _differ("0", true(), dialect=sqlite.dialect())


def test_the_sequence_of_a_key_is_no_default() -> None:
    column: Column[Any] = Column("id", Integer, primary_key=True)
    Table("t", MetaData(), column)

    assert not defaults_differ("nextval('t_id_seq'::regclass)", column, postgresql.dialect())


def test_does_not_judge_what_it_cannot_write_down() -> None:
    assert not _differ("0", literal_column("x") == func.foo(object()))
