import importlib
from collections.abc import Callable

import pytest


@pytest.fixture
def ask_redis() -> Callable[..., object]:
    """Return a function that sends one command to the Redis database of a URL."""
    redis = importlib.import_module("redis")

    def ask(url: str, *command: str) -> object:
        with redis.Redis.from_url(url) as client:
            return client.execute_command(*command)

    return ask
