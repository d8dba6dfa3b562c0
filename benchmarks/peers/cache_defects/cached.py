"""What the probes of caches share: each peer as its documentation sets it up."""

import contextlib
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from fastapi_cache import Backend, FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.decorator import cache as cache2
from fastapi_cachex import BackendProxy
from fastapi_cachex import cache as cachex
from fastapi_cachex.backends import MemoryBackend
from hishel import AsyncSqliteStorage
from hishel.asgi import ASGICacheMiddleware
from starlette.types import ASGIApp

from benchmarks.peers.defects.probe import Run, Seen, probe
from benchmarks.peers.http_defects.serving import Answer, ask, scope_of

ENVIRONMENT = "cache"
CACHE2, CACHEX, HISHEL, CASHEWS = "fastapi-cache2", "fastapi-cachex", "hishel", "cashews"
SECONDS = 60
Handler = Callable[..., object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """A peer that is ready: what makes a handler cached, and what an application runs behind."""

    decorate: Callable[[Handler], Handler]
    behind: Callable[[FastAPI], ASGIApp]
    headers: Mapping[str, str]
    """What a handler has to send so that its answer is kept."""


@asynccontextmanager
async def cached(peer: str) -> AsyncGenerator[Cached]:
    """Set a peer up, with nothing kept, and take it down."""
    async with _PEERS[peer]() as ready:
        yield ready


@asynccontextmanager
async def cache2_on(backend: Backend) -> AsyncGenerator[None]:
    """Set fastapi-cache2 up on a backend, and take it down."""
    FastAPICache.reset()
    FastAPICache.init(backend, prefix="probe")
    try:
        yield
    finally:
        FastAPICache.reset()


@asynccontextmanager
async def _cache2() -> AsyncGenerator[Cached]:
    InMemoryBackend._store.clear()  # noqa: SLF001 - every instance has the same
    async with cache2_on(InMemoryBackend()):
        yield Cached(decorate=cache2(expire=SECONDS), behind=lambda app: app, headers={})


@asynccontextmanager
async def _cachex() -> AsyncGenerator[Cached]:
    BackendProxy.set(MemoryBackend())
    try:
        yield Cached(decorate=cachex(ttl=SECONDS), behind=lambda app: app, headers={})
    finally:
        BackendProxy.set(None)


@asynccontextmanager
async def _hishel() -> AsyncGenerator[Cached]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        storage = AsyncSqliteStorage(database_path=Path(folder, "cache.db"))

        def behind(app: FastAPI) -> ASGIApp:
            return ASGICacheMiddleware(app, storage=storage)

        headers = {"cache-control": f"max-age={SECONDS}"}
        try:
            yield Cached(decorate=lambda handler: handler, behind=behind, headers=headers)
        finally:
            with contextlib.suppress(Exception):
                await storage.close()


_PEERS = {CACHE2: _cache2, CACHEX: _cachex, HISHEL: _hishel}


def for_each(line: str, peers: Sequence[str], run: Callable[[str], Awaitable[Seen]]) -> None:
    """Register a probe of a line for each of some peers."""
    for peer in peers:

        def of_peer(peer: str = peer) -> Awaitable[Seen]:
            return run(peer)

        registered: Run = of_peer
        probe(line, peer=peer, environment=ENVIRONMENT)(registered)


async def get(app: ASGIApp, path: str = "/", **headers: str) -> Answer:
    """Ask for a path, with headers whose names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await ask(app, scope_of(path, headers=named))
