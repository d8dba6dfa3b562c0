"""Where processes keep entries together."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from fastapi_baseline._extras import optional
from fastapi_baseline.caching.entries import Entry

with optional("msgspec", extra="cache"):
    import msgspec


class Invalidation(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What is no longer to be believed; `sender` is the process that says so."""

    sender: str = ""
    tags: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    is_everything: bool = False


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a store says to whoever wants to make an entry.

    `is_granted` says that nobody else is making it. `entry` is what there is at this moment, if
    anything. `started_at` is the time of the store, in a form that can be compared, and `versions`
    are those of the tags that were named.
    """

    is_granted: bool
    entry: Entry | None
    started_at: bytes
    versions: dict[str, bytes]


class CacheStore(Protocol):
    """What processes keep entries in. Implement it to add a backend.

    Each method raises an `UnavailableError` if the store does not answer; what it should have done
    may be done then or not.
    """

    async def find(self, key: str, *, tags: Sequence[str] = ()) -> Entry | None:
        """Return the entry with this key, unless one of its tags was invalidated since.

        It takes one round trip if `tags` are the entry's own.
        """
        ...

    async def claim(
        self, key: str, *, token: str, tags: Sequence[str], lock_timeout_s: float
    ) -> Claim:
        """Ask to make the entry; a second call with the same token has the same outcome.

        If it is granted, nobody else may for `lock_timeout_s` seconds, or until `put` or `release`.
        """
        ...

    async def put(self, key: str, entry: Entry, *, token: str, claim: Claim, ttl_s: float) -> bool:
        """Keep an entry for `ttl_s` seconds, and return whether that was done.

        It is not, if one of its tags was invalidated since the claim, the key was deleted since, or
        somebody who began later has put his already. What the token has claimed is released.
        """
        ...

    async def release(self, key: str, *, token: str) -> None:
        """Let others make the entry, if the token has claimed it."""
        ...

    async def invalidate(self, invalidation: Invalidation) -> int:
        """Forget what it names, tell all processes, and return how many keys were removed.

        Tags are invalidated at once for any number of entries, which themselves stay until they
        expire; they do not count.
        """
        ...

    def list_entries(self, *, namespace: str | None = None) -> AsyncGenerator[tuple[str, Entry]]:
        """Yield keys and entries, of one namespace or of all, in no order."""
        ...

    def listen(self) -> AbstractAsyncContextManager[AsyncGenerator[Invalidation | None]]:
        """Give what all processes say is invalid, from when the block is entered.

        `None` comes from time to time, and says only that the store is there.
        """
        ...
