"""Entries in Redis, which all processes of a service share.

Each entry, and the lock of whoever makes it, are in one slot of a cluster; each tag is in a slot of
its own. A tag has a version, which an entry remembers: to invalidate the tag is to remove it. What
Redis evicts or loses can therefore only make entries invalid, and never valid again.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from secrets import token_bytes
from typing import Any
from urllib.parse import unquote

from fastapi_baseline.caching import wire
from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.redis_io import RedisIO
from fastapi_baseline.caching.store import Claim, Invalidation
from fastapi_baseline.caching.tags import key_of
from fastapi_baseline.redis.guard import GuardedRedis
from fastapi_baseline.redis.keys import KeySpace

# Without an entry there is only the time; the lock may be the caller's already, if a command was
# sent again after its reply was lost.
_CLAIM = """
local time = redis.call('TIME')
local granted = redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2])
if not granted then granted = redis.call('GET', KEYS[2]) == ARGV[1] end
return {granted and 1 or 0, string.format('%010d%06d', time[1], time[2]),
  redis.call('GET', KEYS[1])}
"""
# What was begun later wins: also a deletion, which leaves its time behind for a while.
_PUT = """
local stored = redis.call('GETRANGE', KEYS[1], 1, 16)
local kept = 0
if stored <= string.sub(ARGV[2], 2, 17) then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  kept = 1
end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return kept
"""
_DELETE = """
local time = redis.call('TIME')
local had = redis.call('GETRANGE', KEYS[1], 0, 0) == ARGV[2] and 1 or 0
local now = string.format('%010d%06d', time[1], time[2])
redis.call('SET', KEYS[1], ARGV[1] .. now, 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return had
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
_VERSION = """
local version = redis.call('GET', KEYS[1])
if version then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
  return version
end
local time = redis.call('TIME')
version = string.format('%010d%06d', time[1], time[2]) .. ARGV[1]
redis.call('SET', KEYS[1], version, 'PX', ARGV[2])
return version
"""
_DELETED_MS = 60_000
"""How long a deletion is remembered: what was begun before it is not stored for that long."""
_TAG_MS = 3_600_000
"""How long a tag is kept at least; longer than what is stored with it."""


class RedisCacheStore:
    """A `CacheStore` in Redis 6.2 or later. Its memory may be bounded, with any eviction policy.

    Entries are bytes that only data can be read from. The client must give bytes
    (`decode_responses=False`, which is the default).
    """

    def __init__(self, redis: GuardedRedis, *, namespace: str = "service") -> None:
        """Keep entries apart from those of other services by `namespace`."""
        self._io = RedisIO(redis)
        self._entries = KeySpace("cache", namespace=namespace)
        self._tags = KeySpace("cache-tags", namespace=namespace)
        self._channel = f"cache:1:{namespace}"

    async def find(self, key: str, *, tags: Sequence[str] = ()) -> Entry | None:
        """Return the entry with this key, unless one of its tags was invalidated since."""
        values = await self._io.read([self._entries.key(key), *map(self._tags.key, tags)])
        return await self._current(values[0], dict(zip(tags, values[1:], strict=True)))

    async def claim(
        self, key: str, *, token: str, tags: Sequence[str], lock_timeout_s: float
    ) -> Claim:
        """Ask to make the entry, and see what there is."""
        names = self._names(key)
        # The tags first: so what is made afterwards has versions that are older than it.
        calls = [self._version_call(tag, _TAG_MS) for tag in tags]
        calls.append((_CLAIM, 2, *names, token, _milliseconds(lock_timeout_s)))
        *found, (granted, started_at, value) = await self._io.evaluate(calls)
        versions = dict(zip(tags, found, strict=True))
        return Claim(
            is_granted=bool(granted),
            entry=await self._current(value, versions),
            started_at=started_at,
            versions=versions,
        )

    async def put(self, key: str, entry: Entry, *, token: str, claim: Claim, ttl_s: float) -> bool:
        """Keep an entry, and release what the token has claimed."""
        ttl = _milliseconds(ttl_s)
        versions = dict(claim.versions)
        late = [tag for tag in entry.tags if tag not in versions]
        if late:
            found = await self._io.evaluate([self._version_call(tag, _TAG_MS) for tag in late])
            versions.update(zip(late, found, strict=True))
            # A tag may have been invalidated since, and nobody can tell.
            if any(version[: wire.MOMENT_SIZE] >= claim.started_at for version in found):
                await self.release(key, token=token)
                return False
        remembered = tuple(versions[tag] for tag in entry.tags)
        value = wire.pack(entry, versions=remembered, started_at=claim.started_at)
        # The tags last longer than what is stored with them.
        calls = [self._version_call(tag, ttl + _TAG_MS) for tag in entry.tags]
        calls.append((_PUT, 2, *self._names(key), token, value, ttl))
        *found, kept = await self._io.evaluate(calls)
        return bool(kept) and tuple(found) == remembered

    async def release(self, key: str, *, token: str) -> None:
        """Let others make the entry, if the token has claimed it."""
        await self._io.evaluate([(_RELEASE, 1, self._entries.key(key, "lock"), token)])

    async def invalidate(self, invalidation: Invalidation) -> int:
        """Forget what it names, tell all processes, and return how many keys were removed."""
        removed = 0
        namespaces: Sequence[str | None] = invalidation.namespaces
        for namespace in (None,) if invalidation.is_everything else namespaces:
            removed += await self._io.remove(self._pattern(namespace))
        if invalidation.is_everything:
            await self._io.remove(self._tags.pattern)

        def commands(pipeline: Any) -> None:
            for tag in invalidation.tags:
                pipeline.unlink(self._tags.key(tag))
            for key in invalidation.keys:
                pipeline.eval(
                    _DELETE, 2, *self._names(key), wire.TOMBSTONE, wire.FORMAT, _DELETED_MS
                )
            # Last: who hears of it finds it done.
            pipeline.publish(self._channel, wire.pack_invalidation(invalidation))

        results = await self._io.send(commands)
        first = len(invalidation.tags)
        return removed + sum(results[first : first + len(invalidation.keys)])

    async def list_entries(
        self, *, namespace: str | None = None
    ) -> AsyncGenerator[tuple[str, Entry]]:
        """Yield keys and entries, of one namespace or of all, in no order."""
        async for names in self._io.scan(self._pattern(namespace)):
            read = [name for name in names if name.endswith(b"}")]
            entries = [wire.unpack(value) for value in await self._io.read(read)]
            tags = {tag for found in entries if found is not None for tag in found[1].tags}
            versions = await self._versions(tags)
            for name, found in zip(read, entries, strict=True):
                if found is not None and _is_current(found, versions):
                    yield unquote(name.decode().partition("{")[2][:-1]), found[1]

    @asynccontextmanager
    async def listen(self) -> AsyncGenerator[AsyncGenerator[Invalidation | None]]:
        """Give what all processes say is invalid, from when the block is entered."""
        async with self._io.subscribed(self._channel) as messages:
            yield _invalidations(messages)

    def _names(self, key: str) -> tuple[str, str]:
        return self._entries.key(key), self._entries.key(key, "lock")

    def _pattern(self, namespace: str | None) -> str:
        if namespace is None:
            return self._entries.pattern
        # Its characters mean themselves, in a pattern and in a key.
        key_of(namespace, "")
        return f"{self._entries.pattern[:-1]}{{{namespace}%3A*"

    def _version_call(self, tag: str, ttl_ms: int) -> tuple[Any, ...]:
        return (_VERSION, 1, self._tags.key(tag), token_bytes(8), ttl_ms)

    async def _current(
        self, value: bytes | None, versions: dict[str, bytes | None]
    ) -> Entry | None:
        """Return the entry of a value whose tags still have the versions that it remembers."""
        found = wire.unpack(value)
        if found is None:
            return None
        unknown = [tag for tag in found[1].tags if tag not in versions]
        known = {**versions, **await self._versions(unknown)} if unknown else versions
        return found[1] if _is_current(found, known) else None

    async def _versions(self, tags: Collection[str]) -> dict[str, bytes | None]:
        found = await self._io.read([*map(self._tags.key, tags)])
        return dict(zip(tags, found, strict=True))


async def _invalidations(
    messages: AsyncGenerator[bytes | None],
) -> AsyncGenerator[Invalidation | None]:
    async for message in messages:
        yield None if message is None else wire.unpack_invalidation(message)


def _is_current(
    found: tuple[tuple[bytes, ...], Entry], versions: Mapping[str, bytes | None]
) -> bool:
    remembered, entry = found
    return all(
        versions[tag] == version for tag, version in zip(entry.tags, remembered, strict=True)
    )


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
