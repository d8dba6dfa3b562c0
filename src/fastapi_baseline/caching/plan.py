"""What is to become of the response to one request."""

from dataclasses import dataclass

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.freshness import Lifetime
from fastapi_baseline.caching.policy import ResponsePolicy
from fastapi_baseline.caching.shortcuts import Asked
from fastapi_baseline.caching.single_flight import Flight


@dataclass(slots=True, kw_only=True)
class Plan:
    """Under which key a response is kept, for how long, and who waits for it.

    `reason` is why the handler was asked, in a word of RFC 9211. `fallback` is given if the handler
    fails. `shortcut` is what the request asked for, if the answer may be given before routing.
    """

    key: str
    policy: ResponsePolicy
    lifetime: Lifetime
    tags: tuple[str, ...]
    reason: str
    started_at: float
    flight: Flight | None = None
    """Who stores it; `None` if whoever has asked for it does."""
    fallback: Entry | None = None
    shortcut: Asked | None = None
