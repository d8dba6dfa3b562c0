import json
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from fastapi_baseline import DatabaseUrl, Settings
from fastapi_baseline.settings import (
    AuthSettings,
    BehaviourChange,
    DatedDefaults,
    IdempotencySettings,
)
from fastapi_baseline.settings.contract import HIDDEN
from fastapi_baseline.settings.provenance import trace

SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2"
LATER = DatedDefaults(
    oldest="2026.11",
    latest="2027.03",
    changes=(
        BehaviourChange(
            setting="requests.timeout",
            old="30",
            new="20",
            since="2027.03",
            why="Balancers give up sooner.",
        ),
    ),
)


class ShopSettings(Settings):
    service_name: str = "shop"
    database_url: DatabaseUrl | None = DatabaseUrl(f"postgresql://me:{SECRET}@db/shop")
    auth: AuthSettings = AuthSettings(resource="https://shop.example")
    billing_url: str = f"https://me:{SECRET}/@x@billing.example/v1"
    billing_token: str = SECRET
    budgets: tuple[dict[str, str], ...] = ()


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def traced(settings: Settings) -> dict[str, tuple[str | None, str]]:
    return {one.variable.name: (one.value, one.origin) for one in trace(settings)}


def test_says_of_each_setting_who_has_set_it(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / ".env").write_text("LOG__LEVEL=debug\nCACHE__EXPIRE=5\n", encoding="utf-8")
    monkeypatch.setenv("CACHE__EXPIRE", "7")
    monkeypatch.setenv("DATABASE", '{"pool_size": 3}')

    found = traced(ShopSettings(trusted_hosts=("shop.example",)))

    assert found["LOG__LEVEL"] == ("DEBUG", ".env")
    assert found["CACHE__EXPIRE"] == ("7", "environment")
    assert found["DATABASE__POOL_SIZE"] == ("3", "environment")
    assert found["SERVICE_NAME"] == ("shop", "class")
    assert found["AUTH__RESOURCE"] == ("https://shop.example", "class")
    assert found["AUTH__ISSUER"] == (None, "library")
    assert found["TRUSTED_HOSTS"] == ("shop.example", "code")
    assert found["LOG__FORMAT"] == ("json", "library")


def test_names_the_date_of_a_default_that_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Following(Settings):
        dated_defaults: ClassVar[DatedDefaults] = LATER

    monkeypatch.setenv("BASELINE_DEFAULTS", "2027.03")

    from_environment, from_code = Following(), Following(baseline_defaults="2027.03")
    monkeypatch.delenv("BASELINE_DEFAULTS")

    assert traced(Following())["REQUESTS__TIMEOUT"] == ("30", "library")
    assert traced(from_code)["REQUESTS__TIMEOUT"] == ("20", "defaults 2027.03")
    assert traced(from_code)["BASELINE_DEFAULTS"] == ("2027.03", "code")
    monkeypatch.setenv("BASELINE_DEFAULTS", "2027.03")
    assert traced(from_environment)["BASELINE_DEFAULTS"] == ("2027.03", "environment")


def test_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:{SECRET}@cache/0")
    monkeypatch.setenv("AUTH__SECRET_KEYS", f"{SECRET},{SECRET}")
    monkeypatch.setenv("MANAGEMENT__TOKEN", SECRET)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://me:{SECRET}@collector:4318")
    monkeypatch.setenv("AUTH__AUDIENCE", "shop")
    monkeypatch.setenv("AUTH__ISSUER", "https://id.example")
    issuer = {"issuer": "https://b.example", "audience": "shop", "client_secret": SECRET}
    monkeypatch.setenv("AUTH__ISSUERS", json.dumps([issuer]))
    monkeypatch.setenv("BUDGETS", json.dumps([{"url": f"https://me:{SECRET}@bank.example"}]))

    found = traced(ShopSettings())

    assert SECRET not in repr(found)
    assert found["REDIS_URL"] == (HIDDEN, "environment")
    assert found["DATABASE_URL"] == (HIDDEN, "class")
    assert found["BILLING_TOKEN"] == (HIDDEN, "class")
    assert found["BILLING_URL"] == ("https://…@billing.example/v1", "class")
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == ("http://…@collector:4318", "environment")
    assert found["AUTH__API_KEYS__HEADER"] == ("X-API-Key", "library")


def test_says_nothing_in_place_of_a_secret_that_is_not_set() -> None:
    assert traced(Settings())["MANAGEMENT__TOKEN"] == (None, "library")


def test_knows_other_places_that_a_service_reads(empty_folder: Path) -> None:
    (empty_folder / "service_name").write_text("shop", encoding="utf-8")

    class WithFolder(Settings):
        model_config = SettingsConfigDict(secrets_dir=empty_folder, env_file=("a.env", "b.env"))

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            vault = Vault(settings_cls, {"cors_origins": ("https://a.example",)})
            own = (init_settings, env_settings, dotenv_settings, file_secret_settings)
            return (*own, vault)

    (empty_folder / "b.env").write_text("LOG__LEVEL=ERROR\n", encoding="utf-8")

    found = traced(WithFolder())

    assert found["SERVICE_NAME"] == ("shop", "secrets")
    assert found["LOG__LEVEL"] == ("ERROR", "env file")
    assert found["CORS_ORIGINS"] == ("https://a.example", "Vault")


class Vault(PydanticBaseSettingsSource):
    """A place of settings that the library does not know."""

    def __init__(self, settings_class: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_class)
        self._values = values

    def get_field_value(self, field: object, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._values


def test_knows_what_was_handed_over_even_if_the_class_needs_more_than_the_environment() -> None:
    class Needy(Settings):
        region: str

    longer = IdempotencySettings(lock_timeout=timedelta(seconds=90))

    found = traced(Needy(region="eu", idempotency=longer))

    assert found["REGION"] == ("eu", "code")
    assert found["IDEMPOTENCY__LOCK_TIMEOUT"] == ("90", "code")
    assert found["IDEMPOTENCY__LIFETIME"] == ("86400", "library")
