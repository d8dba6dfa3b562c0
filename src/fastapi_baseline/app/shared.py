"""What the processes of a service share, and what each keeps for itself where they share nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi_baseline.health import CheckRegistration
from fastapi_baseline.idempotency import IdempotencyStore
from fastapi_baseline.lifecycle import HealthCheck, StatelessLifespan
from fastapi_baseline.rate_limiting import LeaseStore, RateLimitStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Stores that all processes of a service use, and what opens and closes them.

    `client` is that of Redis; `make_cache_store` makes the store of a cache, for services that have
    one.
    """

    client: Any = None
    idempotency: IdempotencyStore | None = None
    rate_limits: RateLimitStore | None = None
    leases: LeaseStore | None = None
    make_cache_store: Callable[[], Any] | None = None
    checks: list[HealthCheck | CheckRegistration] = field(
        default_factory=list[HealthCheck | CheckRegistration]
    )
    lifespans: list[StatelessLifespan] = field(default_factory=list[StatelessLifespan])
