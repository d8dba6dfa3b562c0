"""What the processes of a service share through Redis."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi_baseline.app.shared import Shared
from fastapi_baseline.app.telemetry import Telemetry
from fastapi_baseline.health import CheckRegistration
from fastapi_baseline.idempotency.redis import RedisIdempotencyStore
from fastapi_baseline.observability.redis import instrument_redis
from fastapi_baseline.rate_limiting.redis import RedisRateLimitStore
from fastapi_baseline.rate_limiting.redis_leases import RedisLeaseStore
from fastapi_baseline.redis import CircuitBreaker, GuardedRedis, RedisPing, create_redis
from fastapi_baseline.settings import Settings


def share_by_redis(url: str, settings: Settings, *, telemetry: Telemetry) -> Shared:
    """Make the stores in the Redis at `url`, on one pool of connections; nothing connects yet.

    Raises:
        ConfigurationError: If the URL is none of Redis, or the library for it is missing.
    """
    behaviour, name = settings.redis, settings.service_name
    client = create_redis(url, max_connections=behaviour.max_connections, client_name=name)
    meters = telemetry.meter_provider
    instrument_redis(client, tracer_provider=telemetry.tracer_provider, meter_provider=meters)
    breaker = CircuitBreaker(
        failures_to_open=behaviour.failures_to_open, retry_interval=behaviour.retry_interval
    )
    guarded = GuardedRedis(
        client, deadline=behaviour.deadline, breaker=breaker, meter_provider=meters
    )

    def make_cache_store() -> Any:
        # Only a service that caches pays for the import of its codec.
        from fastapi_baseline.caching.redis import RedisCacheStore  # noqa: PLC0415

        return RedisCacheStore(guarded, namespace=name)

    @asynccontextmanager
    async def connections(_app: Any) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await client.aclose()

    return Shared(
        client=client,
        # It cannot do without, so it waits for longer.
        idempotency=RedisIdempotencyStore(client, namespace=name),
        rate_limits=RedisRateLimitStore(guarded, namespace=name),
        leases=RedisLeaseStore(guarded, namespace=name),
        make_cache_store=make_cache_store,
        # What needs it says so by failing; the rest of the service can do without.
        checks=[CheckRegistration(RedisPing(client), critical=False)],
        lifespans=[connections, guarded.lifespan],
    )
