"""Fixtures for tests that need a real PostgreSQL or Redis; pytest finds them by itself.

Servers start when the first test asks for one, once per run, also with pytest-xdist.
`TEST_DATABASE_URL` and `TEST_REDIS_URL` name servers to use instead. A test has a database of its
own (`database_url`), or a `session` in one that has its schema already and is never changed: one
for each worker.

A fixture of the same name in a `conftest.py` takes the place of one of these.

`pytest --baseline` checks the service, too, as `baseline check` does.
"""

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any  # noqa: TID251 - pytest imports this before all else.
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from fastapi_baseline.persistence import WriteSession
    from fastapi_baseline.testing.database import Make, ModelFactory
    from fastapi_baseline.testing.postgres import PostgresServer
    from fastapi_baseline.testing.redis import RedisServer
    from fastapi_baseline.testing.runs import Run

_RUN = pytest.StashKey["Run"]()
_INPUT = "fastapi_baseline_run"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer to check the service as a whole."""
    group = parser.getgroup("fastapi-baseline")
    group.addoption(
        "--baseline",
        action="store_true",
        help="also what `baseline check` checks of the service",
    )
    group.addoption(
        "--baseline-deploy",
        action="store_true",
        help="also what `baseline check --deploy` checks, with the settings that are set",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add the checks of the service, if they are asked for, before some are chosen by name."""
    is_deployment = bool(session.config.getoption("baseline_deploy"))
    if not is_deployment and not session.config.getoption("baseline"):
        return
    from fastapi_baseline.testing.conformance import ServiceChecks  # noqa: PLC0415 - slow.

    checks = ServiceChecks.of(session, is_deployment=is_deployment)
    found = list(checks.collect())
    items.extend(found)
    # Whoever counts what was collected is told of it as of any other.
    report = pytest.CollectReport(checks.nodeid, outcome="passed", longrepr=None, result=[*found])
    session.config.hook.pytest_collectreport(report=report)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Make one run for all workers of pytest-xdist; they start and share its servers."""
    from fastapi_baseline.testing.runs import Run  # noqa: PLC0415 - only with xdist.

    stash: pytest.Stash = node.config.stash
    if _RUN not in stash:
        stash[_RUN] = Run.start()
    node.workerinput[_INPUT] = str(stash[_RUN].folder)


def pytest_configure(config: pytest.Config) -> None:
    """Add the fixtures that run in an event loop, as the plugin that gives it wants them."""
    from fastapi_baseline.testing import async_fixtures  # noqa: PLC0415 - after that plugin.

    config.pluginmanager.register(async_fixtures, "fastapi_baseline_async_fixtures")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run that the workers shared."""
    run = config.stash.get(_RUN, None)
    if run is not None:
        run.close()


@contextmanager
def _usage_errors() -> Generator[None]:
    from fastapi_baseline.errors import ConfigurationError  # noqa: PLC0415 - as above.

    try:
        yield
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from error


def _own_url(variable: str, *backends: str) -> str:
    """Return the URL of a server of the user's own, or nothing.

    Raises:
        UsageError: If it is none of `backends`.
    """
    url = os.environ.get(variable, "")  # noqa: TID251 - tests are not the service, and its settings.
    scheme = urlsplit(url).scheme
    if url and scheme.partition("+")[0] not in backends:
        known = ", ".join(f"{backend}://" for backend in backends)
        raise pytest.UsageError(f"{variable} starts with {scheme!r}; want one of {known}")
    return url


def _own_database_url() -> str:
    return _own_url("TEST_DATABASE_URL", "postgresql", "postgres", "sqlite")


@pytest.fixture(scope="session")
def _baseline_run(request: pytest.FixtureRequest) -> Iterator["Run"]:
    from fastapi_baseline.testing.runs import Run  # noqa: PLC0415 - as above.

    folder = Path(getattr(request.config, "workerinput", {}).get(_INPUT, "/nowhere"))
    with _usage_errors():
        run = Run.join(folder) if folder.is_dir() else Run.start()
    yield run
    run.close()


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator["PostgresServer"]:
    """Give the PostgreSQL server of this run, or that of `TEST_DATABASE_URL`."""
    from fastapi_baseline.testing.postgres import (  # noqa: PLC0415 - as above.
        PostgresServer,
        postgres_server,
    )

    url = _own_database_url()
    if url.startswith("postgres"):
        yield PostgresServer(url=url)
        return
    run: Run = request.getfixturevalue("_baseline_run")
    with _usage_errors(), postgres_server(run=run) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: "PostgresServer") -> Iterator[str]:
    """Give the URL of an empty PostgreSQL database of this test, which names no driver."""
    with _usage_errors(), postgres_server.database() as url:
        yield f"postgresql://{url.partition('://')[2]}"


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of an empty database of this test.

    It is on the server of `TEST_DATABASE_URL`, with the driver that is named there; without that
    variable, it is an SQLite file.
    """
    url = _own_database_url()
    if url.startswith("postgres"):
        server: PostgresServer = request.getfixturevalue("postgres_server")
        with _usage_errors(), server.database() as own:
            yield own
    else:
        yield f"{urlsplit(url).scheme or 'sqlite'}:///{tmp_path / 'test.db'}"


@pytest.fixture(scope="session")
def database_metadata() -> "MetaData":
    """Give the tables of `worker_database_url`: those of the library's `Base`.

    Override it for models with another base.
    """
    from fastapi_baseline.persistence import Base  # noqa: PLC0415 - as above.

    return Base.metadata


@pytest.fixture(scope="session")
def database_schema(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Give what makes the schema in an empty database; it is called with the URL, once per worker.

    By default it creates the tables of `database_metadata`. Override it to migrate instead: return
    `fastapi_baseline.testing.apply_migrations`.
    """
    from fastapi_baseline.testing.database import create_tables  # noqa: PLC0415 - as above.

    metadata: MetaData = request.getfixturevalue("database_metadata")
    return lambda url: create_tables(url, metadata=metadata)


@pytest.fixture(scope="session")
def worker_database_url(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    database_schema: Callable[[str], None],
) -> Iterator[str]:
    """Give the URL of a database that has its schema; the tests of one worker share it.

    It is where `database_url` is, and dropped after the last test. A test leaves nothing in it:
    that is what `session` is for.
    """
    url = _own_database_url()
    if url.startswith("postgres"):
        server: PostgresServer = request.getfixturevalue("postgres_server")
        with _usage_errors(), server.database() as own:
            database_schema(own)
            yield own
    else:
        folder = tmp_path_factory.mktemp("database")
        own = f"{urlsplit(url).scheme or 'sqlite'}:///{folder / 'worker.db'}"
        database_schema(own)
        yield own


@pytest.fixture
def model_factories() -> "Mapping[type, ModelFactory]":
    """Give what `make` makes entities with, by model: `{Item: make_item}`. Override it.

    A factory is called with the values that the test asks for, and adds those that it does not care
    about. It may be a coroutine function. A model without one is called itself.
    """
    return {}


@pytest.fixture
def make(session: "WriteSession", model_factories: "Mapping[type, ModelFactory]") -> "Make":
    """Give what makes entities that are stored, and undone after the test.

    So: `item = await make(Item, name="x")`, or `items = await make.many(3, Item)`.
    """
    from fastapi_baseline.testing.database import Make  # noqa: PLC0415 - as above.

    return Make(session, model_factories)


@pytest.fixture
def max_queries() -> "Callable[..., AbstractContextManager[list[str]]]":
    """Give what limits the statements that a block sends, and shows them if there are more.

    So: `with max_queries(3): ...`; see `fastapi_baseline.testing.max_queries`.
    """
    from fastapi_baseline.testing.queries import max_queries  # noqa: PLC0415 - as above.

    return max_queries


@pytest.fixture(scope="session")
def redis_server(_baseline_run: "Run") -> Iterator["RedisServer"]:
    """Give the Redis server of this run, or that of `TEST_REDIS_URL`."""
    from fastapi_baseline.testing.redis import (  # noqa: PLC0415 - as above.
        RedisServer,
        redis_server,
    )

    url = _own_url("TEST_REDIS_URL", "redis", "rediss", "unix")
    if url:
        yield RedisServer(url=url, run=_baseline_run)
        return
    with _usage_errors(), redis_server(run=_baseline_run) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: "RedisServer") -> Iterator[str]:
    """Give the URL of an empty logical Redis database of this test."""
    with _usage_errors(), redis_server.database() as url:
        yield url
