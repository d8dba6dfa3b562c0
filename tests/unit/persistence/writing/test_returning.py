from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    create_engine,
    or_,
    select,
    update,
)

from fastapi_baseline.persistence.writing.returning import returnable

table = Table(
    "returning_row",
    MetaData(),
    Column("id", String, primary_key=True),
    Column("must", String, nullable=False),
    Column("note", String),
    Column("number", Integer),
)
note, must = table.c.note, table.c.must

CONDITIONS: list[tuple[Any, bool]] = [
    (note.is_(None), True),
    (note.is_not(None), False),
    (~note.is_(None), False),
    (and_(must == "m", note.is_(None)), True),
    (or_(must == "x", note.is_not(None)), False),
    (note.is_distinct_from("x"), True),
    (note.is_not_distinct_from(None), True),
    (select(1).where(note.is_not(None)).exists(), False),
]


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS)
def test_a_row_that_was_changed_says_what_is_so(condition: Any, expected: bool) -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(table.insert().values(id="a", must="m", note="n", number=1))
        changed = update(table).values(note=None).returning(returnable(condition))
        found = connection.scalar(changed)
    engine.dispose()

    assert bool(found) == expected


def test_what_asks_for_no_null_stays() -> None:
    condition = and_(must == "m", table.c.number > 3)

    assert str(returnable(condition)) == str(condition)
