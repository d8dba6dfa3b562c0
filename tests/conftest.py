"""What every test may ask for; servers come from the library's own plugin."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from fastapi_baseline.testing import RedisServer, redis_process

# For each change half as many as by default, and for nights, in which there is time:
# `--hypothesis-profile=thorough --fuzz-requests=20000`.
settings.register_profile("quick", max_examples=50)
settings.register_profile("thorough", max_examples=2_000)
settings.load_profile("quick")

pytest_plugins = ["pytester"]


# What was collected lives until the end: to look through all of it whenever an application or two
# have been built takes a tenth of the time of all tests.
gc.set_threshold(20_000, 20, 20)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz-requests", type=int, help="how many requests each fuzz test sends")


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def any_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database: the test runs once on each that is supported."""
    driver: str = request.param
    if driver == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url.replace("postgresql://", f"postgresql+{driver}://", 1)


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the URL of an empty Redis: a database, or a server if the test counts its commands."""
    if request.node.get_closest_marker("counts_commands") is not None:
        with redis_process() as process:
            yield process.url
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    with server.database() as url:
        yield url
