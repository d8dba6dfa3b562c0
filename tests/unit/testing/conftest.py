import importlib
from collections.abc import Callable

import pytest

# Loaded before any test: pytester forgets the modules that a test has loaded first, and these do
# not survive to be loaded twice.
for _driver in ("asyncpg", "psycopg"):
    importlib.import_module(_driver)


@pytest.fixture
def ask_redis() -> Callable[..., object]:
    """Return a function that sends one command to the Redis database of a URL."""
    redis = importlib.import_module("redis")

    def ask(url: str, *command: str) -> object:
        with redis.Redis.from_url(url) as client:
            return client.execute_command(*command)

    return ask
