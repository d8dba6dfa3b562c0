import json
from typing import Any

import pytest

MAIN = """\
from fastapi_baseline import Settings, create_app
from fastapi_baseline.persistence import Base, UUIDPrimaryKey


class Ship(Base, UUIDPrimaryKey):
    __tablename__ = "ships"


app = create_app(Settings.load())
print("This service says much while it is imported.")


@app.get("/ships")
async def list_ships() -> list[int]:
    return []
"""
ENV = """\
from fastapi_baseline import Settings
from fastapi_baseline.persistence.migrations import run_environment

run_environment(Settings)
"""
REVISION = """\
revision = "one"
down_revision = None


def upgrade() -> None: ...
def downgrade() -> None: ...
"""
PROJECT = """\
[tool.pytest.ini_options]
[tool.baseline]
package = "harbour"
"""
SAFE = "AUTH__ISSUER=https://id.example.com\nAUTH__AUDIENCE=https://api.example.com\n"
RIGHT = """\
from fastapi_baseline import Settings, create_app
from fastapi_baseline.access import public

app = create_app(Settings.load())


@app.get("/boats")
@public
async def list_boats() -> list[int]:
    return []
"""
RELEASED: dict[str, Any] = {"openapi": "3.1.0", "paths": {"/boats": {"get": {}}}}
QUIET = ("-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function")


@pytest.fixture
def harbour(pytester: pytest.Pytester) -> pytest.Pytester:
    """Give the folder of a service in which every check finds something."""
    pytester.mkpydir("harbour")
    write(pytester, "harbour/main.py", MAIN)
    write(pytester, "alembic/env.py", ENV)
    write(pytester, "alembic/script.py.mako", "")
    write(pytester, "alembic/versions/one.py", REVISION)
    write(pytester, "pyproject.toml", PROJECT + 'openapi = "openapi.json"\n')
    write(pytester, "openapi.json", json.dumps(RELEASED))
    write(pytester, ".env", SAFE + "CORS_ORIGINS=*\nCORS__ALLOW_CREDENTIALS=true\n")
    return pytester


def write(pytester: pytest.Pytester, path: str, content: str) -> None:
    file = pytester.path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")


def test_each_check_fails_where_something_is_wrong(harbour: pytest.Pytester) -> None:
    harbour.makepyfile(test_own="def test_own() -> None: ...")

    result = harbour.runpytest(*QUIET, "--baseline-deploy", "-v")

    result.assert_outcomes(passed=1, failed=5)
    result.stdout.fnmatch_lines_random(
        [
            "FAILED baseline::settings - *",
            "cors_any_origin_with_credentials: *",
            "FAILED baseline::routes - *",
            "undecided_route: *",
            "FAILED baseline::migrations - *",
            "migration_missing: *add table ships*",
            "FAILED baseline::openapi - *",
            "openapi_broken: GET /boats: it is gone*",
            "FAILED baseline::deployment - *",
            "environment_not_deployed: *",
        ]
    )
    result.stdout.no_fnmatch_line("*conformance.py*")


def test_each_check_passes_where_nothing_is_wrong(harbour: pytest.Pytester) -> None:
    write(harbour, "harbour/main.py", RIGHT)
    write(harbour, ".env", SAFE)

    result = harbour.runpytest(*QUIET, "--baseline")

    result.assert_outcomes(passed=4)


def test_the_checks_can_be_chosen_alone(harbour: pytest.Pytester) -> None:
    harbour.makepyfile(test_own="def test_baseline() -> None: ...")

    result = harbour.runpytest(*QUIET, "--baseline", "-k", "baseline::", "--collect-only", "-q")

    result.stdout.fnmatch_lines(["baseline::settings", "4/5 tests collected*"])
    result.stdout.no_fnmatch_line("test_own*")


def test_a_check_can_be_chosen_by_its_name(harbour: pytest.Pytester) -> None:
    result = harbour.runpytest(*QUIET, "--baseline", "-k", "routes", "--collect-only", "-q")

    result.stdout.fnmatch_lines(["baseline::routes"])
    result.stdout.no_fnmatch_line("baseline::settings")


def test_checks_nothing_that_a_service_does_not_have(pytester: pytest.Pytester) -> None:
    write(pytester, "pyproject.toml", PROJECT)

    result = pytester.runpytest(*QUIET, "--baseline", "--collect-only", "-q")

    result.stdout.fnmatch_lines(["baseline::settings", "baseline::routes"])
    result.stdout.no_fnmatch_line("baseline::migrations")
    result.stdout.no_fnmatch_line("baseline::openapi")


def test_checks_nothing_unless_it_is_asked_to(pytester: pytest.Pytester) -> None:
    write(pytester, "pyproject.toml", PROJECT)

    result = pytester.runpytest(*QUIET, "--collect-only", "-q")

    result.stdout.no_fnmatch_line("baseline::*")


def test_says_why_a_service_cannot_be_checked(pytester: pytest.Pytester) -> None:
    write(pytester, "pyproject.toml", PROJECT)

    result = pytester.runpytest(*QUIET, "--baseline", "-k", "settings")

    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["*'harbour.main:app' cannot be found*"])


def test_wants_a_service(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest(*QUIET, "--baseline")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --baseline: There is no pyproject.toml in *"])
