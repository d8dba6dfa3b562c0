import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

IN_A_ROW = """\
import contextlib, io, json, sys
from fastapi_baseline.cli import main

said = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            main(["db", *arguments])
        except SystemExit as stop:
            assert stop.code == 0, arguments
    said.append(output.getvalue())
print(json.dumps(said))
"""

CallProcess = Callable[..., "subprocess.CompletedProcess[str]"]

ENVIRONMENT = """\
from fastapi_baseline.persistence.migrations import run_environment
from echo_service.settings import Settings

run_environment(Settings)
"""
SETTINGS = """\
from fastapi_baseline.settings import DatabaseUrl, Settings as BaselineSettings

class Settings(BaselineSettings):
    database_url: DatabaseUrl | None = DatabaseUrl("sqlite:///echo.db")
"""
MODELS = """\
from fastapi_baseline.persistence import Base, UUIDPrimaryKey

class Note(Base, UUIDPrimaryKey):
    pass
"""
SCRIPT = '''\
"""${message}"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''


@pytest.fixture
def migrated(service: Path) -> Path:
    """Give the folder of a service that has a model, and no migration of it yet."""
    files = {
        "alembic/env.py": ENVIRONMENT,
        "alembic/script.py.mako": SCRIPT,
        "src/echo_service/settings.py": SETTINGS,
        "src/echo_service/domains/__init__.py": "",
        "src/echo_service/domains/notes/__init__.py": "",
        "src/echo_service/domains/notes/models.py": MODELS,
    }
    for name, text in files.items():
        path = service / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return service


def run_in_row(*calls: list[str], cwd: Path) -> list[str]:
    """Return what each call of `baseline db` prints, all in one process: importing takes long."""
    result = subprocess.run(
        [sys.executable, "-c", IN_A_ROW, json.dumps(calls)],
        cwd=cwd,
        capture_output=True,
        check=False,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return json.loads(result.stdout)


def test_takes_a_database_through_its_migrations(migrated: Path) -> None:
    written, nothing_yet, applied, again, at_the_last, agreed, taken_back, nothing_left = (
        run_in_row(
            ["revision", "-m", "add notes"],
            ["current"],
            ["upgrade"],
            ["upgrade"],
            ["current"],
            ["check"],
            ["downgrade", "base"],
            ["downgrade", "base"],
            cwd=migrated / "src",
        )
    )

    assert written.startswith("✓ Written: alembic/versions/")
    assert written.endswith("add_notes.py. Read it, then: baseline db upgrade\n")
    assert nothing_yet.startswith("No migration is applied.\nTo come: ")
    assert applied.startswith("✓ Applied: ")
    assert applied.endswith(" add notes\n")
    assert again == "✓ There was nothing to apply.\n"
    assert at_the_last.endswith(" add notes\n✓ All migrations are applied.\n")
    assert agreed == "✓ The models, the migrations and the database agree.\n"
    assert taken_back.startswith("✓ Taken back: ")
    assert nothing_left == "✓ There was nothing to take back.\n"
    # Wherever it is called, it works on the database in the folder of the service.
    assert (migrated / "echo.db").is_file()
    assert not (migrated / "src/echo.db").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check"], "The models and the database differ"),
        (["upgrade", "nowhere"], "There is no migration 'nowhere'"),
        (["revision", "-m", " "], "A migration needs a message"),
    ],
    ids=str,
)
def test_says_in_one_line_what_is_wrong(
    arguments: list[str], said: str, migrated: Path, call_process: CallProcess
) -> None:
    result = call_process(["db", *arguments], cwd=migrated)

    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {said}")
    assert len(result.stderr.splitlines()) == 1


def test_writes_an_empty_migration_when_it_is_asked_to(
    migrated: Path, call_process: CallProcess
) -> None:
    result = call_process(["db", "revision", "--empty", "-m", "fill in"], cwd=migrated)

    assert result.returncode == 0, result.stderr
    (written,) = (migrated / "alembic/versions").glob("*.py")
    assert "create_table" not in written.read_text(encoding="utf-8")


def test_says_that_a_service_has_no_database(service: Path, call_process: CallProcess) -> None:
    result = call_process(["db", "current"], cwd=service)

    assert result.returncode == 1
    assert result.stderr == (
        f"Error: The service in {service} has no database: there is no alembic/.\n"
    )


def test_says_that_it_is_called_outside_of_a_service(
    tmp_path: Path, call_process: CallProcess
) -> None:
    result = call_process(["db", "upgrade"], cwd=tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: There is no service in {tmp_path}")
