import json
import subprocess
import sys

import pytest

# One process, since each of them imports all that migrations need.
STEPS = """\
import contextlib, io, json, os, shutil, sys
from pathlib import Path
from fastapi_baseline.cli import dev_database, main

def prepare(*arguments):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = dev_database.main(arguments)
    return [code, said.getvalue()]

def write(message):
    with contextlib.redirect_stdout(io.StringIO()):
        with contextlib.suppress(SystemExit):
            main(["db", "revision", "-m", message, "--empty"])

outcomes = {"no migration": prepare()}
write("first")
outcomes["only said"] = prepare("--only-say")
os.environ["ENVIRONMENT"] = "test"
outcomes["not in development"] = prepare()
del os.environ["ENVIRONMENT"]
outcomes["applied"] = prepare()
outcomes["nothing to do"] = prepare()
write("second")
os.environ["ENVIRONMENT"] = "test"
outcomes["kept"] = prepare("--kept")
del os.environ["ENVIRONMENT"]
os.environ["DATABASE_URL"] = "mysql://somewhere/else"
outcomes["wrong"] = prepare()
os.environ["DATABASE_URL"] = "sqlite:///other.db"
import echo_service.settings
del echo_service.settings.Settings
outcomes["no settings"] = prepare()
Path("alembic/env.py").write_text("1 / 0")
outcomes["broken"] = prepare()
print(json.dumps(outcomes))
"""
FILES = {
    "alembic/env.py": """\
import sys
from fastapi_baseline.persistence.migrations import run_environment
from fastapi_baseline.settings import DatabaseUrl, Settings as BaselineSettings
from echo_service import settings

run_environment(getattr(settings, "Settings", BaselineSettings), models=[])
""",
    "alembic/script.py.mako": '''\
"""${message}"""
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade():
    pass


def downgrade():
    pass
''',
    "src/echo_service/settings.py": """\
from fastapi_baseline.settings import DatabaseUrl, Settings as BaselineSettings

class Settings(BaselineSettings):
    database_url: DatabaseUrl | None = DatabaseUrl("sqlite:///echo.db")
""",
    "src/echo_service/__init__.py": "",
    "pyproject.toml": '[tool.baseline]\npackage = "echo_service"\n',
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Give what came of preparing the database of a service, time after time."""
    folder = tmp_path_factory.mktemp("service")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "alembic/versions").mkdir()
    result = subprocess.run(
        [sys.executable, "-c", STEPS], cwd=folder, capture_output=True, check=False, text=True
    )
    assert result.returncode == 0, result.stderr
    return {name: (code, said) for name, (code, said) in json.loads(result.stdout).items()}


def test_says_how_to_write_the_first_migration(outcomes: dict[str, tuple[int, str]]) -> None:
    code, said = outcomes["no migration"]

    assert code == 0
    assert 'baseline db revision -m "create tables"' in said


@pytest.mark.parametrize("case", ["only said", "not in development"])
def test_says_which_command_applies_migrations(
    case: str, outcomes: dict[str, tuple[int, str]]
) -> None:
    code, said = outcomes[case]

    assert code == 0
    assert said == ("The database is not up to date. Apply the migrations: baseline db upgrade\n")


def test_applies_migrations_to_a_file_of_development(
    outcomes: dict[str, tuple[int, str]],
) -> None:
    code, said = outcomes["applied"]

    assert code == 0
    assert said.startswith("Applied: ")
    assert said.endswith(" first\n")


def test_says_nothing_where_there_is_nothing_to_do(outcomes: dict[str, tuple[int, str]]) -> None:
    assert outcomes["nothing to do"] == (0, "")


def test_applies_migrations_to_a_database_that_is_kept_for_development(
    outcomes: dict[str, tuple[int, str]],
) -> None:
    code, said = outcomes["kept"]

    assert code == 0
    assert said.endswith(" second\n")


@pytest.mark.parametrize(
    ("case", "part"),
    [
        ("wrong", "The database was not prepared."),
        ("no settings", "echo_service.settings has no class Settings of this library."),
        ("broken", "ZeroDivisionError: division by zero"),
    ],
)
def test_says_in_one_line_what_is_wrong(
    case: str, part: str, outcomes: dict[str, tuple[int, str]]
) -> None:
    code, said = outcomes[case]

    assert code == 1
    assert said.startswith("Error: ")
    assert part in said
    assert len(said.splitlines()) == 1
