"""The systems that an application keeps its data in, as the settings name them."""

from dataclasses import dataclass, field

from fastapi import FastAPI
from starlette.middleware import Middleware

from fastapi_baseline.app.caching import is_caching, open_cache, report_missing_cache
from fastapi_baseline.app.shared import Shared
from fastapi_baseline.app.telemetry import Telemetry
from fastapi_baseline.clock import Clock
from fastapi_baseline.health import CheckRegistration
from fastapi_baseline.idempotency import IdempotencyStore, MemoryIdempotencyStore
from fastapi_baseline.inspection import refusing
from fastapi_baseline.lifecycle import HealthCheck, StatelessLifespan
from fastapi_baseline.rate_limiting import ApplicationLimits, make_rate_limits
from fastapi_baseline.settings import Settings


@dataclass(slots=True, kw_only=True)
class Backends:
    """What an application gets of its backends: checks, what opens and closes them, and stores.

    `inner_lifespans` are entered after that of the service itself. `cache_layer` is `None` if
    nothing is kept of responses.
    """

    checks: list[HealthCheck | CheckRegistration] = field(
        default_factory=list[HealthCheck | CheckRegistration]
    )
    lifespans: list[StatelessLifespan] = field(default_factory=list[StatelessLifespan])
    inner_lifespans: list[StatelessLifespan] = field(default_factory=list[StatelessLifespan])
    idempotency: IdempotencyStore
    rate_limits: ApplicationLimits
    cache_layer: Middleware | None = None


def open_backends(
    app: FastAPI, settings: Settings, *, telemetry: Telemetry, clock: Clock
) -> Backends:
    """Make what the settings name, for the routes of `app`; nothing connects yet.

    Raises:
        ConfigurationError: If a URL cannot be used, a library is missing, a limit is not
            understood, or the application pages by cursor and has no key for it.
    """
    meters = telemetry.meter_provider
    shared = _share(settings, telemetry)
    idempotency, remembering = shared.idempotency, settings.idempotency
    if idempotency is None:
        idempotency = MemoryIdempotencyStore(clock=clock, max_entries=remembering.max_entries)
    limits = make_rate_limits(
        settings.rate_limits,
        shared=shared.rate_limits,
        shared_leases=shared.leases,
        clock=clock,
        meter_provider=meters,
    )
    app.state.rate_limits = limits
    # For limits that hold whatever `RATE_LIMITS` says, such as those of attempts to sign in.
    app.state.rate_limit_store = shared.rate_limits
    backends = Backends(idempotency=idempotency, rate_limits=limits)
    if settings.database_url is not None:
        _open_database(app, settings, backends, telemetry=telemetry, clock=clock)
    if shared.client is not None:
        app.state.redis = shared.client
    backends.checks += shared.checks
    backends.lifespans += shared.lifespans
    if is_caching():
        cache = open_cache(app, settings, shared=shared, clock=clock, meter_provider=meters)
        backends.cache_layer = cache.layer
        backends.lifespans.append(cache.lifespan)
        backends.inner_lifespans += cache.inner_lifespans
    else:
        backends.inner_lifespans.append(report_missing_cache)
    backends.inner_lifespans.append(limits.lifespan)
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
        with refusing():
            database.cursor_key()
    tracers, meters = telemetry.tracer_provider, telemetry.meter_provider
    for name, engine in database.engines.items():
        # Also if nothing is measured or traced: the access log counts the statements of a request.
        instrument_engine(engine, tracer_provider=tracers, meter_provider=meters)
        observe_pool(engine, name=name, meter_provider=meters)
    app.state.database = database
    backends.checks.append(database)
    backends.lifespans.append(database.lifespan)


def _share(settings: Settings, telemetry: Telemetry) -> Shared:
    if settings.redis_url is None:
        return Shared()
    # Likewise.
    from fastapi_baseline.app.redis import share_by_redis  # noqa: PLC0415

    return share_by_redis(settings.redis_url.get_secret_value(), settings, telemetry=telemetry)
