"""What a service is told about what it shares through Redis: its cache and its limits."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from fastapi_baseline.settings.values import Duration, Section, TextList


class RedisSettings(Section):
    """How long Redis is waited for, if `REDIS_URL` says where it is."""

    deadline: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(milliseconds=50)
    """How long a request waits for the cache or for a limit, before it goes on without."""
    max_connections: PositiveInt = 50
    """How many connections one process opens."""
    failures_to_open: PositiveInt = 5
    """After how many failures in a row Redis is no longer asked."""
    retry_interval: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=1)
    """How often it is then tried whether Redis is back; no request waits for that."""


class RateLimitSettings(Section):
    """How often callers may ask, in words such as `100/minute` or `10/second`."""

    enabled: bool = True
    """Whether there are limits at all, also those that routes declare."""
    per_address: TextList = ()
    """Limits on all requests of one address, before anything is done for them."""
    per_api_key: TextList = ()
    """Limits on all requests with one API key, likewise."""
    api_key_header: str = "X-API-Key"
    """The header that API keys come in."""
    default: TextList = ()
    """Limits on each route that declares none, per caller."""
    strategy: Literal["gcra", "fixed-window", "sliding-window"] = "gcra"
    """How requests are counted: `gcra` gives back evenly what was used, the others in windows."""
    failure_mode: Literal["local", "open", "closed"] = "local"
    """What holds while Redis does not answer: a count of each process, no limit, or no request."""
    instances: PositiveInt = 1
    """How many processes share a limit; while Redis does not answer, each has its part of it."""
    shadow: bool = False
    """Whether limits only count and report, and refuse nobody."""
    headers: Literal["draft", "legacy", "both", "none"] = "draft"
    """Which headers tell what is left: those of the draft of the IETF (`RateLimit`), the older
    `X-RateLimit-*`, both or none."""
    max_keys: PositiveInt = 100_000
    """How many callers a process counts by itself; the ones seen least recently are forgotten."""


class CacheSettings(Section):
    """What is kept of responses and values, and for how long."""

    enabled: bool = True
    """Whether anything is."""
    expire: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(minutes=1)
    """How long what does not say otherwise is fresh."""
    max_size: NonNegativeInt = 64 * 1024 * 1024
    """How many bytes a process keeps by itself, besides what is in Redis."""
    local_expire: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=5)
    """How long a process believes its own copy of what is in Redis, at most."""
    max_entry_size: PositiveInt = 1024 * 1024
    """Responses and values with more bytes are not kept."""
    jitter: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """By which share lifetimes are shortened at random, so that what was stored together does not
    expire together."""
    lock_timeout: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=5)
    """How long a process waits for another that computes the same, before it does so itself."""
    credential_headers: TextList = ("authorization", "x-api-key")
    """Headers that say who is asking: what is not public is kept for each of their values."""
    credential_cookies: TextList | None = None
    """Cookies that say who is asking; unset means every cookie."""
    debug_keys: bool = False
    """Whether `Cache-Status` shows the keys of entries."""
