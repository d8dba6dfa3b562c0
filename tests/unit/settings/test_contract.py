from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from fastapi_baseline import Settings
from fastapi_baseline.settings import IssuerSettings, Section
from fastapi_baseline.settings.contract import (
    HIDDEN,
    READ_ELSEWHERE,
    Variable,
    find_sections,
    find_unread,
    find_variables,
    names_in_env_file,
    nested_names_in,
    text_of,
)


class Shop(Section):
    open_days: tuple[str, ...] = ("mon", "tue")
    """When it is open."""
    rates: dict[str, float] = Field(default_factory=dict[str, float])
    password: str | None = None


class ShopSettings(Settings):
    service_name: str = "shop"
    shop: Shop = Shop()
    """What the shop does."""
    colour: Literal["red", "blue"] = "red"
    region: str = Field(validation_alias="CLOUD_REGION")


def variable(name: str, kind: type[BaseModel] = ShopSettings) -> Variable:
    return next(one for one in find_variables(kind) if one.name == name)


def test_says_of_a_setting_all_that_there_is_to_say() -> None:
    assert variable("LOG__FORMAT", Settings) == Variable(
        name="LOG__FORMAT",
        path=("log", "format"),
        description="`json` for machines, `console` for people.",
        kind="json, console",
        choices=("json", "console"),
        default="json",
        is_required=False,
        is_secret=False,
    )


def test_names_every_setting_once_and_those_of_a_section_together() -> None:
    variables = list(find_variables(Settings))
    sections = [one.section for one in variables]

    assert len({one.name for one in variables}) == len(variables) > 100
    assert len(set(sections)) == sum(
        before != after for before, after in zip([None, *sections], sections, strict=False)
    )


def test_every_setting_and_every_section_of_the_library_is_described() -> None:
    assert [one.name for one in find_variables(Settings) if not one.description] == []
    assert [name for name, about in find_sections(Settings).items() if not about] == []


def test_settings_of_a_service_are_among_them() -> None:
    assert variable("SHOP__OPEN_DAYS").default == "mon,tue"
    assert variable("COLOUR").choices == ("red", "blue")
    assert variable("CLOUD_REGION").is_required
    assert find_sections(ShopSettings)["SHOP__"] == "What the shop does."


def test_a_new_default_keeps_what_the_setting_said_of_itself() -> None:
    ours, theirs = variable("SERVICE_NAME"), variable("SERVICE_NAME", Settings)

    assert (ours.default, theirs.default) == ("shop", "service")
    assert ours.description == theirs.description


def test_names_begin_with_the_prefix_that_a_service_has_chosen() -> None:
    class Prefixed(Settings):
        model_config = SettingsConfigDict(env_prefix="shop_")

    assert variable("SHOP_LOG__LEVEL", Prefixed).path == ("log", "level")


def test_knows_secrets_by_their_types_and_texts_by_their_names() -> None:
    secrets = {one.name for one in find_variables(ShopSettings) if one.is_secret}

    assert secrets == {
        "AUTH__LOGIN__CLIENT_SECRET",
        "AUTH__LOGIN__PRIVATE_KEY",
        "AUTH__SECRET_KEYS",
        "DATABASE_URL",
        "DATABASE__CURSOR_KEY",
        "DATABASE__REPLICA_URL",
        "MAIL__SMTP_URL",
        "MANAGEMENT__TOKEN",
        "REDIS_URL",
        "SHOP__PASSWORD",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ((), None),
        ({}, None),
        (True, "true"),
        (7, "7"),
        (timedelta(milliseconds=50), "0.05"),
        (timedelta(days=1), "86400"),
        (datetime(2026, 11, 1, tzinfo=UTC), "2026-11-01T00:00:00+00:00"),
        (Path("a/b"), "a/b"),
        (("a", "b"), "a,b"),
        (("a,b",), '["a,b"]'),
        ({"a": timedelta(seconds=2)}, '{"a": "2"}'),
        (SecretStr("hunter2"), HIDDEN),
        ((SecretStr("hunter2"),), f'["{HIDDEN}"]'),
    ],
    ids=repr,
)
def test_writes_a_value_as_the_environment_has_it(value: object, text: str | None) -> None:
    assert text_of(value) == text


def test_writes_sections_without_their_secrets() -> None:
    issuer = IssuerSettings(
        issuer="https://id.example", audience=("a",), client_secret=SecretStr("hunter2")
    )

    text = text_of((issuer, Shop(password="hunter2")))

    assert text is not None
    assert "https://id.example" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "name",
    [
        "LOG__LEVEL",
        "log__level",
        "LOG",
        "SHOP__RATES__EUR",
        "CLOUD_REGION",
        "PORT",
        "AUTH__SERVER__SCOPE_DESCRIPTIONS__items",
    ],
)
def test_finds_nothing_wrong_with_what_is_read(name: str) -> None:
    assert find_unread([name], ShopSettings) == []


@pytest.mark.parametrize(
    ("name", "closest", "is_meant"),
    [
        ("LOG__LEVL", "LOG__LEVEL", True),
        ("DATABSE_URL", "DATABASE_URL", True),
        ("CACHE__SOMETHING_THAT_IS_GONE", None, True),
        ("GREETING", None, False),
    ],
)
def test_finds_what_is_not_read_and_what_it_may_have_meant(
    name: str, closest: str | None, is_meant: bool
) -> None:
    (unread,) = find_unread([name], ShopSettings)

    assert (unread.name, unread.closest, unread.is_meant) == (name, closest, is_meant)


def test_names_each_of_them_once_in_order() -> None:
    names = ["B_THING", "LOG__LEVEL", "A_THING", "B_THING"]

    assert [one.name for one in find_unread(names, Settings)] == ["B_THING", "A_THING"]


def test_what_is_read_elsewhere_is_no_setting() -> None:
    names = {one.name for one in find_variables(Settings)}

    assert not names & READ_ELSEWHERE.keys()


def test_reads_the_names_in_an_env_file() -> None:
    text = "# Where = it is\nA=1\nexport B = 2\n#C=3\n# D__E=\nf=4\n\nnothing\n"

    assert names_in_env_file(text) == ["A", "B", "f"]
    assert names_in_env_file(text, with_comments=True) == ["A", "B", "C", "D__E", "f"]


def test_finds_names_of_nested_settings_in_any_text() -> None:
    text = (
        "Set `LOG__LEVEL`, AUTH__LOGIN__CLIENT_ID=x and LOG__LEVEL; not __INIT__ nor A_B nor __X."
    )

    assert nested_names_in(text) == ["LOG__LEVEL", "AUTH__LOGIN__CLIENT_ID"]


def test_a_default_is_what_the_class_of_the_service_gives_to_a_section() -> None:
    class Sunday(ShopSettings):
        shop: Shop = Shop(open_days=("sun",))

    assert variable("SHOP__OPEN_DAYS", Sunday).default == "sun"
