"""Which service this is: what operators ask when two processes differ."""

import hashlib
import platform
from datetime import datetime

from fastapi import APIRouter

from fastapi_baseline import __version__
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.settings import Settings

INFO_PATH = "/info"
_FINGERPRINT_LENGTH = 12


def make_info_router(
    settings: Settings,
    *,
    version: str,
    commit: str | None = None,
    built_at: datetime | None = None,
    clock: Clock | None = None,
) -> APIRouter:
    """Return the route `/info`, for operators: it belongs behind a token, or on another port.

    `settings` in its answer is a fingerprint: it differs where two processes are configured
    differently. Secrets are no part of it.
    """
    clock = clock or SystemClock()
    started_at = clock.now()
    router = APIRouter(include_in_schema=False)
    constant: dict[str, object] = {
        "service": settings.service_name,
        "environment": settings.environment,
        "version": version,
        "commit": commit,
        "built_at": built_at.isoformat() if built_at is not None else None,
        "python": platform.python_version(),
        "fastapi_baseline": __version__,
        "settings": fingerprint(settings),
        "started_at": started_at.isoformat(),
    }

    @router.get(INFO_PATH)
    async def describe() -> dict[str, object]:
        return constant | {"uptime_s": round((clock.now() - started_at).total_seconds(), 1)}

    return router


def fingerprint(settings: Settings) -> str:
    """Return a text that is the same for equal settings, whatever their secrets are."""
    # Secrets are masked in JSON.
    content = settings.model_dump_json().encode("utf-8")
    return hashlib.sha256(content).hexdigest()[:_FINGERPRINT_LENGTH]
