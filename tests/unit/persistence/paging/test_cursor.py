from datetime import date
from typing import Any

import pytest
from sqlalchemy import func
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

from fastapi_baseline.errors import BaselineError, ConfigurationError
from fastapi_baseline.persistence.errors import InvalidCursorError
from fastapi_baseline.persistence.paging.cursor import (
    MAX_TOKEN_LENGTH,
    Cursor,
    CursorSeal,
    cursor_seal,
)
from fastapi_baseline.persistence.paging.keyset import Position
from fastapi_baseline.persistence.reading.ordering import Order, sort_keys
from fastapi_baseline.persistence.sessions.session import CURSOR_KEY
from fastapi_baseline.persistence.shape import shape_of

_KEY = b"a key of thirty-two bytes or so."
_HERE = Cursor(position=("Ångström", 4, 0.1, None, b"\x00\xff"), backwards=True)


class Model(DeclarativeBase):
    pass


class Coin(Model):
    __tablename__ = "coin"
    id: Mapped[int] = mapped_column(primary_key=True)
    year: Mapped[int]
    minted: Mapped[date | None]


def _seal(
    *order_by: Order, key: bytes = _KEY, filters: tuple[str, ...] = (), scope: str = "coin"
) -> CursorSeal:
    keys = sort_keys(order_by, shape_of(Coin))
    return cursor_seal({CURSOR_KEY: lambda: key}, keys, filters=filters, scope=scope)


@pytest.mark.parametrize(
    "cursor",
    [
        _HERE,
        Cursor(position=("",), backwards=False),
        Cursor(position=(2**63 - 1, -(2**63), float("inf"), 1e-300), backwards=False),
        Cursor(position=None, backwards=False),
    ],
)
def test_gives_back_the_cursor_that_it_was_given(cursor: Cursor) -> None:
    seal = _seal()

    assert seal.open(seal.close(cursor)) == cursor


def test_makes_the_same_token_of_the_same_cursor() -> None:
    assert _seal().close(_HERE) == _seal().close(_HERE)


def test_shows_no_value_in_the_token() -> None:
    seal = _seal()
    one = seal.close(Cursor(position=("anna.smith@example.com",), backwards=False))
    other = seal.close(Cursor(position=("anna.smith@example.org",), backwards=False))

    same = sum(a == b for a, b in zip(one, other, strict=True))

    assert same < len(one) / 4


def test_writes_tokens_that_need_no_escape_in_a_url() -> None:
    tokens = [_seal().close(Cursor(position=(n,), backwards=False)) for n in range(100)]

    assert all(token.replace("-", "a").replace("_", "a").isalnum() for token in tokens)


def test_writes_short_tokens() -> None:
    position: Position = (
        "2026-01-02 03:04:05.123456+00",
        "0198c2f1-1111-7111-8111-111111111111",
    )

    assert len(_seal().close(Cursor(position=position, backwards=False))) <= 130


def test_refuses_a_token_with_any_character_changed() -> None:
    seal = _seal()
    token = seal.close(_HERE)
    others = {
        token[:place] + character + token[place + 1 :]
        for place in range(len(token))
        for character in "AZaz09-_=+/ "
    }

    accepted = [other for other in others - {token} if _opens(seal, other)]

    assert accepted == []


@pytest.mark.parametrize(
    "token",
    [
        "",
        "A",
        "AQ",
        "====",
        "é",
        "\x00",
        "AYTaOM 5Y1T",
        "Z" * 100,
        "A" * (MAX_TOKEN_LENGTH + 1),
        "W3siYiI6MX1d",
        ">x~i:4",
    ],
)
def test_refuses_what_is_no_token(token: str) -> None:
    assert not _opens(_seal(), token)


def test_refuses_a_token_that_is_cut_or_longer() -> None:
    seal = _seal()
    token = seal.close(_HERE)
    others = [token[:end] for end in range(len(token))] + [token + "A", token + "AAAA", token * 2]

    assert not any(_opens(seal, other) for other in others)


def test_refuses_a_token_of_another_version() -> None:
    seal = _seal()
    token = seal.close(_HERE)

    assert not _opens(seal, "Ag" + token[2:])


@pytest.mark.parametrize(
    "foreign",
    [
        _seal(Coin.year, key=b"another key of as many bytes...."),
        _seal(),
        _seal(Coin.year.desc()),
        _seal(Coin.minted),
        _seal(Coin.minted.nulls_first()),
        _seal(Coin.id),
        _seal(Coin.year, Coin.id.desc()),
        _seal(func.abs(Coin.year)),
        _seal(aliased(Coin, name="coins").year),
        _seal(Coin.year, filters=("year=1",)),
        _seal(Coin.year, filters=("",)),
        _seal(Coin.year, scope="coin|acme"),
    ],
)
def test_refuses_a_token_of_another_list(foreign: CursorSeal) -> None:
    token = foreign.close(_HERE)

    assert not _opens(_seal(Coin.year), token)


def test_tells_expressions_with_other_constants_apart() -> None:
    one, other = _seal(func.mod(Coin.year, 4)), _seal(func.mod(Coin.year, 5))

    assert not _opens(one, other.close(_HERE))
    assert _opens(one, _seal(func.mod(Coin.year, 4)).close(_HERE))


def test_does_not_confuse_where_filters_and_scope_begin() -> None:
    one, other = _seal(filters=("a", "b"), scope="c"), _seal(filters=("a",), scope='b", "c')

    assert not _opens(one, other.close(_HERE))


def test_refuses_to_make_a_token_that_no_url_can_hold() -> None:
    with pytest.raises(BaselineError, match="too long for a cursor"):
        _seal().close(Cursor(position=("x" * MAX_TOKEN_LENGTH,), backwards=False))


def test_says_what_to_set_if_there_is_no_key() -> None:
    info: dict[Any, Any] = {}

    with pytest.raises(ConfigurationError, match="DATABASE__CURSOR_KEY"):
        cursor_seal(info, sort_keys((), shape_of(Coin)), filters=(), scope="")


def _opens(seal: CursorSeal, token: str) -> bool:
    try:
        seal.open(token)
    except InvalidCursorError:
        return False
    return True
