"""How often callers may ask: limits per address, API key, caller, route and plan.

    limiter = RateLimiter()
    app.state.limiter = limiter

    @app.get("/reports")
    @limiter.limit("100/minute")
    async def list_reports() -> list[str]: ...

It is slowapi's way to declare limits, and what was written for slowapi is understood; counting is
done here, in Redis or in the process. Names are imported when they are first used: only a service
that declares limits pays for the import of slowapi.
"""

from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily

if TYPE_CHECKING:
    from fastapi_baseline.rate_limiting.application import ApplicationLimits, make_rate_limits
    from fastapi_baseline.rate_limiting.concurrency import (
        ConcurrencyLimiter,
        ConcurrencyLimitExceededError,
        ConcurrencyPolicy,
        LeaseStore,
    )
    from fastapi_baseline.rate_limiting.decisions import Decision, Demand, PolicyOutcome
    from fastapi_baseline.rate_limiting.engine import RateLimitEngine
    from fastapi_baseline.rate_limiting.errors import RateLimitUnavailableError
    from fastapi_baseline.rate_limiting.keys import get_caller, get_client_address
    from fastapi_baseline.rate_limiting.limiter import Limiter, RateLimiter
    from fastapi_baseline.rate_limiting.memory import MemoryRateLimitStore
    from fastapi_baseline.rate_limiting.middleware import RateLimitMiddleware
    from fastapi_baseline.rate_limiting.penalties import Penalty, PenaltyBox
    from fastapi_baseline.rate_limiting.policies import (
        FailureMode,
        Quota,
        QuotaPolicy,
        Strategy,
        parse_quotas,
    )
    from fastapi_baseline.rate_limiting.slowapi_rules import QuotaExceededError
    from fastapi_baseline.rate_limiting.store import RateLimitStore

__all__ = [
    "ApplicationLimits",
    "ConcurrencyLimitExceededError",
    "ConcurrencyLimiter",
    "ConcurrencyPolicy",
    "Decision",
    "Demand",
    "FailureMode",
    "LeaseStore",
    "Limiter",
    "MemoryRateLimitStore",
    "Penalty",
    "PenaltyBox",
    "PolicyOutcome",
    "Quota",
    "QuotaExceededError",
    "QuotaPolicy",
    "RateLimitEngine",
    "RateLimitMiddleware",
    "RateLimitStore",
    "RateLimitUnavailableError",
    "RateLimiter",
    "Strategy",
    "get_caller",
    "get_client_address",
    "make_rate_limits",
    "parse_quotas",
]

_HOMES = {
    "ApplicationLimits": "application",
    "ConcurrencyLimitExceededError": "concurrency",
    "ConcurrencyLimiter": "concurrency",
    "ConcurrencyPolicy": "concurrency",
    "Decision": "decisions",
    "Demand": "decisions",
    "FailureMode": "policies",
    "LeaseStore": "concurrency",
    "Limiter": "limiter",
    "MemoryRateLimitStore": "memory",
    "Penalty": "penalties",
    "PenaltyBox": "penalties",
    "PolicyOutcome": "decisions",
    "Quota": "policies",
    "QuotaExceededError": "slowapi_rules",
    "QuotaPolicy": "policies",
    "RateLimitEngine": "engine",
    "RateLimitMiddleware": "middleware",
    "RateLimitStore": "store",
    "RateLimitUnavailableError": "errors",
    "RateLimiter": "limiter",
    "Strategy": "policies",
    "get_caller": "keys",
    "get_client_address": "keys",
    "make_rate_limits": "application",
    "parse_quotas": "policies",
}

__getattr__, __dir__ = export_lazily(__name__, _HOMES)
