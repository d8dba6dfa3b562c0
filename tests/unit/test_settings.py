from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from fastapi_baseline import ConfigurationError, DatabaseUrl, Settings
from fastapi_baseline.settings import IdempotencySettings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class OrderSettings(Settings):
    database_url: DatabaseUrl | None = DatabaseUrl("sqlite:///orders.db")


def test_needs_nothing() -> None:
    settings = Settings()

    assert settings.environment == "development"
    assert settings.database_url is None


def test_switches_a_limit_off_by_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS__TIMEOUT", "none")
    monkeypatch.setenv("REQUESTS__MAX_IN_FLIGHT", "none")

    requests = Settings().requests

    assert requests.timeout is None
    assert requests.max_in_flight is None


def test_refuses_a_lock_that_a_running_request_outlives() -> None:
    short = IdempotencySettings(lock_timeout=timedelta(seconds=30))

    with pytest.raises(ConfigurationError, match="IDEMPOTENCY__LOCK_TIMEOUT must be longer"):
        Settings(idempotency=short).check()


def test_reads_plain_and_nested_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hunter2@db/orders")
    monkeypatch.setenv("DATABASE__POOL_SIZE", "20")
    monkeypatch.setenv("DATABASE__LOCK_TIMEOUT", "1.5")
    monkeypatch.setenv("LOG__LEVEL", "debug")

    settings = Settings()

    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://me:hunter2@db/orders"
    assert settings.database.pool_size == 20
    assert settings.database.lock_timeout == timedelta(seconds=1.5)
    assert settings.log.level == "DEBUG"


def test_reads_the_env_file_below_the_environment(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / ".env").write_text("SERVICE_NAME=from-file\nENVIRONMENT=staging\n")
    monkeypatch.setenv("ENVIRONMENT", "test")

    settings = Settings()

    assert (settings.service_name, settings.environment) == ("from-file", "test")


@pytest.mark.parametrize(
    "value", ["https://a.example, https://b.example", '["https://a.example","https://b.example"]']
)
def test_reads_origins_with_commas_or_as_json(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", value)

    assert Settings().cors_origins == ("https://a.example", "https://b.example")


def test_reads_a_list_in_a_section_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS__ALLOW_METHODS", "GET,POST")

    assert Settings().cors.allow_methods == ("GET", "POST")


def test_names_a_section_that_is_not_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE", "hunter2")

    with pytest.raises(ConfigurationError, match="database") as caught:
        Settings.load()

    assert "hunter2" not in caught.value.message


def test_takes_an_empty_variable_for_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("CORS_ORIGINS", "")

    settings = Settings()

    assert settings.database_url is None
    assert settings.cors_origins == ()


def test_cannot_be_changed() -> None:
    settings = Settings()

    with pytest.raises(ValidationError):
        settings.environment = "production"


def test_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hunter2@db/orders")

    assert "hunter2" not in repr(Settings())


def test_names_the_variable_that_is_wrong_and_not_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE__POOL_SIZE", "hunter2")
    monkeypatch.setenv("ENVIRONMENT", "prod")

    with pytest.raises(ConfigurationError) as caught:
        Settings.load()

    assert "DATABASE__POOL_SIZE" in caught.value.message
    assert "ENVIRONMENT" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_names_a_list_that_is_not_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "[nonsense")

    with pytest.raises(ConfigurationError, match="CORS_ORIGINS"):
        Settings.load()


def test_loads_what_is_right() -> None:
    assert OrderSettings.load() == OrderSettings()


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_refuses_the_default_database_where_people_depend_on_it(environment: str) -> None:
    settings = OrderSettings.model_validate({"environment": environment})

    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        settings.check()


def test_allows_any_database_that_was_chosen() -> None:
    OrderSettings(
        environment="production", database_url=DatabaseUrl("sqlite:////data/orders.db")
    ).check()


def test_allows_the_default_database_in_development() -> None:
    OrderSettings().check()


def test_refuses_credentials_for_every_origin() -> None:
    settings = Settings.model_validate({"cors_origins": ["*"], "cors": {"allow_credentials": True}})

    with pytest.raises(ConfigurationError, match="CORS_ORIGINS"):
        settings.check()


@pytest.mark.parametrize(
    ("environment", "details", "shown"),
    [
        ("development", None, True),
        ("production", None, False),
        ("production", True, True),
        ("development", False, False),
    ],
)
def test_shows_health_details_in_development_unless_told(
    environment: str, details: bool | None, shown: bool
) -> None:
    settings = Settings.model_validate({"environment": environment, "health": {"details": details}})

    assert settings.shows_health_details is shown
