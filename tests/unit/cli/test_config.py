import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Call = Callable[..., int]
Capture = pytest.CaptureFixture[str]

SETTINGS = """\
from typing import ClassVar

from fastapi_baseline.settings import BehaviourChange, DatabaseUrl, DatedDefaults
from fastapi_baseline.settings import Settings as BaselineSettings


class Settings(BaselineSettings):
    dated_defaults: ClassVar[DatedDefaults] = DatedDefaults(
        oldest="2026.11",
        latest="2027.06",
        changes=(
            BehaviourChange(
                setting="requests.timeout", old="30", new="20", since="2027.03",
                why="Balancers give up sooner.",
            ),
            BehaviourChange(
                setting="log.slow_request", old="1", new="0.5", since="2027.06",
                why="A second is long.",
            ),
        ),
    )
    service_name: str = "told"
    database_url: DatabaseUrl | None = DatabaseUrl("postgresql://me:hunter2@db/told")
    greeting: str = "hello"
"""
MAIN = """\
import logging

from fastapi_baseline import create_app

from told_service.settings import Settings

app = create_app(Settings.load())
logging.getLogger("told").error("This service says much while it is imported.")
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder of a service, to be imported from it, in which this process works."""
    folder = tmp_path / "told-service"
    package = folder / "src/told_service"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[tool.baseline]\npackage = "told_service"\n', encoding="utf-8"
    )
    (package / "__init__.py").touch()
    (package / "settings.py").write_text(SETTINGS, encoding="utf-8")
    (package / "main.py").write_text(MAIN, encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(folder)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "told_service"]:
        del sys.modules[name]


def test_shows_every_setting_with_its_value_and_where_it_comes_from(
    told: Path, call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (told / ".env").write_text("LOG__LEVEL=ERROR\nGREETING=\n", encoding="utf-8")
    monkeypatch.setenv("CACHE__EXPIRE", "7")

    assert call("config", "show") == 0

    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["LOG__LEVEL"] == ["ERROR", "[.env]"]
    assert lines["CACHE__EXPIRE"] == ["7", "[environment]"]
    assert lines["SERVICE_NAME"] == ["told", "[class]"]
    assert lines["DATABASE_URL"] == ["**********", "[class]"]
    assert lines["GREETING"] == ["hello", "[class]"]
    assert lines["REDIS_URL"] == ["(unset)", "[library]"]


def test_shows_only_what_somebody_has_set(told: Path, call: Call, capsys: Capture) -> None:
    (told / ".env").write_text("LOG__LEVEL=ERROR\n", encoding="utf-8")

    assert call("config", "show", "--changed", "--redacted") == 0

    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["SERVICE_NAME", "DATABASE_URL", "GREETING", "LOG__LEVEL"]


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--changed"]], ids=" ".join)
def test_shows_no_secret(
    arguments: list[str],
    told: Path,
    call: Call,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@cache/0")

    assert call("config", "show", *arguments) == 0

    said = capsys.readouterr()
    assert "REDIS_URL" in said.out
    assert "hunter2" not in said.out + said.err


def test_tells_programs_every_setting_and_nothing_else(
    told: Path, call: Call, capsys: Capture
) -> None:
    assert call("config", "show", "--json") == 0

    document = json.loads(capsys.readouterr().out)
    named = {item["name"]: item for item in document["settings"]}
    assert document["class"] == "told_service.settings.Settings"
    assert document["defaults"] == "2026.11"
    assert named["REDIS_URL"] == {
        "name": "REDIS_URL",
        "value": None,
        "from": "library",
        "secret": True,
    }


def test_shows_the_settings_of_a_service_that_does_not_start(
    told: Path, call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", "nowhere")

    assert call("config", "show", "--changed") == 0

    assert "TRUSTED_PROXIES  nowhere  [environment]" in capsys.readouterr().out


def test_says_in_one_line_which_setting_cannot_be_read(
    told: Path, call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE__POOL_SIZE", "hunter2")

    assert call("config", "show") == 1

    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert "DATABASE__POOL_SIZE" in said.err
    assert "hunter2" not in said.err


def test_refuses_an_application_that_has_no_settings(
    told: Path, call: Call, capsys: Capture
) -> None:
    (told / "src/told_service/main.py").write_text("app = object()\n", encoding="utf-8")

    assert call("config", "show") == 1

    assert "has no settings of this library" in capsys.readouterr().err


def test_prints_an_example_with_the_settings_of_the_service(
    told: Path, call: Call, capsys: Capture
) -> None:
    assert call("config", "example") == 0

    said = capsys.readouterr().out
    assert "\n# GREETING=hello\n" in said
    assert "\n# LOG__LEVEL=INFO\n" in said
    assert "hunter2" not in said


def test_prints_a_schema_with_the_settings_of_the_service(
    told: Path, call: Call, capsys: Capture
) -> None:
    assert call("config", "schema") == 0

    schema = json.loads(capsys.readouterr().out)
    assert "GREETING" in schema["definitions"]["setting"]["anyOf"][0]["enum"]


def test_shows_what_a_later_date_changes_and_what_keeps_it(
    told: Path, call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG__SLOW_REQUEST", "3")

    assert call("defaults", "diff") == 0

    said = capsys.readouterr()
    assert said.out == (
        "2027.03  REQUESTS__TIMEOUT: 30 becomes 20\n"
        "         Balancers give up sooner.\n"
        "         To keep the old behaviour: REQUESTS__TIMEOUT=30\n"
        "2027.06  LOG__SLOW_REQUEST: 1 becomes 0.5\n"
        "         A second is long.\n"
        "         It stays as it is here: set by environment.\n"
    )
    assert 'set baseline_defaults = "2027.06" in told_service.settings.Settings' in said.err


def test_shows_what_changes_until_a_date(told: Path, call: Call, capsys: Capture) -> None:
    assert call("defaults", "diff", "2027.03") == 0

    said = capsys.readouterr().out
    assert "REQUESTS__TIMEOUT" in said
    assert "LOG__SLOW_REQUEST" not in said


def test_shows_only_what_is_later_than_the_date_of_the_service(
    told: Path, call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASELINE_DEFAULTS", "2027.03")

    assert call("defaults", "diff", "--json") == 0

    assert json.loads(capsys.readouterr().out) == {
        "from": "2027.03",
        "to": "2027.06",
        "changes": [
            {
                "setting": "LOG__SLOW_REQUEST",
                "old": "1",
                "new": "0.5",
                "since": "2027.06",
                "why": "A second is long.",
                "restore": "LOG__SLOW_REQUEST=1",
                "set_by": None,
            }
        ],
    }


def test_says_that_nothing_changes(
    told: Path, call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASELINE_DEFAULTS", "2027.06")

    assert call("defaults", "diff") == 0

    assert "Nothing changes" in capsys.readouterr().out


@pytest.mark.parametrize("date", ["2027.07", "2026.10", "tomorrow"])
def test_refuses_a_date_that_cannot_be_chosen(
    date: str, told: Path, call: Call, capsys: Capture
) -> None:
    assert call("defaults", "diff", date) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert f"DATE: {date}: " in said.err


def test_needs_a_service(
    tmp_path: Path, call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert call("defaults", "diff") == 1

    assert "There is no service" in capsys.readouterr().err
