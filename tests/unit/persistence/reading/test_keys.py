from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import BigInteger, SmallInteger, Uuid
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.persistence import Base
from fastapi_baseline.persistence.errors import InvalidKeyError
from fastapi_baseline.persistence.reading.keys import has_key, have_keys, is_within, key_of
from fastapi_baseline.persistence.shape import Shape, shape_of


class Suit(Enum):
    HEARTS = "hearts"


class Numbered(Base):
    __tablename__ = "keys_numbered"
    id: Mapped[int] = mapped_column(primary_key=True)


class SmallNumbered(Base):
    __tablename__ = "keys_small"
    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)


class BigNumbered(Base):
    __tablename__ = "keys_big"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class Card(Base):
    __tablename__ = "keys_card"
    suit: Mapped[Suit] = mapped_column(primary_key=True)
    rank: Mapped[str] = mapped_column(primary_key=True)


class TextUuid(Base):
    __tablename__ = "keys_text_uuid"
    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)


class Unique(Base):
    __tablename__ = "keys_unique"
    id: Mapped[UUID] = mapped_column(primary_key=True)


def _shape(model: type[Any]) -> Shape:
    return shape_of(model)


@pytest.mark.parametrize(
    ("model", "key", "values"),
    [
        (Numbered, 3, (3,)),
        (Numbered, (3,), (3,)),
        (Card, (Suit.HEARTS, "A"), (Suit.HEARTS, "A")),
        (TextUuid, "b6", ("b6",)),
        (Numbered, None, None),
        (Card, (Suit.HEARTS, None), None),
        (Numbered, 2**63 - 1, (2**63 - 1,)),
        (Numbered, -(2**63), (-(2**63),)),
        (Numbered, 2**63, None),
        (Numbered, -(2**63) - 1, None),
    ],
)
def test_knows_the_values_of_a_key(model: type[Any], key: Any, values: Any) -> None:
    assert key_of(_shape(model), key) == values


@pytest.mark.parametrize(
    ("model", "key", "words"),
    [
        (Numbered, (1, 2), r"Numbered has the values \(id\)"),
        (Card, "A", r"Card has the values \(suit, rank\)"),
        (Card, (), r"Card"),
        (Card, (Suit.HEARTS, 1), "str, and not of int"),
        (Numbered, "1", "int, and not of str"),
        (Numbered, 1.0, "int, and not of float"),
        (Unique, str(UUID(int=7)), "UUID, and not of str"),
        (TextUuid, UUID(int=7), "str, and not of UUID"),
    ],
)
def test_names_what_is_wrong_with_a_key(model: type[Any], key: Any, words: str) -> None:
    with pytest.raises(InvalidKeyError, match=words) as caught:
        key_of(_shape(model), key)

    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("model", "limit"), [(SmallNumbered, 2**15), (Numbered, 2**31), (BigNumbered, 2**63)]
)
def test_knows_what_a_column_can_hold(model: type[Any], limit: int) -> None:
    shape = _shape(model)

    assert is_within(shape, (limit - 1,))
    assert is_within(shape, (-limit,))
    assert not is_within(shape, (limit,))
    assert not is_within(shape, (-limit - 1,))


def test_compares_with_numbers_that_the_column_cannot_hold() -> None:
    condition = has_key(_shape(Numbered), (2**40,))
    [many] = have_keys(_shape(Numbered), [(1,), (2**40,)])

    compiled = str(condition.compile(dialect=postgresql.asyncpg.dialect()))

    assert compiled == "keys_numbered.id = $1::BIGINT"
    assert "BIGINT" in str(
        many.compile(
            dialect=postgresql.asyncpg.dialect(), compile_kwargs={"render_postcompile": True}
        )
    )


def test_asks_for_each_key_once_and_for_no_more_than_a_statement_takes() -> None:
    numbered = [(number % 40_000,) for number in range(80_000)]
    cards = [(Suit.HEARTS, f"{number}") for number in range(20_000)]

    by_one = [_bound(condition) for condition in have_keys(_shape(Numbered), numbered)]
    by_two = [_bound(condition) for condition in have_keys(_shape(Card), cards)]

    assert by_one == [30_000, 10_000]
    assert by_two == [30_000, 10_000]


def _bound(condition: Any) -> int:
    options = {"render_postcompile": True}
    return len(condition.compile(dialect=sqlite.dialect(), compile_kwargs=options).params)
