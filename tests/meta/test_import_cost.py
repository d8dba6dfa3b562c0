import json
import subprocess
import sys

import pytest

OPTIONAL = (
    "aiosqlite",
    "alembic",
    "asyncpg",
    "authlib",
    "copier",
    "fastapi_cache",
    "httpx2",
    "limits",
    "msgspec",
    "psycopg",
    "pytest",
    "redis",
    "rich",
    "slowapi",
    "sqlalchemy",
    "typer",
    "uvicorn",
)


def modules_after(statement: str) -> set[str]:
    """Return the names of what a fresh interpreter has loaded after a statement."""
    program = f"{statement}; import json, sys; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, check=True, text=True
    ).stdout
    return set(json.loads(output))


@pytest.mark.parametrize("library", OPTIONAL)
def test_create_app_is_imported_without(library: str, modules: set[str]) -> None:
    assert library not in modules


@pytest.fixture(scope="module")
def modules() -> set[str]:
    return modules_after("from fastapi_baseline import create_app")


@pytest.mark.parametrize("library", ["fastapi_cache", "limits", "msgspec", "redis", "slowapi"])
def test_an_application_that_neither_limits_nor_caches_is_made_without(
    library: str, modules_of_an_application: set[str]
) -> None:
    assert library not in modules_of_an_application


@pytest.fixture(scope="module")
def modules_of_an_application() -> set[str]:
    return modules_after(
        "from fastapi_baseline import Settings, create_app; create_app(Settings(), package=None)"
    )


def test_the_package_alone_loads_not_even_fastapi() -> None:
    modules = modules_after("import fastapi_baseline")

    assert "fastapi_baseline" in modules
    assert "fastapi" not in modules


def test_the_pytest_plugin_loads_only_the_standard_library() -> None:
    before = modules_after("import asyncio, contextlib, pathlib, pytest")

    after = modules_after(
        "import asyncio, contextlib, pathlib, pytest, fastapi_baseline.testing.plugin"
    )

    third_party = {name.partition(".")[0] for name in after - before} - sys.stdlib_module_names
    assert third_party == {"fastapi_baseline"}
