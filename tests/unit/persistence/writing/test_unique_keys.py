from typing import Any

import pytest
from sqlalchemy import Column, Index, UniqueConstraint, func, inspect, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.writing.unique_keys import unique_key


class Models(DeclarativeBase):
    pass


class Keyed(Models):
    __tablename__ = "keyed"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column("e_mail", unique=True)
    tenant: Mapped[str]
    code: Mapped[str]
    slug: Mapped[str] = mapped_column(index=True, unique=True)
    later: Mapped[str]
    lowered: Mapped[str]
    plain: Mapped[str] = mapped_column(index=True)
    partial: Mapped[str]
    both: Mapped[str] = mapped_column(unique=True)
    __table_args__ = (
        UniqueConstraint("tenant", "code"),
        UniqueConstraint("later", deferrable=True, initially="DEFERRED"),
        Index("lowered", func.lower("lowered"), unique=True),
        Index("of_some", "partial", unique=True, postgresql_where=text("code = 1")),
        Index("of_both", "both", unique=True, sqlite_where=text("code = 1")),
    )


def columns_of(*names: str) -> list[Column[Any]]:
    return [*unique_key(inspect(Keyed), names).columns]


@pytest.mark.parametrize(
    "names", [["id"], ["email"], ["tenant", "code"], ["code", "tenant"], ["slug"], ["partial"]]
)
def test_finds_the_key_that_has_these_attributes(names: list[str]) -> None:
    columns = inspect(Keyed).columns

    assert {*columns_of(*names)} == {columns[name] for name in names}


@pytest.mark.parametrize(
    "names", [[], ["tenant"], ["id", "email"], ["later"], ["lowered"], ["plain"], ["e_mail"]]
)
def test_refuses_what_is_no_key(names: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="Keyed has no unique key of"):
        columns_of(*names)


def test_says_among_which_rows_a_key_is_unique() -> None:
    assert str(unique_key(inspect(Keyed), ["partial"]).where) == "code = 1"


def test_prefers_a_key_of_all_rows() -> None:
    assert unique_key(inspect(Keyed), ["both"]).where is None
