"""What a response says of the cache: `Cache-Status` (RFC 9211), `Age`, `Cache-Control`, `Vary`."""

from collections.abc import Collection, Iterable, Sequence
from math import floor

from fastapi_baseline.caching.entries import Entry, Header
from fastapi_baseline.caching.request_directives import CACHE_CONTROL
from fastapi_baseline.caching.storability import VARY

CACHE_STATUS = b"cache-status"
AGE = b"age"
ETAG = b"etag"
CONTENT_LENGTH = b"content-length"
# What belongs to one connection, moment or client. Layers outside write the others anew.
_NOT_KEPT = frozenset(
    {
        AGE,
        CACHE_STATUS,
        b"connection",
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-request-id",
    }
)


def kept_headers(headers: Iterable[Header], *, length: int) -> list[Header]:
    """Return the headers that are kept with a body of some length."""
    kept = [pair for pair in headers if pair[0] not in _NOT_KEPT]
    if length and not any(name == CONTENT_LENGTH for name, _ in kept):
        kept.append((CONTENT_LENGTH, b"%d" % length))
    return kept


def with_vary(headers: Sequence[Header], names: Collection[bytes]) -> list[Header]:
    """Return headers that say of which request headers the response depends, in one `Vary`."""
    present = [value for name, value in headers if name == VARY]
    known = {part.strip().lower() for value in present for part in value.split(b",")}
    added = [_spell(name) for name in sorted(names) if name not in known]
    values = [*present, *added]
    others = [pair for pair in headers if pair[0] != VARY]
    return [*others, (VARY, b", ".join(values))] if values else others


def _spell(name: bytes) -> bytes:
    return b"-".join(part.capitalize() for part in name.split(b"-"))


def control_of(entry: Entry, *, is_public: bool) -> Header:
    """Return the `Cache-Control` that tells clients how long an entry is good.

    No invalidation reaches the cache of a client: one that has what has tags asks each time, and is
    mostly answered with 304.
    """
    if entry.tags and not is_public:
        return CACHE_CONTROL, b"private, no-cache"
    parts = [b"public" if is_public else b"private"]
    parts.append(b"max-age=%d" % max(0, floor(entry.fresh_until - entry.stored_at)))
    if entry.stale_until > entry.fresh_until:
        parts.append(b"stale-while-revalidate=%d" % (entry.stale_until - entry.fresh_until))
    if entry.error_until > entry.fresh_until:
        parts.append(b"stale-if-error=%d" % (entry.error_until - entry.fresh_until))
    return CACHE_CONTROL, b", ".join(parts)


def age_of(entry: Entry, *, now: float) -> Header:
    """Return how many seconds ago an entry was made."""
    return AGE, b"%d" % max(0, now - entry.stored_at)


def hit_status(entry: Entry, *, now: float, key: str | None = None) -> Header:
    """Return what `Cache-Status` says of an entry that is given; a stale one has a negative `ttl`."""
    ttl = floor(entry.fresh_until - now)
    return CACHE_STATUS, b"baseline; hit; ttl=%d%b" % (ttl, _key(key))


def forward_status(reason: str, *details: str, key: str | None = None) -> Header:
    """Return what `Cache-Status` says of a request that the handler was asked, and why it was."""
    value = "; ".join((f"baseline; fwd={reason}", *details))
    return CACHE_STATUS, value.encode("ascii") + _key(key)


def _key(key: str | None) -> bytes:
    return b"" if key is None else b'; key="%b"' % key.encode("ascii", "replace")
