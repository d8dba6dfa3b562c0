from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fastapi_baseline.auth.login.errors import ProviderUnavailableError
from fastapi_baseline.auth.login.tokens import ProviderTokens

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RIGHT = {"access_token": "secret-1", "token_type": "Bearer"}


def read(**changes: Any) -> ProviderTokens:
    return ProviderTokens.read({**RIGHT, **changes}, now=NOW)


def test_reads_what_a_provider_gives() -> None:
    tokens = read(expires_in=300, refresh_token="secret-2", id_token="secret-3", scope="openid")

    assert tokens == ProviderTokens(
        access_token="secret-1",
        expires_at=NOW + timedelta(minutes=5),
        refresh_token="secret-2",
        id_token="secret-3",
        scope="openid",
    )


def test_has_nothing_that_a_provider_does_not_give() -> None:
    assert read() == ProviderTokens(access_token="secret-1", expires_at=None)


def test_shows_no_secret() -> None:
    assert "secret" not in repr(read(refresh_token="secret-2", id_token="secret-3"))


@pytest.mark.parametrize(
    ("seconds", "lifetime"),
    [
        (0, timedelta(0)),
        ("300", timedelta(minutes=5)),
        (1.5, timedelta(seconds=1.5)),
        (10**30, timedelta(days=3650)),
        ("9" * 400, timedelta(days=3650)),
        (float("inf"), timedelta(days=3650)),
    ],
    ids=str,
)
def test_reads_how_long_an_access_token_lasts(seconds: Any, lifetime: timedelta) -> None:
    assert read(expires_in=seconds).expires_at == NOW + lifetime


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": None},
        {"access_token": ""},
        {"access_token": ["x"]},
        {"access_token": "a\nb"},
        {"access_token": "a" * 16_385},
        {"token_type": None},
        {"token_type": "DPoP"},
        {"token_type": 7},
        {"expires_in": -1},
        {"expires_in": True},
        {"expires_in": "soon"},
        {"expires_in": "-1"},
        {"expires_in": "²"},
        {"expires_in": float("nan")},
        {"expires_in": [1]},
        {"refresh_token": 7},
        {"id_token": {}},
        {"scope": ["openid"]},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_refuses_what_cannot_be_used(changes: dict[str, Any]) -> None:
    with pytest.raises(ProviderUnavailableError):
        read(**changes)


def test_takes_any_case_of_the_type() -> None:
    assert read(token_type="bearer").access_token == "secret-1"
