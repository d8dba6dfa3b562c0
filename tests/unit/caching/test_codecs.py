from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from fastapi_baseline.caching.codecs import NOTHING, codec_of
from fastapi_baseline.caching.errors import UncacheableValueError


class Colour(Enum):
    RED = "red"


class Item(BaseModel):
    number: int = Field(alias="itemNumber")
    made: date
    colour: Colour = Colour.RED


class Point(msgspec.Struct):
    x: int


@dataclass
class Plain:
    amount: Decimal


class Unknown:
    pass


def again(value: Any, type_: Any) -> Any:
    codec = codec_of(type_)
    return codec.read(codec.encode(value), schema=codec.schema)


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (Item(itemNumber=1, made=date(2026, 1, 2)), Item),
        ([Item(itemNumber=1, made=date(2026, 1, 2))], list[Item]),
        (Plain(Decimal("1.10")), Plain),
        (Point(x=1), Point),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), datetime),
        (datetime(2026, 1, 2, 3), datetime),  # noqa: DTZ001 -- it has to stay naive
        (date(2026, 1, 2), date),
        ((1, "a"), tuple[int, str]),
        ({1, 2}, set[int]),
        (UUID(int=1), UUID),
        ({1: "a"}, dict[int, str]),
        (None, Item | None),
        ("a", Annotated[str, Field(max_length=3)]),
    ],
    ids=repr,
)
def test_a_typed_value_comes_back_as_the_same(value: Any, type_: Any) -> None:
    back = again(value, type_)

    assert back == value
    assert type(back) is type(value)


_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@given(_PLAIN)
def test_a_plain_value_comes_back_as_the_same(value: Any) -> None:
    assert again(value, None) == value


@pytest.mark.parametrize(
    "value",
    [
        (1,),
        {1},
        date(2026, 1, 2),
        UUID(int=1),
        {1: "a"},
        [{"a": (1,)}],
        Point(x=1),
        Item(itemNumber=1, made=date(2026, 1, 2)),
        2**70,
        "\ud800",
        Unknown(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_without_a_type_refuses_what_would_come_back_as_something_else(value: Any) -> None:
    with pytest.raises(UncacheableValueError):
        again(value, None)


def test_refuses_a_value_of_another_type() -> None:
    with pytest.raises(UncacheableValueError):
        codec_of(list[int]).encode(Unknown())
    with pytest.raises(UncacheableValueError):
        codec_of(Point).encode({"x": 1})


def test_refuses_a_type_that_nobody_knows() -> None:
    with pytest.raises(UncacheableValueError):
        codec_of(Unknown)


def version(field: type) -> Callable[[], type]:
    return lambda: type("Version", (BaseModel,), {"__annotations__": {"field": field}})


def test_what_was_written_for_a_type_of_another_form_is_nothing() -> None:
    old, new = codec_of(version(int)()), codec_of(version(str)())

    assert old.schema != new.schema
    assert new.read(old.encode(version(int)()(field=1)), schema=old.schema) is NOTHING


def test_what_cannot_be_read_is_nothing() -> None:
    for type_ in (None, int, Point):
        codec = codec_of(type_)
        assert codec.read(b"\xc1", schema=codec.schema) is NOTHING
