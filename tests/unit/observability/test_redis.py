from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from fastapi_baseline.observability.redis import instrument_redis

DURATION = "db.client.operation.duration"
Points = Callable[[str], dict[tuple[object, ...], Any]]


class EchoingRedis(Redis):
    """Answers each command with its name, without a server."""

    def __init__(self, *, error: Exception | None = None) -> None:
        super().__init__(connection_pool=ConnectionPool(host="cache.example"))  # pyright: ignore[reportUnknownMemberType] -- untyped keywords
        self._error = error

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        if self._error is not None:
            raise self._error
        return args[0]


async def test_measures_commands_by_name(meter_provider: MeterProvider, points: Points) -> None:
    client = EchoingRedis()
    instrument_redis(client, meter_provider=meter_provider)

    answers = [await client.execute_command(name) for name in ("GET", "get", b"GET", "SCRIPT LOAD")]

    assert answers == ["GET", "get", b"GET", "SCRIPT LOAD"]
    assert points(DURATION) == {("GET", "redis"): 3, ("SCRIPT LOAD", "redis"): 1}


@pytest.mark.parametrize("name", ["", "x" * 41, "GET\n", b"\xff", "Schlüssel"])
async def test_has_no_name_for_what_can_be_none(
    meter_provider: MeterProvider, points: Points, name: str | bytes
) -> None:
    client = EchoingRedis()
    instrument_redis(client, meter_provider=meter_provider)

    await client.execute_command(name)

    assert points(DURATION) == {("_OTHER", "redis"): 1}


async def test_names_from_data_make_no_end_of_series(
    meter_provider: MeterProvider, points: Points
) -> None:
    client = EchoingRedis()
    instrument_redis(client, meter_provider=meter_provider)

    for number in range(600):
        await client.execute_command(f"COMMAND{number}")

    assert len(points(DURATION)) == 501
    assert points(DURATION)["_OTHER", "redis"] == 100


async def test_says_that_a_command_failed(meter_provider: MeterProvider, points: Points) -> None:
    client = EchoingRedis(error=RedisConnectionError("away"))
    instrument_redis(client, meter_provider=meter_provider)

    with pytest.raises(RedisConnectionError):
        await client.execute_command("GET")

    assert points(DURATION) == {("ConnectionError", "GET", "redis"): 1}


async def test_counts_nothing_twice(meter_provider: MeterProvider, points: Points) -> None:
    client = EchoingRedis()
    for _ in range(2):
        instrument_redis(client, meter_provider=meter_provider)

    await client.execute_command("GET")

    assert points(DURATION) == {("GET", "redis"): 1}
