"""Bodies that were compressed once, for all who are given the same entry."""

from starlette.types import Scope

from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.entries import Entry

SCOPE_KEY = "fastapi_baseline.encoded_bodies"
"""Where what compresses bodies finds what it need not compress again."""


class EncodedBodies:
    """The body of one entry in other codings.

    They are part of the entry, so what belongs to one caller is found for nobody else, and what was
    invalidated goes with it.
    """

    __slots__ = ("_cache", "_entry", "_key", "body")

    def __init__(self, cache: Cache, key: str, entry: Entry) -> None:
        """Keep them with the entry of a key."""
        self.body = entry.body
        """What they are codings of; for any other body, they are no good."""
        self._cache = cache
        self._key = key
        self._entry = entry

    def find(self, coding: str) -> bytes | None:
        """Return the body in a coding, if somebody has kept it."""
        return self._entry.variants.get(coding)

    def keep(self, coding: str, encoded: bytes) -> None:
        """Keep the body in a coding."""
        self._cache.add_variant(self._key, self._entry, coding=coding, body=encoded)


def offer_variants(cache: Cache, key: str, entry: Entry, *, scope: Scope) -> None:
    """Let whoever compresses the response to a request find, and keep, what it is compressed."""
    if entry.body:
        scope[SCOPE_KEY] = EncodedBodies(cache, key, entry)
