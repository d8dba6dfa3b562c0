import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

import fastapi_baseline
from fastapi_baseline import Settings, create_app
from fastapi_baseline.access import public
from fastapi_baseline.app.checks import find_faults
from fastapi_baseline.auth.users import UserRecord
from fastapi_baseline.auth.users.routes import make_users_router
from fastapi_baseline.deployment_checks import Deployment, add_deployment_checks
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.inspection import Finding, Inspection, Refusal, inspecting
from fastapi_baseline.persistence import Base, UUIDPrimaryKey
from fastapi_baseline.settings import (
    AuthSettings,
    CacheSettings,
    CorsSettings,
    DatabaseSettings,
    HealthSettings,
    IdempotencySettings,
    IssuerSettings,
    LogSettings,
    MailSettings,
    ManagementSettings,
    RateLimitSettings,
    RequestSettings,
    SecurityHeadersSettings,
    SessionSettings,
    UserSettings,
)


class Shopper(Base, UUIDPrimaryKey, UserRecord):
    __tablename__ = "checked_shopper"


KEY = SecretStr("kf83h1ld0c7vb2ng6mz5xq9wrt4yepauj")
OTHER_KEY = SecretStr("0pq7wbn3zd8xk1mh5tcv9rfy2gla6sju4")
ISSUER: dict[str, Any] = {
    "issuer": "https://id.example.com",
    "audience": ("https://api.example.com",),
}
SOURCES = Path(fastapi_baseline.__file__).parent
PAGE = Path(__file__).parents[2] / "docs/reference/checks.md"


def settings_with(**changes: Any) -> Settings:
    """Return settings of a deployment in which nothing is wrong, but for what is changed."""
    safe: dict[str, Any] = {"environment": "production", "auth": AuthSettings(**ISSUER)}
    return Settings(**safe | changes)


def inspect(settings: Settings, **options: Any) -> Inspection:
    """Make an application as a service does, with one route that is for everybody."""
    given: dict[str, Any] = {"openapi_url": None, **options}
    with inspecting() as inspection:
        try:
            app = create_app(settings, configure_logging=False, package=None, **given)
        except ConfigurationError as error:
            inspection.refusals.append(Refusal(error))
            return inspection

        @app.get("/prices")
        @public
        async def list_prices() -> list[int]:
            return []

    return inspection


def found_in(settings: Settings, **options: Any) -> list[str]:
    return [finding.id for finding in find_faults(inspect(settings, **options), is_deployment=True)]


def with_users(settings: Settings) -> list[str]:
    inspection = inspect(settings)
    assert isinstance(inspection.app, FastAPI)
    inspection.app.include_router(make_users_router(Shopper))
    return [finding.id for finding in find_faults(inspection, is_deployment=True)]


SAFE_USERS: dict[str, Any] = {
    "database_url": SecretStr("postgresql:///shop"),
    "trusted_proxies": ("10.0.0.0/8",),
    "mail": MailSettings(
        smtp_url=SecretStr("smtps://mailer:x@mail.example.com"), sender="shop@example.com"
    ),
}


def make_auth(**changes: Any) -> AuthSettings:
    return AuthSettings(**ISSUER | changes)


def auth_with_users(**users: Any) -> AuthSettings:
    page: dict[str, Any] = {"page_url": "https://shop.example.com"}
    return AuthSettings(
        **ISSUER,
        secret_keys=(KEY,),
        sessions=SessionSettings(enabled=True),
        users=UserSettings(**page | users),
    )


def test_finds_nothing_where_nothing_is_wrong() -> None:
    assert found_in(settings_with()) == []


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"environment": "development"}, "environment_not_deployed"),
        ({"log": LogSettings(level="DEBUG")}, "debug_log"),
        ({"database": DatabaseSettings(echo=True)}, "statements_logged"),
        ({"cache": CacheSettings(debug_keys=True)}, "cache_keys_shown"),
        ({"trusted_proxies": ("0.0.0.0/0",)}, "trusted_proxies_everyone"),
        ({"trusted_proxies": ("::/0",)}, "trusted_proxies_everyone"),
        (
            {"rate_limits": RateLimitSettings(per_address=("100/minute",))},
            "trusted_proxies_missing",
        ),
        (
            {"management": ManagementSettings(port=9100, host="0.0.0.0")},  # noqa: S104 -- unsafe
            "management_open",
        ),
        ({"health": HealthSettings(details=True)}, "health_details_open"),
        ({"security_headers": SecurityHeadersSettings(enabled=False)}, "security_headers_off"),
        ({"security_headers": SecurityHeadersSettings(hsts_max_age=timedelta(0))}, "hsts_off"),
        ({"requests": RequestSettings(max_body_size=None)}, "bodies_unlimited"),
        ({"management": ManagementSettings(token=SecretStr("x" * 40))}, "weak_secret"),
        ({"database": DatabaseSettings(cursor_key=SecretStr("changeme" * 4))}, "weak_secret"),
        (
            {
                "idempotency": IdempotencySettings(lock_timeout=timedelta(seconds=1)),
            },
            "idempotency_lock_too_short",
        ),
        (
            {"cors_origins": ("*",), "cors": CorsSettings(allow_credentials=True)},
            "cors_any_origin_with_credentials",
        ),
        (
            {"cors_origins": ("null",), "cors": CorsSettings(allow_credentials=True)},
            "cors_any_origin_with_credentials",
        ),
        (
            {"cors_origins": ("http://shop.test",), "cors": CorsSettings(allow_credentials=True)},
            "cors_origin_not_https",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_finds_each_unsafe_setting_alone(changes: dict[str, Any], finding: str) -> None:
    assert found_in(settings_with(**changes)) == [finding]


@pytest.mark.parametrize(
    ("auth", "finding"),
    [
        ({"issuer": "http://id.example.com"}, "issuer_not_https"),
        ({"issuer": "development"}, "development_issuer"),
        ({"jwks_url": "http://id.example.com/keys"}, "issuer_not_https"),
        ({"resource": "http://api.example.com"}, "resource_not_https"),
        ({"audience": ("account",)}, "audience_shared"),
        ({"audience": ("*",)}, "audience_shared"),
        ({"algorithms": ("RS256", "HS256")}, "algorithm_not_asymmetric"),
        ({"algorithms": ("none",)}, "algorithm_not_asymmetric"),
        ({"secret_keys": (SecretStr("short"),)}, "weak_secret"),
        ({"secret_keys": (KEY, KEY)}, None),
        ({"sessions": SessionSettings(enabled=True)}, "sessions_in_memory"),
        (
            {
                "issuers": (IssuerSettings(issuer="https://b.example.com", audience=()),),
            },
            "audience_missing",
        ),
        (
            {
                "issuers": (
                    IssuerSettings(
                        issuer="https://b.example.com",
                        audience=("https://api.example.com",),
                        introspection_url="http://b.example.com/introspect",
                    ),
                )
            },
            "issuer_not_https",
        ),
        (
            {
                "issuers": (
                    IssuerSettings(
                        issuer="https://b.example.com",
                        audience=("https://api.example.com",),
                        client_secret=SecretStr("changeme"),
                    ),
                )
            },
            "weak_secret",
        ),
    ],
)
def test_finds_each_unsafe_setting_of_auth(auth: dict[str, Any], finding: str | None) -> None:
    settings = settings_with(auth=AuthSettings(**ISSUER | auth))

    # Some of it is refused, too: what follows is what is known of the settings alone.
    found = find_faults(Inspection(settings=settings), is_deployment=True)

    assert [item.id for item in found] == ([finding] if finding else [])


@pytest.mark.parametrize(
    ("sessions", "found"),
    [
        ({}, []),
        ({"store": "memory"}, ["sessions_in_memory"]),
        ({"idle_timeout": timedelta(days=30), "absolute_timeout": timedelta(days=30)}, []),
        ({"absolute_timeout": timedelta(days=30, seconds=1)}, ["sessions_too_long"]),
        ({"trusted_origins": ("https://shop.example.com",)}, []),
        ({"trusted_origins": ("http://shop.test",)}, ["session_origin_untrustworthy"]),
        ({"trusted_origins": ("https://*.example.com",)}, ["session_origin_untrustworthy"]),
        ({"trusted_origins": ("null",)}, ["session_origin_untrustworthy"]),
    ],
)
def test_finds_unsafe_sessions(sessions: dict[str, Any], found: list[str]) -> None:
    settings = settings_with(
        auth=AuthSettings(**ISSUER, sessions=SessionSettings(enabled=True, **sessions)),
        redis_url=SecretStr("redis://127.0.0.1/0"),
    )

    faults = find_faults(Inspection(settings=settings), is_deployment=True)

    assert [item.id for item in faults] == found


def test_finds_nothing_where_users_are_safe() -> None:
    assert with_users(settings_with(**SAFE_USERS, auth=auth_with_users())) == []


@pytest.mark.parametrize(
    ("users", "finding"),
    [
        ({"sign_ins_per_address": ()}, "sign_ins_unlimited"),
        ({"sign_ins_per_account": ()}, "sign_ins_unlimited"),
        ({"mails_per_account": ()}, "mails_unlimited"),
        ({"password_min_length": 14}, "passwords_too_short"),
        ({"page_url": None}, "page_url_not_https"),
        ({"page_url": "http://shop.example.com"}, "page_url_not_https"),
    ],
)
def test_finds_each_unsafe_setting_of_users(users: dict[str, Any], finding: str) -> None:
    assert with_users(settings_with(**SAFE_USERS, auth=auth_with_users(**users))) == [finding]


def test_finds_that_nobody_can_be_written_to() -> None:
    unsent = settings_with(**SAFE_USERS | {"mail": MailSettings()}, auth=auth_with_users())
    unanswered = MailSettings(smtp_url=SecretStr("smtps://mail.example.com"))
    unknown = settings_with(**SAFE_USERS | {"mail": unanswered}, auth=auth_with_users())

    assert with_users(unsent) == ["smtp_missing"]
    assert with_users(unknown) == ["mail_sender_default"]


def test_finds_that_addresses_of_users_who_sign_in_are_those_of_a_proxy() -> None:
    settings = settings_with(**SAFE_USERS | {"trusted_proxies": ()}, auth=auth_with_users())

    assert with_users(settings) == ["trusted_proxies_missing"]


def test_finds_that_second_factors_cannot_be_encrypted() -> None:
    auth = auth_with_users().model_copy(update={"secret_keys": ()})

    assert with_users(settings_with(**SAFE_USERS, auth=auth)) == ["secret_keys_missing"]


def test_finds_that_users_cannot_sign_in() -> None:
    auth = auth_with_users().model_copy(update={"sessions": SessionSettings()})
    no_database = SAFE_USERS | {"database_url": None, "redis_url": SecretStr("redis://127.0.0.1/0")}

    assert with_users(settings_with(**SAFE_USERS, auth=auth)) == ["users_without_sessions"]
    assert with_users(settings_with(**no_database, auth=auth_with_users())) == [
        "users_without_sessions"
    ]


def test_finds_one_secret_in_two_places() -> None:
    settings = settings_with(
        auth=AuthSettings(**ISSUER, secret_keys=(KEY, OTHER_KEY)),
        management=ManagementSettings(token=OTHER_KEY),
    )

    (finding,) = find_faults(Inspection(settings=settings), is_deployment=True)

    assert finding.id == "secret_reused"
    assert "MANAGEMENT__TOKEN is the same as AUTH__SECRET_KEYS" in finding.what


@pytest.mark.parametrize(
    ("url", "is_default"),
    [
        ("postgresql://shop:postgres@db/shop", True),
        ("postgresql://shop:shop@db/shop", True),
        ("postgresql://shop:changeme123@db/shop", True),
        ("postgresql://shop:short@db/shop", True),
        ("postgresql://shop:Zq7%2Bw0pLx2m@db/shop", False),
        ("postgresql:///shop?host=/var/run/postgresql", False),
        ("postgresql://shop@db/shop", False),
        ("postgresql://shop:postgres@[::1/shop", False),
    ],
)
def test_knows_passwords_that_everybody_tries_first(url: str, *, is_default: bool) -> None:
    settings = settings_with(database_url=SecretStr(url))

    found = find_faults(Inspection(settings=settings), is_deployment=True)

    assert [item.id for item in found] == (["default_password"] if is_default else [])


def test_no_finding_repeats_a_secret() -> None:
    secret = "changeme-and-more-characters-than-32"
    settings = settings_with(
        database_url=SecretStr(f"postgresql://shop:{secret}@db/shop"),
        redis_url=SecretStr(f"redis://:{secret}@cache/0"),
        database=DatabaseSettings(cursor_key=SecretStr(secret)),
        management=ManagementSettings(token=SecretStr(secret)),
        auth=AuthSettings(
            secret_keys=(SecretStr(secret),),
            issuers=(IssuerSettings(**ISSUER, client_secret=SecretStr(secret)),),
        ),
    )

    found = find_faults(Inspection(settings=settings), is_deployment=True)

    assert len(found) == 8
    assert secret not in repr(found)


def test_finds_what_the_application_itself_shows() -> None:
    assert found_in(settings_with(), debug=True) == ["debug_mode"]
    assert found_in(settings_with(), openapi_url="/openapi.json") == ["documentation_open"]


def test_finds_each_route_that_nobody_has_decided_about() -> None:
    inspection = inspect(settings_with())
    app = inspection.app
    assert isinstance(app, FastAPI)

    @app.get("/orders")
    async def list_orders() -> list[int]:
        return []

    @app.post("/orders")
    async def add_order() -> None:
        return None

    found = find_faults(inspection, is_deployment=False)

    assert [item.id for item in found] == ["undecided_route"] * 2
    assert ["/orders" in item.what for item in found] == [True, True]
    assert not any(item.can_be_accepted for item in found)


def test_finds_once_that_nobody_is_asked_who_they_are() -> None:
    inspection = inspect(settings_with(auth=AuthSettings()))
    app = inspection.app
    assert isinstance(app, FastAPI)
    before = find_faults(inspection, is_deployment=True)

    @app.get("/orders")
    async def list_orders() -> list[int]:
        return []

    assert before == []
    (finding,) = find_faults(inspection, is_deployment=True)
    assert finding.id == "no_authentication"
    assert find_faults(inspection, is_deployment=False) == []


@pytest.mark.parametrize(
    ("auth", "finding"),
    [
        (make_auth(issuer="development"), "development_issuer"),
        (make_auth(issuer="http://id.example.com"), "issuer_not_https"),
        (make_auth(algorithms=("HS256",)), "algorithm_not_asymmetric"),
        (
            AuthSettings(issuers=(IssuerSettings(issuer="https://a.example.com", audience=()),)),
            "audience_missing",
        ),
    ],
)
def test_shows_once_what_the_service_does_not_start_with_either(
    auth: AuthSettings, finding: str
) -> None:
    settings = settings_with(auth=auth)

    with pytest.raises(ConfigurationError):
        create_app(settings, configure_logging=False, package=None)
    assert found_in(settings) == [finding]


def test_finds_what_the_service_does_not_start_with_and_goes_on() -> None:
    settings = settings_with(trusted_proxies=("nowhere",), log=LogSettings(level="DEBUG"))

    first, second = find_faults(inspect(settings), is_deployment=True)

    assert (first.id, second.id) == ("start_refused", "debug_log")
    assert "nowhere" in first.what
    assert not first.can_be_accepted


def test_finds_the_refusal_of_a_service_whose_settings_are_not_known() -> None:
    inspection = Inspection(refusals=[Refusal(ConfigurationError("SHOP_KEY is missing."))])

    (finding,) = find_faults(inspection, is_deployment=True)

    assert (finding.id, finding.what) == ("start_refused", "SHOP_KEY is missing.")


def test_finds_what_a_service_has_added() -> None:
    def check_name(deployment: Deployment) -> Iterator[Finding]:
        if deployment.settings.service_name == "service":
            yield Finding(id="no_name", what="It has no name.", remedy="Set SERVICE_NAME.")

    inspection = inspect(settings_with())
    assert isinstance(inspection.app, FastAPI)
    add_deployment_checks(inspection.app, check_name)

    assert [item.id for item in find_faults(inspection, is_deployment=True)] == ["no_name"]
    assert find_faults(inspection, is_deployment=False) == []


def test_every_finding_is_documented() -> None:
    documented = re.findall(r"^\| `([a-z_]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(documented) == sorted(ids_in_sources())


def ids_in_sources() -> set[str]:
    found: set[str] = set()
    for path in SOURCES.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "Finding(" in text:
            found |= {
                constant.value
                for call in ast.walk(ast.parse(text))
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "Finding"
                for keyword in call.keywords
                if keyword.arg == "id"
                for constant in ast.walk(keyword.value)
                if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
            }
    return found
