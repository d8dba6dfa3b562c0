import json
from urllib.parse import urlsplit

import psycopg
import pytest

from fastapi_baseline.testing import PostgresServer

# Other plugins take longer to load than these tests to run.
_PLUGINS = (
    *("--disable-plugin-autoload", "-p", "fastapi_baseline.testing.plugin"),
    *("-p", "asyncio", "-p", "xdist", "-p", "no:cacheprovider", "-W", "error"),
)
_AUTO = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")

_SHOP = """
from fastapi import FastAPI
from fastapi_baseline.persistence import Base, Database, ReadTransaction, Transaction
from sqlalchemy import func, select
from sqlalchemy.orm import Mapped, mapped_column


class Item(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    price: Mapped[int] = mapped_column(default=0)


COUNT = select(func.count()).select_from(Item)


def make_app(url: str, mails: list[str]) -> FastAPI:
    app = FastAPI()
    Database(url).attach(app)

    @app.post("/items/{name}", status_code=201)
    async def add(name: str, session: Transaction) -> None:
        async with session.begin_nested():
            session.add(Item(name=name))
        session.on_commit(lambda: mails.append(name))

    @app.get("/count")
    async def count(session: ReadTransaction) -> int | None:
        return await session.scalar(COUNT)

    return app
"""

_TELL = """
import json
import os
import pytest
from sqlalchemy import select
from shop import COUNT, Item, make_app

def tell(**facts):
    with open("facts", "a") as file:
        file.write(json.dumps(facts) + "\\n")
"""

_TWICE = """
@pytest.mark.parametrize("number", range(2))
async def test_writes(number, database, session):
    tell(url=database.url.render_as_string(hide_password=False))
    session.add(Item(name="a"))
    await session.commit()
    async with database.transaction() as another:
        another.add(Item(name="b"))
    assert await session.scalar(COUNT) == 2
"""

_OVER_HTTP = """
from fastapi_baseline.testing import running

@pytest.fixture
def mails():
    return []

@pytest.fixture
def app(worker_database_url, mails):
    return make_app(worker_database_url, mails)

@pytest.fixture
def database(app):
    return app.state.database

@pytest.fixture
async def client(app, session):
    async with running(app, raise_app_exceptions=True) as client:
        yield client

@pytest.mark.parametrize("number", range(2))
async def test_asks(number, client, mails, make, max_queries):
    await make(Item, name="before")
    with max_queries(1):
        assert (await client.post("/items/a")).status_code == 201
    assert (await client.get("/count")).json() == 2
    assert mails == ["a"]
"""


class Inner:
    """A run of pytest in a folder with a small shop."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        pytester.makepyfile(shop=_SHOP)

    def run(
        self, code: str, *arguments: str, other: str = "", mode: tuple[str, ...] = _AUTO
    ) -> pytest.RunResult:
        self.pytester.makepyfile(test_shop=_TELL + code, test_other=_TELL + other)
        return self.pytester.runpytest_subprocess(*_PLUGINS, *mode, *arguments, timeout=120)

    @property
    def facts(self) -> list[dict[str, str]]:
        lines = (self.pytester.path / "facts").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Inner:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    return Inner(pytester)


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def any_inner(
    request: pytest.FixtureRequest, inner: Inner, monkeypatch: pytest.MonkeyPatch
) -> Inner:
    """Give one whose databases are SQLite's, or on a server of the user's own."""
    if request.param == "sqlite":
        return inner
    server: PostgresServer = request.getfixturevalue("postgres_server")
    rest = server.url.partition("://")[2]
    monkeypatch.setenv("TEST_DATABASE_URL", f"postgresql+{request.param}://{rest}")
    return inner


def test_undoes_what_tests_and_requests_have_written(any_inner: Inner) -> None:
    result = any_inner.run(_TWICE, other=_OVER_HTTP)

    result.assert_outcomes(passed=4)


def test_drops_the_database_of_a_worker_after_the_run(
    inner: Inner, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", postgres_server.url)

    inner.run(_TWICE)

    [name] = {urlsplit(fact["url"]).path.lstrip("/") for fact in inner.facts}
    assert name.startswith("test_")
    with psycopg.connect(postgres_server.url) as connection:
        left = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchall()
    assert left == []


@pytest.mark.parametrize("any_inner", ["sqlite", "psycopg"], indirect=True)
def test_each_worker_has_a_database_of_its_own(any_inner: Inner) -> None:
    code = """
@pytest.mark.parametrize("number", range(2))
async def test_url(number, database, session):
    tell(
        worker=os.environ["PYTEST_XDIST_WORKER"],
        url=database.url.render_as_string(hide_password=False),
    )
    session.add(Item(name="a"))
    await session.commit()
"""

    result = any_inner.run(code, "-n", "2", "--dist", "each")

    result.assert_outcomes(passed=4)
    pairs = {(fact["worker"], fact["url"]) for fact in any_inner.facts}
    assert {worker for worker, _ in pairs} == {"gw0", "gw1"}
    assert len({url for _, url in pairs}) == len(pairs) == 2


def test_makes_the_schema_once(inner: Inner) -> None:
    code = """
from fastapi_baseline.testing import create_tables

@pytest.fixture(scope="session")
def database_schema(database_metadata):
    def make(url):
        tell(url=url)
        create_tables(url, metadata=database_metadata)
    return make
"""

    result = inner.run(code + _TWICE.replace("    tell(", "    dict("))

    result.assert_outcomes(passed=2)
    assert len(inner.facts) == 1


def test_makes_the_tables_that_it_is_told(inner: Inner) -> None:
    code = """
from sqlalchemy import Column, Integer, MetaData, Table, inspect

@pytest.fixture(scope="session")
def database_metadata():
    return MetaData()

async def test_tables(session):
    connection = await session.connection()
    assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == []
"""

    result = inner.run(code)

    result.assert_outcomes(passed=1)


def test_migrates_if_it_is_told(inner: Inner) -> None:
    inner.pytester.makepyprojecttoml('[tool.baseline]\npackage = "store"\n')
    for path, source in _MIGRATED_SERVICE.items():
        file = inner.pytester.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    code = """
from fastapi_baseline.testing import apply_migrations
from sqlalchemy import text

@pytest.fixture(scope="session")
def database_schema():
    return apply_migrations

async def test_migrated(session):
    assert "DATABASE_URL" not in os.environ
    assert await session.scalar(text("SELECT count(*) FROM shelf")) == 1
"""

    result = inner.run(code)

    result.assert_outcomes(passed=1)


_MIGRATED_SERVICE = {
    "store/__init__.py": "",
    "store/settings.py": (
        "from fastapi_baseline.settings import Settings as Base\n\n\n"
        "class Settings(Base):\n    pass\n"
    ),
    "alembic/env.py": (
        "from fastapi_baseline.persistence.migrations import run_environment\n\n"
        "from store.settings import Settings\n\nrun_environment(Settings)\n"
    ),
    "alembic/script.py.mako": "",
    "alembic/versions/0001_shelf.py": (
        "from alembic import op\n\nrevision = '0001'\ndown_revision = None\n\n\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE shelf (id INTEGER PRIMARY KEY)')\n"
        "    op.execute('INSERT INTO shelf VALUES (1)')\n\n\n"
        "def downgrade():\n    op.execute('DROP TABLE shelf')\n"
    ),
}


def test_says_which_statements_were_too_many(inner: Inner) -> None:
    code = """
async def test_reads_too_often(session, max_queries):
    with max_queries(1):
        await session.scalar(COUNT)
        await session.execute(select(Item).where(Item.name == "secret"))
"""

    result = inner.run(code)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*AssertionError: 2 statements were sent, and at most 1 may be:",
            "E *1. SELECT count(*) AS count_1 FROM item",
            "E *2. SELECT item.id, item.name, item.price FROM item WHERE item.name = ?",
        ]
    )
    result.stdout.no_fnmatch_line("*testing/queries.py*")


def test_makes_entities_as_it_is_told_and_also_without(inner: Inner) -> None:
    code = """
import itertools

@pytest.fixture
def model_factories():
    numbers = itertools.count(1)

    async def make_item(**values):
        return Item(**{"name": f"item {next(numbers)}", "price": 5} | values)

    return {Item: make_item}

async def test_makes(make, session):
    item = await make(Item)
    named = await make(Item, name="b")
    many = await make.many(3, Item, price=7)
    assert (item.name, item.price, item.id) == ("item 1", 5, 1)
    assert (named.name, named.price) == ("b", 5)
    assert [(one.name, one.price) for one in many] == [(f"item {n}", 7) for n in (3, 4, 5)]
    assert await session.scalar(COUNT) == 5
"""
    without = """
async def test_makes(make):
    item = await make(Item, name="a")
    assert item.id is not None
"""

    result = inner.run(code, other=without)

    result.assert_outcomes(passed=2)


def test_works_when_asyncio_is_strict(inner: Inner) -> None:
    code = """
@pytest.mark.asyncio
async def test_makes(make, session):
    await make(Item, name="a")
    assert await session.scalar(COUNT) == 1
"""

    result = inner.run(code, mode=(*_AUTO, "-o", "asyncio_mode=strict"))

    result.assert_outcomes(passed=1)


def test_gives_way_to_fixtures_of_the_same_name(inner: Inner) -> None:
    inner.pytester.makeconftest(
        "import pytest\n\n"
        + "".join(
            f"@pytest.fixture\ndef {name}():\n    return 'ours'\n\n"
            for name in ("database", "session", "make", "max_queries", "model_factories")
        )
    )
    code = """
def test_ours(database, session, make, max_queries, model_factories):
    assert {database, session, make, max_queries, model_factories} == {"ours"}
"""

    result = inner.run(code)

    result.assert_outcomes(passed=1)


def test_loads_no_database_library_until_one_is_used(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
import sys

def test_loaded():
    assert not {"sqlalchemy", "fastapi", "pydantic", "alembic"} & {*sys.modules}
""")

    result = pytester.runpytest_subprocess(*_PLUGINS, *_AUTO, timeout=120)

    result.assert_outcomes(passed=1)
