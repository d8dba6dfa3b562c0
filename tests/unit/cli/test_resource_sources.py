import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fastapi_baseline.cli.commands import app
from fastapi_baseline.errors import ConfigurationError

MODELS = Path("src/kiosk/domains/orders/models.py")
DOCUMENT = {
    "openapi": "3.1.0",
    "components": {"schemas": {"Order": {"properties": {"dueOn": {"type": "boolean"}}}}},
}
SETTINGS = """\
from fastapi_baseline import Settings as BaseSettings


class Settings(BaseSettings):
    service_name: str = "kiosk"
"""


def find_nothing(name: str) -> None:
    """Find no formatter: nothing here needs one."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of a service with an old database and a document, and work in it."""
    files = {
        "pyproject.toml": '[tool.baseline]\npackage = "kiosk"\n',
        ".copier-answers.yml": "auth: none\n",
        "alembic/env.py": 'raise RuntimeError("It is not to be run.")\n',
        "alembic/script.py.mako": "",
        "src/kiosk/__init__.py": "",
        "src/kiosk/settings.py": SETTINGS,
        "src/kiosk/domains/__init__.py": "",
        "tests/conftest.py": "",
        "docs/api.json": json.dumps(DOCUMENT),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    with closing(sqlite3.connect(tmp_path / "old.db")) as database:
        database.execute('CREATE TABLE tickets (id INTEGER PRIMARY KEY, "Number" VARCHAR(9))')
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("kiosk", "kiosk.settings"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr("fastapi_baseline.scaffolding.writing.find_spec", find_nothing)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add(*arguments: str, code: int = 0) -> tuple[str, str]:
    words = ["add", "resource", "order", *arguments]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def test_takes_the_fields_of_a_table(root: Path) -> None:
    said, told = add("--from-table", "tickets", "--database-url", "sqlite:///old.db")

    models = (root / MODELS).read_text(encoding="utf-8")
    assert '__tablename__ = "tickets"' in models
    assert 'number: Mapped[str | None] = mapped_column("Number", String(9))' in models
    assert "'Number' is called 'number'" in told
    # There is no migration, and none is to come.
    assert "baseline db" not in said
    assert not (root / "alembic/versions").exists()


def test_takes_it_from_the_database_of_the_service(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///old.db")

    add("--from-table", "tickets")

    assert (root / MODELS).is_file()


def test_has_nothing_to_do_a_second_time(root: Path) -> None:
    words = ("--from-table", "tickets", "--database-url", f"sqlite:///{root / 'old.db'}")
    add(*words)

    said, told = add(*words)

    assert "there is nothing to do" in said
    assert told == ""


def test_takes_the_fields_of_a_schema_of_a_file_where_it_is_called(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "docs")

    add("--from-openapi", "api.json#/components/schemas/Order", "--no-migration")

    assert "due_on: Mapped[bool | None]" in (root / MODELS).read_text(encoding="utf-8")


def test_tells_programs_what_it_has_noted(root: Path) -> None:
    said, told = add("--from-openapi", "docs/api.json", "--dry-run", "--json")

    assert json.loads(said)["notes"] == ["The property 'dueOn' is called 'due_on' here."]
    assert told == ""
    assert not (root / MODELS).exists()


@pytest.mark.parametrize(
    "words",
    [
        ("total:integer", "--from-table", "tickets"),
        ("total:integer", "--from-openapi", "docs/api.json"),
        ("--from-table", "tickets", "--from-openapi", "docs/api.json"),
        ("total:integer", "--database-url", "sqlite:///old.db"),
    ],
)
@pytest.mark.usefixtures("root")
def test_takes_one_source_at_a_time(words: tuple[str, ...]) -> None:
    add(*words, code=2)


@pytest.mark.usefixtures("root")
def test_says_that_the_service_has_no_database() -> None:
    with pytest.raises(ConfigurationError, match="--database-url"):
        add("--from-table", "tickets")
