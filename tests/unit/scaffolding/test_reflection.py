import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.reflection import ForeignKey, reflect

TABLES = """
CREATE TABLE clients (number INTEGER PRIMARY KEY, name VARCHAR(80));
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    name VARCHAR(20) NOT NULL UNIQUE CHECK (length(name) <= 10),
    client_id INTEGER NOT NULL REFERENCES clients,
    total NUMERIC(12, 2),
    UNIQUE (client_id, total)
);
CREATE INDEX ix_total ON orders (total);
CREATE UNIQUE INDEX ix_once ON orders (client_id);
CREATE UNIQUE INDEX ix_part ON orders (total) WHERE total > 3;
CREATE UNIQUE INDEX ix_lower ON orders (lower(name));
CREATE VIEW open_orders AS SELECT * FROM orders;
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
    return path


def test_finds_what_there_is_to_know_of_a_table(database: Path) -> None:
    table = reflect("orders", database_url=f"sqlite:///{database}")

    assert table.is_sqlite
    assert [column["name"] for column in table.columns] == ["id", "name", "client_id", "total"]
    assert [column["nullable"] for column in table.columns][1:] == [False, False, True]
    assert table.primary == ("id",)
    assert set(table.uniques) == {("name",), ("client_id", "total"), ("client_id",)}
    assert table.indexes == (("total",),)
    assert table.special == ("ix_part",)
    assert "ix_lower" in " ".join(table.unread)
    assert table.checks == ("length(name) <= 10",)
    assert table.foreign_keys == (
        ForeignKey(columns=("client_id",), table="clients", referred=("number",), key=("number",)),
    )


def test_changes_nothing(database: Path) -> None:
    before = database.read_bytes()

    reflect("orders", database_url=f"sqlite:///{database}")

    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == ["old.db"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("order", "There is no table 'order'; there are: orders, …."),
        ("nothing", "There is no table 'nothing'; there are: clients, orders."),
        ("open_orders", "'open_orders' is a view"),
        ("sales.orders", "'sales.orders' is of another schema"),
    ],
)
def test_says_why_there_is_no_such_table(database: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        reflect(name, database_url=f"sqlite:///{database}")

    assert refusal.value.message.startswith(message)


def test_makes_no_database_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "gone.db"

    with pytest.raises(ConfigurationError, match="There is no database"):
        reflect("orders", database_url=f"sqlite:///{path}")

    assert not path.exists()


def test_refuses_a_database_in_memory() -> None:
    with pytest.raises(ConfigurationError, match="in memory"):
        reflect("orders", database_url="sqlite://")


def test_says_that_a_file_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("This is no database, however long one reads in it. " * 9, encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"looked at\. file is not a database"):
        reflect("orders", database_url=f"sqlite:///{path}")


def test_keeps_the_password_of_a_server_that_is_not_there_to_itself() -> None:
    url = "postgresql://ann:s3cret@127.0.0.1:1/shop?connect_timeout=1"

    with pytest.raises(ConfigurationError, match="cannot be looked at") as refusal:
        reflect("orders", database_url=url)

    assert "s3cret" not in refusal.value.message
