"""Resources that are made from tables and from a document: green at once, as any other."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

Run = Callable[..., str]
Render = Callable[..., Path]

TABLES = """
CREATE TABLE clients (
    client_no INTEGER PRIMARY KEY,
    "Name" VARCHAR(80) NOT NULL,
    email TEXT NOT NULL UNIQUE,
    status VARCHAR(10) NOT NULL CHECK (status IN ('open', 'it''s closed')),
    note TEXT CHECK (length(note) <= 500),
    "class" VARCHAR(3),
    balance NUMERIC(12, 2) NOT NULL,
    score REAL,
    is_active BOOLEAN NOT NULL,
    born DATE,
    photo BLOB,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    version INTEGER NOT NULL
);
CREATE TABLE old_orders (
    id INTEGER PRIMARY KEY,
    client INTEGER NOT NULL REFERENCES clients,
    replaces_id INTEGER REFERENCES old_orders (id),
    number VARCHAR(20) NOT NULL,
    placed_at DATETIME NOT NULL,
    amount BIGINT NOT NULL,
    UNIQUE (client, number)
);
INSERT INTO clients VALUES (
    7, 'Ann', 'ann@example.com', 'it''s closed', NULL, 'abc', 12.5, NULL, 1, NULL, NULL,
    '2020-01-02 03:04:05', '2020-01-02 03:04:05', 1
);
"""
KIND = {"type": "string", "enum": ["small", "large"]}
PARCEL = {
    "type": "object",
    "required": ["code", "kind", "oldOrderId"],
    "properties": {
        "id": {"type": "string", "readOnly": True},
        "code": {"type": "string", "maxLength": 12},
        "kind": {"$ref": "#/components/schemas/Kind"},
        "sentOn": {"type": ["string", "null"], "format": "date"},
        "weight": {"type": "number", "minimum": 0},
        "oldOrderId": {"type": "integer"},
        "order": {"type": "integer", "format": "int64"},
        "data": {"type": "object"},
    },
}
DOCUMENT = {"openapi": "3.1.0", "components": {"schemas": {"Kind": KIND, "Parcel": PARCEL}}}
USE = """
import asyncio
from fastapi_baseline.testing import running
from old_service.main import app

NEW = {"name": "Bo", "email": "bo@example.com", "status": "open", "balance": "1.00", "is_active": True}

async def main():
    async with running(app) as client:
        ann = await client.get("/customers/7")
        added = await client.post("/customers", json=NEW)
        seen = {"If-Match": added.headers["etag"]}
        changed = await client.patch(added.headers["location"], json={"class_value": "x"}, headers=seen)
        taken = await client.post("/customers", json=NEW)
        print([ann.json()["name"], ann.json()["status"], changed.json()["id"], taken.status_code])

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def service(
    render_for_session: Render, install: Callable[[Path], None], run: Run, environment: Path
) -> Path:
    """Give a service with resources that were made from an old database and from a document."""
    folder = render_for_session("old-service", auth="none", include_example=False, deploy=[])
    install(folder)
    with closing(sqlite3.connect(folder / "old.db")) as database:
        database.executescript(TABLES)
    (folder / "api.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
    tables = ("--database-url", "sqlite:///old.db", "--from-table")
    for words in (
        ("customer", *tables, "clients"),
        ("old_order", *tables, "old_orders"),
        ("parcel", "--from-openapi", "api.json"),
    ):
        run(environment / "baseline", "add", "resource", *words, cwd=folder)
    return folder


def test_pass_lint_and_types(service: Path, run: Run, environment: Path) -> None:
    run(environment / "ruff", "check", cwd=service)
    run(environment / "ruff", "format", "--check", cwd=service)
    run(environment / "pyright", "--pythonpath", environment / "python", cwd=service)


def test_pass_their_own_tests(service: Path, run: Run, environment: Path) -> None:
    said = run(environment / "pytest", "-q", "tests/domains", cwd=service)

    assert "passed" in said
    assert "skipped" not in said


def test_have_migrations_only_where_there_was_no_table(
    service: Path, run: Run, environment: Path
) -> None:
    (revision,) = (service / "alembic/versions").glob("*.py")

    run(environment / "baseline", "check", cwd=service)

    text = revision.read_text(encoding="utf-8")
    assert '"parcel"' in text
    assert '"clients"' not in text.replace('["clients.', "")


def test_work_on_the_tables_that_were_there(service: Path, run: Run, environment: Path) -> None:
    extra = {"DATABASE_URL": "sqlite:///old.db"}

    said = run(environment / "python", "-c", USE, cwd=service, extra=extra)

    assert """['Ann', "it's closed", 8, 409]""" in said
