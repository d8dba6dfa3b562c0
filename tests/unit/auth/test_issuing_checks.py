from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from fastapi_baseline import Settings
from fastapi_baseline.auth.deployment_checks import AUTH_CHECKS
from fastapi_baseline.auth.issuing_checks import ISSUING_CHECKS, LOGIN_FINDINGS, SERVER_FINDINGS
from fastapi_baseline.deployment_checks import Deployment
from fastapi_baseline.settings import AuthSettings
from fastapi_baseline.settings.auth import (
    AuthorizationServerSettings,
    LoginProviderSettings,
    LoginSettings,
)

KEY = SecretStr("kf83h1ld0c7vb2ng6mz5xq9wrt4yepauj")
SAFE: Mapping[str, Any] = {"public_url": "https://shop.example.com", "secret_keys": (KEY,)}
PROVIDER: Mapping[str, Any] = {
    "issuer": "https://id.example.com",
    "client_id": "shop",
    "client_secret": SecretStr("wrt4yepaujkf83h1ld0c7vb2ng6mz5xq9"),
}


def found_in(**auth: Any) -> list[str]:
    settings = Settings(environment="production", auth=AuthSettings(**{**SAFE, **auth}))
    deployment = Deployment(app=None, settings=settings)
    return [finding.id for check in ISSUING_CHECKS for finding in check(deployment)]


def login_with(**changes: Any) -> LoginSettings:
    return LoginSettings(providers=(LoginProviderSettings(**{**PROVIDER, **changes}),))


def server_with(**changes: Any) -> AuthorizationServerSettings:
    return AuthorizationServerSettings(enabled=True, **changes)


def test_they_are_among_the_checks_of_who_may_use_a_service() -> None:
    assert set(ISSUING_CHECKS) <= set(AUTH_CHECKS)


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert found_in(login=login_with(), server=server_with()) == []


def test_nothing_is_asked_of_who_does_neither() -> None:
    assert found_in(public_url=None, secret_keys=()) == []


@pytest.mark.parametrize("part", ["login", "server"])
@pytest.mark.parametrize("url", [None, "http://shop.example.com", "shop.example.com"])
def test_finds_that_people_could_come_back_to_somebody_else(part: str, url: str | None) -> None:
    used: Any = {"login": login_with()} if part == "login" else {"server": server_with()}

    assert found_in(public_url=url, **used) == ["public_url_not_https"]


@pytest.mark.parametrize("part", ["login", "server"])
def test_finds_that_nothing_can_be_encrypted(part: str) -> None:
    used: Any = {"login": login_with()} if part == "login" else {"server": server_with()}

    assert found_in(secret_keys=(), **used) == ["secret_keys_missing"]


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"issuer": "http://id.example.com"}, "provider_not_https"),
        ({"algorithms": ("RS256", "none")}, "algorithm_not_asymmetric"),
        ({"algorithms": ("HS256",)}, "algorithm_not_asymmetric"),
        ({"client_secret": SecretStr("changeme")}, "weak_secret"),
    ],
)
def test_finds_each_unsafe_setting_of_a_provider(changes: dict[str, Any], finding: str) -> None:
    assert found_in(login=login_with(**changes)) == [finding]


def test_a_secret_that_a_provider_has_chosen_may_be_short() -> None:
    assert found_in(login=login_with(client_secret=SecretStr("xk2-9q"))) == []
    assert found_in(login=login_with(client_secret=None, private_key=KEY)) == []


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"issuer": "http://shop.example.com"}, "public_url_not_https"),
        ({"key_notice": timedelta(minutes=9)}, "key_notice_too_short"),
        ({"refresh_absolute_lifetime": timedelta(days=366)}, "grants_too_long"),
    ],
)
def test_finds_each_unsafe_setting_of_the_server(changes: dict[str, Any], finding: str) -> None:
    assert found_in(server=server_with(**changes)) == [finding]


def test_a_server_that_issues_nothing_is_not_looked_at() -> None:
    settings = AuthorizationServerSettings(key_notice=timedelta(seconds=1), issuer="http://x")

    assert found_in(server=settings) == []


def test_what_a_service_does_not_start_with_is_found_by_these_names() -> None:
    assert SERVER_FINDINGS < LOGIN_FINDINGS
    assert found_in(public_url=None, secret_keys=(), server=server_with()) == sorted(
        SERVER_FINDINGS
    )
