"""For how long something is good, and when to make it anew."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi_baseline.caching.entries import Entry

_ZERO = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """For how long something is kept, counted from when it is stored.

    It is fresh for `expire`, or for as long as the settings say. After that it may be given for
    `stale` more while it is made anew in the background, and for `stale_if_error` more if that
    fails (RFC 5861). `jitter` is the share by which `expire` is shortened at random at most.
    """

    expire: timedelta | None = None
    stale: timedelta | None = None
    stale_if_error: timedelta | None = None
    jitter: float | None = None


@dataclass(frozen=True, slots=True)
class Moments:
    """When an entry is stored, and until when it is what; seconds since 1970 (UTC)."""

    stored_at: float
    fresh_until: float
    stale_until: float
    error_until: float

    def entry(self, body: bytes, **fields: Any) -> Entry:
        """Return an entry with these moments; `fields` are the others of `Entry`."""
        return Entry(
            body=body,
            stored_at=self.stored_at,
            fresh_until=self.fresh_until,
            stale_until=self.stale_until,
            error_until=self.error_until,
            **fields,
        )


def moments_of(
    lifetime: Lifetime,
    *,
    now: float,
    default: timedelta,
    jitter: float,
    random: Callable[[], float],
) -> Moments:
    """Return the moments of something that is stored now; what is not said is `default`."""
    share = jitter if lifetime.jitter is None else lifetime.jitter
    expire = default if lifetime.expire is None else lifetime.expire
    fresh_until = now + expire.total_seconds() * (1 - share * random())
    return Moments(
        stored_at=now,
        fresh_until=fresh_until,
        stale_until=fresh_until + (lifetime.stale or _ZERO).total_seconds(),
        error_until=fresh_until + (lifetime.stale_if_error or _ZERO).total_seconds(),
    )


def refresh_moment(entry: Entry, *, random: Callable[[], float]) -> float:
    """Return when to make an entry anew, before it is stale: sooner if it takes longer to make.

    Each process draws a moment of its own, from an exponential distribution (XFetch; Vattani,
    Chierichetti and Lowenstein, VLDB 2015), so that few of them come at the same time. What may not
    be given while it is stale is not made anew before its time either.
    """
    if entry.stale_until <= entry.fresh_until:
        return entry.fresh_until
    # 1 - random() is never zero.
    return entry.fresh_until + entry.making_s * math.log(1 - random())
