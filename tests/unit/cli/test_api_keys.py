import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from fastapi_baseline.auth import Principal
from fastapi_baseline.auth.api_keys import ApiKey, ApiKeys, InvalidApiKeyError
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings import ApiKeySettings

SETTINGS = ApiKeySettings(enabled=True, prefix="shop")

Ask = Callable[..., str]
Call = Callable[..., int]
Check = Callable[[str], Principal]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'keys.db'}"


@pytest.fixture
def keyed(configure: Callable[..., Path], url: str) -> Path:
    """Give the folder of a service that has API keys."""
    return configure("AUTH__API_KEYS__ENABLED=true\nAUTH__API_KEYS__PREFIX=shop\n", ApiKey, url=url)


@pytest.fixture
def ask(keyed: Path, ask_command: Ask) -> Ask:
    """Give a function that returns what `baseline auth api-key` writes; it must succeed."""
    del keyed
    return partial(ask_command, "auth", "api-key")


@pytest.fixture
def check(url: str) -> Check:
    """Give a function that returns whom a key stands for, as a process that has just started."""

    async def authenticate(key: str) -> Principal:
        database = Database(url)
        try:
            return await ApiKeys(database, settings=SETTINGS).authenticate(key)
        finally:
            await database.dispose()

    return lambda key: asyncio.run(authenticate(key))


def test_issues_a_key(ask: Ask, check: Check) -> None:
    options = ("--owner", "exporter", "--scope", "a", "--role", "clerk", "--days", "30")

    key = ask("issue", "nightly export", *options).strip()

    principal = check(key)
    assert key.startswith("shop_")
    assert (principal.subject, principal.scopes, principal.roles) == ("exporter", {"a"}, {"clerk"})
    assert principal.expires_at is not None


def test_only_the_key_is_on_standard_output(
    keyed: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    del keyed

    call("auth", "api-key", "issue", "export", "--owner", "exporter")

    said = capsys.readouterr()
    key = said.out.strip()
    assert len(said.out.splitlines()) == 1
    assert "not shown again" in said.err
    assert key not in said.err


def test_lists_keys_without_what_proves_them(ask: Ask) -> None:
    key = ask("issue", "nightly export", "--owner", "exporter", "--scope", "a").strip()
    ask("issue", "other", "--owner", "importer", "--days", "30")
    _, identifier, secret, _ = key.split("_")

    shown = ask("list", "--owner", "exporter")
    both = ask("list")

    assert identifier in shown
    assert "nightly export" in shown
    assert "never used" in shown
    assert secret not in shown
    assert len(shown.splitlines()) == 1
    assert len(both.splitlines()) == 2


def test_lists_keys_for_programs(ask: Ask) -> None:
    key = ask("issue", "nightly export", "--owner", "exporter", "--scope", "a").strip()

    [shown] = json.loads(ask("list", "--json"))

    assert shown["id"] == key.split("_")[1]
    assert (shown["name"], shown["subject"], shown["scopes"]) == (
        "nightly export",
        "exporter",
        ["a"],
    )
    assert shown["revoked_at"] is None
    assert "digest" not in shown


def test_revokes_a_key(ask: Ask, check: Check) -> None:
    key = ask("issue", "export", "--owner", "exporter").strip()
    identifier = key.split("_")[1]

    said = ask("revoke", identifier)

    assert identifier in said
    assert "There are no keys" in ask("list")
    assert "revoked" in ask("list", "--all")
    with pytest.raises(InvalidApiKeyError):
        check(key)


def test_says_that_there_is_no_such_key(
    keyed: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    del keyed

    code = call("auth", "api-key", "revoke", "unknown")

    assert code == 1
    assert "no such API key" in capsys.readouterr().err


def test_says_that_the_service_has_no_keys(
    keyed: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    (keyed / ".env").write_text("", encoding="utf-8")

    code = call("auth", "api-key", "list")

    assert code == 1
    assert "AUTH__API_KEYS__ENABLED" in capsys.readouterr().err
