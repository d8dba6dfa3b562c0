"""The systems that an application keeps its data in, as the settings name them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

from fastapi_baseline.app.telemetry import Telemetry
from fastapi_baseline.clock import Clock
from fastapi_baseline.health import CheckRegistration
from fastapi_baseline.idempotency import IdempotencyStore, MemoryIdempotencyStore
from fastapi_baseline.lifecycle import HealthCheck, StatelessLifespan
from fastapi_baseline.settings import Settings


@dataclass(slots=True, kw_only=True)
class Backends:
    """What an application gets of its backends: checks, what opens and closes them, and stores."""

    checks: list[HealthCheck | CheckRegistration] = field(
        default_factory=list[HealthCheck | CheckRegistration]
    )
    lifespans: list[StatelessLifespan] = field(default_factory=list[StatelessLifespan])
    idempotency: IdempotencyStore


def open_backends(
    app: FastAPI, settings: Settings, *, telemetry: Telemetry, clock: Clock
) -> Backends:
    """Make what the settings name, for the routes of `app`; nothing connects yet.

    Raises:
        ConfigurationError: If a URL cannot be used, a library is missing, or the application pages
            by cursor and has no key for it.
    """
    idempotency = settings.idempotency
    backends = Backends(
        idempotency=MemoryIdempotencyStore(clock=clock, max_entries=idempotency.max_entries)
    )
    if settings.database_url is not None:
        _open_database(app, settings, backends, telemetry=telemetry, clock=clock)
    if settings.redis_url is not None:
        _open_redis(app, settings, backends, telemetry=telemetry)
    return backends


def _open_database(
    app: FastAPI, settings: Settings, backends: Backends, *, telemetry: Telemetry, clock: Clock
) -> None:
    # Only a service with a database pays for the import of SQLAlchemy.
    from fastapi_baseline.observability.sqlalchemy import (  # noqa: PLC0415
        instrument_engine,
        observe_pool,
    )
    from fastapi_baseline.persistence import Database  # noqa: PLC0415
    from fastapi_baseline.persistence.query.cursor_routes import has_cursor_routes  # noqa: PLC0415

    database = Database.from_settings(settings, clock=clock)
    if has_cursor_routes(app.routes):
        # A service that cannot page does not start, instead of failing when somebody pages.
        database.cursor_key()
    tracers, meters = telemetry.tracer_provider, telemetry.meter_provider
    for name, engine in database.engines.items():
        # Also if nothing is measured or traced: the access log counts the statements of a request.
        instrument_engine(engine, tracer_provider=tracers, meter_provider=meters)
        observe_pool(engine, name=name, meter_provider=meters)
    app.state.database = database
    backends.checks.append(database)
    backends.lifespans.append(database.lifespan)


def _open_redis(
    app: FastAPI, settings: Settings, backends: Backends, *, telemetry: Telemetry
) -> None:
    # Likewise.
    from fastapi_baseline.idempotency.redis import RedisIdempotencyStore  # noqa: PLC0415
    from fastapi_baseline.observability.redis import instrument_redis  # noqa: PLC0415
    from fastapi_baseline.redis import RedisPing, create_redis  # noqa: PLC0415

    assert settings.redis_url is not None  # noqa: S101 -- who calls this has looked
    client = create_redis(settings.redis_url.get_secret_value(), client_name=settings.service_name)
    instrument_redis(
        client,
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
    )
    app.state.redis = client
    backends.idempotency = RedisIdempotencyStore(client, namespace=settings.service_name)
    # What needs it says so by failing; the rest of the service can do without.
    backends.checks.append(CheckRegistration(RedisPing(client), critical=False))

    @asynccontextmanager
    async def redis(_app: Any) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await client.aclose()

    backends.lifespans.append(redis)
