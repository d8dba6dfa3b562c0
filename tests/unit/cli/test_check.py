import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

CallProcess = Callable[..., "subprocess.CompletedProcess[str]"]

MAIN = """\
import logging

from fastapi_baseline import Settings, create_app
from fastapi_baseline.access import public

app = create_app(Settings.load(), openapi_url=None)
logging.getLogger("echo").error("This service says much while it is imported.")


@app.get("/prices")
@public
async def list_prices() -> list[int]:
    return []
"""
MIGRATED = """\
from fastapi_baseline import Settings, create_app
from fastapi_baseline.access import public
from fastapi_baseline.persistence import Base, UUIDPrimaryKey


class Ship(Base, UUIDPrimaryKey):
    __tablename__ = "ships"


app = create_app(Settings.load())


@app.get("/ships")
@public
async def list_ships() -> list[int]:
    return []
"""
ENV = """\
from fastapi_baseline import Settings
from fastapi_baseline.persistence.migrations import run_environment

run_environment(Settings)
"""
REVISION = """\
import sqlalchemy as sa
from alembic import op

revision = "one"
down_revision = None


def upgrade() -> None:
    op.create_table("boats", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade() -> None:
    pass
"""
RELEASED = {
    "openapi": "3.1.0",
    "paths": {"/boats": {"get": {"responses": {"200": {"description": "All boats."}}}}},
}
SAFE = """\
ENVIRONMENT=production
AUTH__ISSUER=https://id.example.com
AUTH__AUDIENCE=https://api.example.com
"""
INSTALLED = """\
from fastapi import FastAPI
from fastapi_baseline import Settings, install

app = install(FastAPI(openapi_url=None), Settings.load())
"""


@pytest.fixture
def checked(service: Path) -> Path:
    """Give the folder of a service in which nothing is wrong."""
    write(service, MAIN)
    (service / ".env").write_text(SAFE, encoding="utf-8")
    return service


@pytest.fixture
def migrated(service: Path) -> Path:
    """Give the folder of a service whose migrations and API are not what they should be."""
    write(service, MIGRATED)
    (service / "alembic/versions").mkdir(parents=True)
    (service / "alembic/env.py").write_text(ENV, encoding="utf-8")
    (service / "alembic/script.py.mako").touch()
    (service / "alembic/versions/one.py").write_text(REVISION, encoding="utf-8")
    with (service / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('openapi = "openapi.json"\n')
    (service / "openapi.json").write_text(json.dumps(RELEASED), encoding="utf-8")
    return service


def write(service: Path, main: str) -> None:
    (service / "src/echo_service/main.py").write_text(main, encoding="utf-8")


def add_settings(service: Path, *lines: str) -> None:
    with (service / ".env").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def accept(service: Path, table: str) -> None:
    with (service / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[tool.baseline.accepted-findings]\n{table}\n")


def test_says_that_nothing_is_wrong(checked: Path, call_process: CallProcess) -> None:
    result = call_process(["check", "--deploy"], cwd=checked / "src")

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1].endswith("Nothing is wrong.")
    assert len(result.stdout.splitlines()) == 1


def test_shows_each_finding_in_one_line_with_its_remedy(
    checked: Path, call_process: CallProcess
) -> None:
    add_settings(checked, "LOG__LEVEL=DEBUG", "MANAGEMENT__TOKEN=" + "changeme" * 5)

    result = call_process(["check", "--deploy"], cwd=checked)

    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout == (
        "debug_log: LOG__LEVEL is DEBUG: libraries then log what they are sent. "
        "Set it to INFO; /loggers changes the level of one logger for a while.\n"
        "weak_secret: MANAGEMENT__TOKEN is the placeholder of an example. "
        "Make one: openssl rand -hex 32\n"
    )


def test_leaves_what_is_unsafe_only_in_deployments_to_deploy(
    checked: Path, call_process: CallProcess
) -> None:
    add_settings(checked, "LOG__LEVEL=DEBUG")

    result = call_process(["check"], cwd=checked)

    assert (result.returncode, result.stderr) == (0, "")


def test_shows_everything_that_a_service_does_not_start_with_at_once(
    checked: Path, call_process: CallProcess
) -> None:
    add_settings(
        checked,
        "CORS_ORIGINS=*",
        "CORS__ALLOW_CREDENTIALS=true",
        "IDEMPOTENCY__LOCK_TIMEOUT=1",
        "TRUSTED_PROXIES=nowhere",
    )

    result = call_process(["check", "--json"], cwd=checked)

    assert result.returncode == 1
    assert [item["id"] for item in json.loads(result.stdout)["findings"]] == [
        "start_refused",
        "idempotency_lock_too_short",
        "cors_any_origin_with_credentials",
    ]


def test_shows_that_a_setting_cannot_be_read(checked: Path, call_process: CallProcess) -> None:
    add_settings(checked, "MANAGEMENT__TOKEN=short-and-secret")

    result = call_process(["check"], cwd=checked)

    assert result.returncode == 1
    assert result.stdout.startswith("start_refused: The settings are not valid. MANAGEMENT__TOKEN")
    assert "short-and-secret" not in result.stdout + result.stderr


def test_tells_programs_what_was_found_and_nothing_else(
    checked: Path, call_process: CallProcess
) -> None:
    add_settings(checked, "DATABASE__ECHO=true")

    result = call_process(["check", "--deploy", "--json"], cwd=checked)

    assert result.returncode == 1
    assert json.loads(result.stdout) == {
        "deploy": True,
        "findings": [
            {
                "check": "deployment",
                "id": "statements_logged",
                "what": "DATABASE__ECHO is true: statements are logged with their values.",
                "remedy": "Unset it.",
                "accepted": None,
            }
        ],
    }


def test_what_is_accepted_is_shown_and_no_error(checked: Path, call_process: CallProcess) -> None:
    add_settings(checked, "LOG__LEVEL=DEBUG")
    accept(checked, 'debug_log = "It is a demonstration."')

    shown = call_process(["check", "--deploy"], cwd=checked)
    told = call_process(["check", "--deploy", "--json"], cwd=checked)

    assert (shown.returncode, told.returncode) == (0, 0)
    assert "debug_log (accepted): It is a demonstration.\n" in shown.stdout
    (finding,) = json.loads(told.stdout)["findings"]
    assert finding["accepted"] == "It is a demonstration."


def test_nothing_is_accepted_without_a_reason(checked: Path, call_process: CallProcess) -> None:
    accept(checked, 'debug_log = " "')

    result = call_process(["check"], cwd=checked)

    assert (result.returncode, result.stdout) == (1, "")
    assert "accepts debug_log without a reason" in result.stderr


def test_says_that_what_is_accepted_is_no_longer_there(
    checked: Path, call_process: CallProcess
) -> None:
    accept(checked, 'debug_log = "It is a demonstration."')

    result = call_process(["check", "--deploy"], cwd=checked)

    assert result.returncode == 0
    assert result.stderr == "debug_log is accepted in pyproject.toml, and was not found.\n"


def test_a_route_that_nobody_has_decided_about_cannot_be_accepted(
    checked: Path, call_process: CallProcess
) -> None:
    write(checked, MAIN.replace("@public\n", ""))
    accept(checked, 'undecided_route = "No."\nstart_refused = "No."')

    result = call_process(["check", "--deploy", "--json"], cwd=checked)

    assert result.returncode == 1
    (finding,) = json.loads(result.stdout)["findings"]
    assert (finding["id"], finding["accepted"]) == ("undecided_route", None)
    assert "/prices" in finding["what"]


def test_checks_an_application_that_exists(checked: Path, call_process: CallProcess) -> None:
    write(checked, INSTALLED)
    add_settings(checked, "LOG__LEVEL=DEBUG")

    result = call_process(["check", "--deploy", "--app", "echo_service.main:app"], cwd=checked)

    assert result.returncode == 1
    assert result.stdout.startswith("debug_log: ")


def test_says_that_an_application_is_not_of_this_library(
    service: Path, call_process: CallProcess
) -> None:
    result = call_process(["check"], cwd=service)

    assert (result.returncode, result.stdout) == (1, "")
    assert "has called neither create_app() nor install()" in result.stderr


def test_finds_what_is_wrong_with_migrations_and_the_api(
    migrated: Path, call_process: CallProcess
) -> None:
    accept(migrated, 'migration_irreversible = "Nobody goes back."\nopenapi_broken = "No."')

    result = call_process(["check", "--json"], cwd=migrated)

    assert (result.returncode, result.stderr) == (1, "")
    found = json.loads(result.stdout)["findings"]
    assert [(item["check"], item["id"], item["accepted"]) for item in found] == [
        ("migrations", "migration_missing", None),
        ("migrations", "migration_irreversible", "Nobody goes back."),
        ("openapi", "openapi_broken", None),
    ]
    assert found[0]["what"] == "The models and the migrations differ: add table ships."
    assert found[2]["what"] == "GET /boats: it is gone."


def test_asks_for_the_first_migration_when_a_service_is_deployed(
    migrated: Path, call_process: CallProcess
) -> None:
    (migrated / "alembic/versions/one.py").unlink()
    (migrated / "openapi.json").write_text('{"openapi": "3.1.0", "paths": {}}', encoding="utf-8")

    before = call_process(["check"], cwd=migrated)
    found = json.loads(call_process(["check", "--json"], cwd=migrated).stdout)["findings"]
    deployed = call_process(["check", "--deploy"], cwd=migrated)

    assert (before.returncode, before.stdout) == (0, "\N{CHECK MARK} Nothing is wrong.\n")
    assert before.stderr == (
        "Before it is deployed: There are models, and no migration yet that makes their tables. "
        "Write the first one: baseline db revision -m MESSAGE\n"
    )
    assert found == []
    assert deployed.returncode == 1
    assert "first_migration_missing: There are models, " in deployed.stdout


def test_releases_the_api_and_says_what_that_breaks(
    migrated: Path, call_process: CallProcess
) -> None:
    result = call_process(["check", "--update-openapi"], cwd=migrated)

    assert result.returncode == 1
    assert result.stderr == "Released: GET /boats: it is gone.\n"
    assert "openapi.json is written." in result.stdout.splitlines()[0]
    assert "openapi_broken" not in result.stdout
    assert "/ships" in json.loads((migrated / "openapi.json").read_text(encoding="utf-8"))["paths"]


def test_says_that_nothing_says_where_the_released_api_is(
    checked: Path, call_process: CallProcess
) -> None:
    result = call_process(["check", "--update-openapi"], cwd=checked)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: Nothing says where the released OpenAPI document is")


def test_says_that_the_server_to_try_migrations_on_is_not_there(
    migrated: Path, call_process: CallProcess
) -> None:
    server = "postgresql://somebody:secret@127.0.0.1:1/postgres"

    result = call_process(["check"], cwd=migrated, env={"TEST_DATABASE_URL": server})

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: The server of TEST_DATABASE_URL, 127.0.0.1:1: ")
    assert "secret" not in result.stderr
