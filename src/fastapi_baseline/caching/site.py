"""What all requests that one layer answers have in common."""

from dataclasses import dataclass, field

from starlette.types import ASGIApp

from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.keys import Credentials
from fastapi_baseline.caching.shortcuts import Shortcuts


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One application, and the cache of its responses."""

    app: ASGIApp
    cache: Cache
    credentials: Credentials
    answers_conditions: bool
    """Whether nobody outside tells clients that what they have is still right."""
    shortcuts: Shortcuts = field(default_factory=Shortcuts)

    def now(self) -> float:
        """Return the moment, in seconds since 1970."""
        return self.cache.clock.now().timestamp()

    def shown(self, key: str | None) -> str | None:
        """Return a key as responses may show it: not at all, unless the settings say so."""
        return key if self.cache.settings.debug_keys else None
