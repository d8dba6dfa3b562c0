from typing import Any

from sqlalchemy import Column, Integer, Sequence, func, inspect
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_baseline.persistence.writing.row_defaults import (
    RowContext,
    discriminator,
    evaluated,
    is_python_side,
)


class Models(DeclarativeBase):
    pass


class Animal(Models):
    __tablename__ = "animal"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column("kind_of_animal")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}  # noqa: RUF012


class Dog(Animal):
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012


class Stone(Models):
    __tablename__ = "stone"

    id: Mapped[int] = mapped_column(primary_key=True)


def context() -> RowContext:
    return RowContext(sqlite.dialect(), {"clock": "noon"})


def default_of(default: Any) -> Any:
    return Column("value", Integer, default=default).default


def test_values_and_functions_are_no_sql() -> None:
    defaults: list[Any] = [1, int, func.now(), Sequence("numbers")]

    found = [is_python_side(default_of(default)) for default in defaults]

    assert found == [True, True, False, False]


def test_no_default_is_none_of_either() -> None:
    assert not is_python_side(None)


def test_a_function_may_ask_for_the_row_and_the_options() -> None:
    def told(context: Any) -> str:
        return f"{context.get_current_parameters()['name']} at {context.execution_options['clock']}"

    row = context()
    row.current_parameters = {"name": "Al"}

    assert evaluated(default_of(told), row) == "Al at noon"


def test_a_value_is_its_own() -> None:
    assert evaluated(default_of(5), context()) == 5


def test_a_class_of_a_hierarchy_says_which_it_is() -> None:
    assert discriminator(inspect(Dog)) == {"kind": "dog"}


def test_a_class_of_none_says_nothing() -> None:
    assert discriminator(inspect(Stone)) == {}
