import re
from pathlib import Path
from typing import Any

import pytest

from fastapi_baseline import DatabaseUrl, Settings
from fastapi_baseline.settings.contract import find_variables, names_in_env_file
from fastapi_baseline.settings.derivation import WIDTH, derive_example, derive_schema


class ShopSettings(Settings):
    database_url: DatabaseUrl | None = DatabaseUrl("postgresql://me:hunter2@db/shop")
    greeting: str = "hello"
    """What visitors are told."""


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_has_every_setting_commented_out() -> None:
    example = derive_example(ShopSettings)

    assert names_in_env_file(example) == []
    assert set(names_in_env_file(example, with_comments=True)) == {
        one.name for one in find_variables(ShopSettings)
    }
    assert "# What visitors are told\n# GREETING=hello\n" in example


def test_the_example_changes_nothing_when_all_of_it_is_taken(empty_folder: Path) -> None:
    before = Settings.load()
    lines = derive_example(Settings).splitlines()
    taken = [line.removeprefix("# ") for line in lines if names_in_env_file(line.lstrip("# "))]

    (empty_folder / ".env").write_text("\n".join(taken), encoding="utf-8")

    assert len(taken) > 100
    assert Settings.load() == before


def test_the_example_has_no_secret_and_no_long_line() -> None:
    example = derive_example(ShopSettings)

    assert "hunter2" not in example
    comments = [line for line in example.splitlines() if not names_in_env_file(line.lstrip("# "))]
    assert [line for line in comments if len(line) > WIDTH] == []


def definitions(kind: type[Settings]) -> dict[str, Any]:
    return derive_schema(kind)["definitions"]


@pytest.mark.parametrize("name", ["LOG__LEVL", "AUTH__TOKEN__TIMEOUT", "CACHE__"])
def test_the_schema_refuses_a_name_in_a_section_that_has_no_such_setting(name: str) -> None:
    known, others = definitions(Settings)["setting"]["anyOf"]

    assert name not in known["enum"]
    assert re.search(others["not"]["pattern"], name)


@pytest.mark.parametrize("name", ["GREETING", "TZ", "LOGGING__LEVEL", "DATABASE_URL_OF_OTHERS"])
def test_the_schema_lets_names_through_that_are_no_settings(name: str) -> None:
    _, others = definitions(Settings)["setting"]["anyOf"]

    assert not re.search(others["not"]["pattern"], name)


def test_the_schema_refuses_secrets_among_settings_and_knows_them_by_name() -> None:
    schema = definitions(Settings)
    known, _ = schema["setting"]["anyOf"]
    _, secrets = schema["settings"]["propertyNames"]["allOf"]

    assert {"DATABASE_URL", "MANAGEMENT__TOKEN"} <= set(secrets["not"]["enum"])
    assert set(secrets["not"]["enum"]) <= set(known["enum"])


def test_the_schema_knows_choices_in_all_the_ways_in_which_they_are_read() -> None:
    properties = definitions(Settings)["settings"]["properties"]

    assert {"INFO", "info"} <= set(properties["LOG__LEVEL"]["enum"])
    assert properties["LOG__FORMAT"]["enum"] == ["json", "console"]
    assert properties["METRICS__ENABLED"]["enum"] == [True, False, "true", "false"]


def test_the_schema_knows_the_settings_of_a_service() -> None:
    class Own(Settings):
        api_token: str = ""

    _, secrets = definitions(Own)["settings"]["propertyNames"]["allOf"]

    assert "API_TOKEN" in secrets["not"]["enum"]
