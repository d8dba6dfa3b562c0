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
    program = f"{statement}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
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


# What the template's example uses: tokens, cache, limits, a database in a file.
SERVICE = """
from fastapi import APIRouter
from fastapi_baseline import DatabaseUrl, Settings, create_app
from fastapi_baseline.auth import RequireScopes
from fastapi_baseline.caching import cached
from fastapi_baseline.persistence import Base, CursorQuery, Repository, Transaction
from fastapi_baseline.rate_limiting import RateLimiter
from fastapi_baseline.settings import AuthSettings
from sqlalchemy.orm import Mapped, mapped_column

class Item(Base):
    name: Mapped[str] = mapped_column(primary_key=True)

class ItemQuery(CursorQuery[Item], sort=(Item.name,)): ...

class Items(Repository[Item]): ...

limit = RateLimiter().limit("60/minute")
create_app(
    Settings(
        database_url=DatabaseUrl("sqlite:///items.db"),
        auth=AuthSettings(issuer="development", audience=("items",)),
    ),
    package=None,
)
"""
# Whatever stands beside these has a reason, and takes some of the time in which a service starts.
EXPECTED = {
    *("aiosqlite", "annotated_doc", "annotated_types", "anyio", "brotli"),
    *("cython_runtime", "deprecated", "dotenv", "email_validator", "fastapi", "fastapi_baseline"),
    *("greenlet", "idna", "limits", "msgspec", "opentelemetry", "packaging"),
    *("prometheus_client", "pydantic", "pydantic_core", "pydantic_settings", "python_multipart"),
    *("slowapi", "sqlalchemy", "starlette", "typing_extensions", "typing_inspection", "wrapt"),
    # What another Python brings along, or another version of these.
    *("backports", "importlib_metadata", "zstandard"),
}


@pytest.fixture(scope="module")
def modules_of_a_service() -> set[str]:
    return modules_after(SERVICE)


def test_a_service_is_made_with_what_it_uses_and_no_more(modules_of_a_service: set[str]) -> None:
    # What measures coverage, for one, is loaded before anything else.
    packages = {name.partition(".")[0] for name in modules_of_a_service - modules_after("")}

    foreign = {name for name in packages - sys.stdlib_module_names if not name.startswith("_")}
    assert foreign - EXPECTED == set()


@pytest.mark.parametrize(
    "module",
    [
        "fastapi_baseline.auth.login",
        "fastapi_baseline.auth.server",
        "fastapi_baseline.auth.users",
        "fastapi_baseline.cli",
        "fastapi_baseline.persistence.migrations",
        "fastapi_baseline.testing",
        # What the first token needs.
        "httpx2",
        "joserfc",
        # Its dialect takes longer than all of SQLite's, and is not what the data is in.
        "sqlalchemy.dialects.postgresql",
    ],
)
def test_a_service_is_made_without(module: str, modules_of_a_service: set[str]) -> None:
    assert module not in modules_of_a_service


@pytest.mark.parametrize("library", ["httpx2", "joserfc"])
def test_where_people_depend_on_a_service_nobody_waits_for_a_library(library: str) -> None:
    deployed = SERVICE.replace('issuer="development"', 'issuer="https://id.example.com"').replace(
        "    Settings(", '    Settings(\n        environment="production",'
    )

    assert library in modules_after(deployed)
