import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fastapi_baseline.cli.commands import app
from fastapi_baseline.errors import ConfigurationError

FIELDS = ["number:string(20)!", "total:decimal(12,2)"]
ADD = ["add", "resource", "order", *FIELDS]


def find_nothing(name: str) -> None:
    """Find no formatter: nothing here needs one."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of a service, and work in it."""
    files = {
        "pyproject.toml": '[tool.baseline]\npackage = "stall"\n',
        ".copier-answers.yml": "auth: oidc\n",
        "alembic/env.py": 'raise RuntimeError("It is not to be run.")\n',
        "alembic/script.py.mako": "",
        "src/stall/domains/__init__.py": "",
        "tests/conftest.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("fastapi_baseline.scaffolding.writing.find_spec", find_nothing)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_says_what_was_written_and_what_is_next(root: Path) -> None:
    said = call(*ADD, "--no-migration")

    assert "Written: src/stall/domains/orders/models.py" in said
    assert "order is added, at /orders" in said
    assert 'baseline db revision -m "create orders"' in said
    assert "baseline auth token --scope orders:read --scope orders:write" in said
    assert (root / "src/stall/domains/orders/models.py").is_file()


def test_says_what_was_written_to_programs(root: Path) -> None:
    document = json.loads(call(*ADD, "--no-migration", "--json"))

    assert document["resource"] == "order"
    assert document["migration"] is None
    assert "tests/domains/test_orders.py" in document["written"]
    assert all((root / path).is_file() for path in document["written"])


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_writes_nothing_in_a_dry_run(options: list[str], root: Path) -> None:
    before = sorted(root.rglob("*"))

    said = call(*ADD, "--dry-run", *options)

    assert "src/stall/domains/orders/router.py" in said
    assert sorted(root.rglob("*")) == before


def test_does_nothing_the_second_time(root: Path) -> None:
    call(*ADD, "--no-migration")

    assert "there is nothing to do" in call(*ADD)
    assert json.loads(call(*ADD, "--json"))["written"] == []


def test_takes_another_plural(root: Path) -> None:
    call("add", "resource", "staff", "name:string", "--plural", "employees", "--no-migration")

    assert (root / "src/stall/domains/employees/router.py").is_file()


def test_removes_what_it_has_added(root: Path) -> None:
    before = sorted(root.rglob("*"))
    call(*ADD, "--no-migration")

    planned = call("remove", "resource", "order", "--dry-run")
    removed = json.loads(call("remove", "resource", "order", "--json"))

    assert "Would delete: src/stall/domains/orders/models.py" in planned
    assert removed["migration"] is None
    assert len(removed["deleted"]) == 8
    assert sorted(root.rglob("*")) == before


def test_shows_what_was_edited_before_it_is_removed(root: Path) -> None:
    call(*ADD, "--no-migration")
    (root / "src/stall/domains/orders/service.py").write_text("", encoding="utf-8")

    shown = call("remove", "resource", "order", "--dry-run")
    listed = json.loads(call("remove", "resource", "order", "--dry-run", "--json"))
    removed = call("remove", "resource", "order", "--force")

    assert "orders/service.py (not as it was written)" in shown
    assert listed["edited"] == ["src/stall/domains/orders/service.py"]
    assert "order is removed: 8 files deleted." in removed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["class", "a:string"], "word of Python"),
        (["order", "a:strong"], "no type 'strong'"),
        (["order"], "at least one field"),
        (["orders", "a:string"], "looks like several"),
    ],
)
def test_says_in_one_line_what_is_wrong(arguments: list[str], said: str, root: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        call("add", "resource", *arguments)
