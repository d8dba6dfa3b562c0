"""`baseline cache`: what the processes of a service keep together in Redis."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.redis import RedisCacheStore
from fastapi_baseline.caching.store import Invalidation
from fastapi_baseline.cli.console import print_done, print_lines, without_log
from fastapi_baseline.cli.run import Target, enter, find_settings
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.redis import CircuitBreaker, GuardedRedis, create_redis
from fastapi_baseline.settings import Settings

DEADLINE = timedelta(seconds=5)
"""How long Redis is waited for: whoever types a command has more time than a request."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which entries are meant: those of one tag, key or namespace, or all if none is named."""

    tag: str | None = None
    key: str | None = None
    namespace: str | None = None

    @property
    def words(self) -> str:
        """Return what is meant, in words that follow "entries"."""
        if self.tag is not None:
            return f" with the tag {self.tag}"
        if self.key is not None:
            return f" with the key {self.key}"
        return "" if self.namespace is None else f" of the namespace {self.namespace}"

    def as_dict(self) -> dict[str, str]:
        """Return what is named."""
        named = {"tag": self.tag, "key": self.key, "namespace": self.namespace}
        return {name: value for name, value in named.items() if value is not None}

    def invalidation(self) -> Invalidation:
        """Return the order to forget it."""
        return Invalidation(
            sender="command line",
            tags=() if self.tag is None else (self.tag,),
            keys=() if self.key is None else (self.key,),
            namespaces=() if self.namespace is None else (self.namespace,),
            is_everything=not self.as_dict(),
        )


def inspect_cache(target: Target, selection: Selection, *, limit: int, is_json: bool) -> None:
    """Show what is kept, at most `limit` entries of it.

    Raises:
        ConfigurationError: If the application cannot be asked where its Redis is, or has none.
        RedisUnavailableError: If Redis does not answer.
    """

    async def look(store: RedisCacheStore) -> list[tuple[str, Entry]]:
        return await _find(store, selection, limit=limit + 1)

    found = _with_store(target, look)
    shown, has_more = found[:limit], len(found) > limit
    clock = SystemClock()
    if is_json:
        entries = [_as_dict(key, entry, clock=clock) for key, entry in shown]
        _print_json({**selection.as_dict(), "entries": entries, "has_more": has_more})
        return
    print_lines([_line(key, entry, clock=clock) for key, entry in shown])
    if has_more:
        print_lines([f"There are more than these {limit}: see --limit."])
    if not shown:
        print_done(f"There are no entries{selection.words}.")


def purge_cache(
    target: Target, selection: Selection, *, is_dry_run: bool = False, is_json: bool = False
) -> None:
    """Have all processes forget what is meant, or only say how much that is.

    Raises:
        ConfigurationError: If the application cannot be asked where its Redis is, or has none.
        RedisUnavailableError: If Redis does not answer.
    """

    async def purge(store: RedisCacheStore) -> int | None:
        if is_dry_run:
            return len(await _find(store, selection))
        removed = await store.invalidate(selection.invalidation())
        # A tag is invalidated at once for any number of entries, so nobody has counted them.
        return None if selection.tag is not None else removed

    count = _with_store(target, purge)
    if is_json:
        _print_json({**selection.as_dict(), "dry_run": is_dry_run, "entries": count})
    elif count is None:
        print_done(f"Purged: all entries{selection.words}.")
    else:
        noun = "entry" if count == 1 else "entries"
        done = "To be purged" if is_dry_run else "Purged"
        print_done(f"{done}: {count} {noun}{selection.words}.")


def _with_store(target: Target, use: Callable[[RedisCacheStore], Coroutine[Any, Any, T]]) -> T:
    with without_log():
        settings = _settings_of(target)

        async def run() -> T:
            async with _opened(settings) as store:
                return await use(store)

        return asyncio.run(run())


def _settings_of(target: Target) -> Settings:
    enter(target)
    settings = find_settings(target)
    if settings is None:
        message = f"{target.app!r} has no cache of this library: it has not called create_app()."
        raise ConfigurationError(message)
    return settings


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncGenerator[RedisCacheStore]:
    if settings.redis_url is None:
        raise ConfigurationError(
            "REDIS_URL is not set: each process keeps a cache of its own, which no other can reach."
        )
    url = settings.redis_url.get_secret_value()
    client = create_redis(url, connect_timeout=DEADLINE, reply_timeout=DEADLINE, max_connections=1)
    try:
        guard = GuardedRedis(client, deadline=DEADLINE, breaker=CircuitBreaker())
        yield RedisCacheStore(guard, namespace=settings.service_name)
    finally:
        await client.aclose()


async def _find(
    store: RedisCacheStore, selection: Selection, *, limit: int | None = None
) -> list[tuple[str, Entry]]:
    if selection.key is not None:
        entry = await store.find(selection.key)
        return [] if entry is None else [(selection.key, entry)]
    found: list[tuple[str, Entry]] = []
    async with aclosing(store.list_entries(namespace=selection.namespace)) as entries:
        async for key, entry in entries:
            if selection.tag is None or selection.tag in entry.tags:
                found.append((key, entry))
            if len(found) == limit:
                break
    return sorted(found, key=lambda pair: pair[0])


def _as_dict(key: str, entry: Entry, *, clock: Clock) -> dict[str, Any]:
    now = clock.now().timestamp()
    return {
        "key": key,
        "state": entry.state_at(now),
        "status": entry.status,
        "bytes": entry.size,
        "tags": [*entry.tags],
        "variants": sorted(entry.variants),
        "age_seconds": round(now - entry.stored_at, 3),
        "fresh_seconds": round(entry.fresh_until - now, 3),
    }


def _line(key: str, entry: Entry, *, clock: Clock) -> str:
    now = clock.now().timestamp()
    state = entry.state_at(now) or "expired"
    left = f" for {entry.fresh_until - now:.0f} s" if state == "fresh" else ""
    tags = f"  tags {', '.join(entry.tags)}" if entry.tags else ""
    return f"{key}  {entry.status}  {entry.size} bytes  {state}{left}{tags}"


def _print_json(document: dict[str, Any]) -> None:
    print_lines([json.dumps(document, ensure_ascii=False)])
