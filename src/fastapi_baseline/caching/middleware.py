"""The layer that gives responses again, and keeps those that may be."""

import logging

from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.exchange import Exchange, current_exchange
from fastapi_baseline.caching.keys import Credentials
from fastapi_baseline.caching.outcomes import note_outcome
from fastapi_baseline.caching.registry import read_registry
from fastapi_baseline.caching.site import Site
from fastapi_baseline.caching.stored_response import hit_response

logger = logging.getLogger("fastapi_baseline.caching")

_METHODS = frozenset({"GET", "HEAD"})


class ResponseCacheMiddleware:
    """Keep the responses of routes that are `cached`, as they are sent, and give them again.

    A public response is given at once; any other after its route has let the request in. Requests
    with other methods than GET and HEAD, and routes that are not `cached`, pass through untouched.
    """

    def __init__(self, app: ASGIApp, *, cache: Cache, answers_conditions: bool = False) -> None:
        """Wrap `app`, and keep in `cache`.

        `answers_conditions` says 304 to clients that have what would be given; leave it to a
        `ConditionalRequestsMiddleware` outside, if there is one.
        """
        self._site = Site(
            app=app,
            cache=cache,
            credentials=Credentials(cache.settings),
            answers_conditions=answers_conditions,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        site = self._site
        if scope["type"] != "http" or scope["method"] not in _METHODS:
            await site.app(scope, receive, send)
            return
        if scope["method"] == "GET" and await self._give_public(scope, receive, send):
            return
        exchange = Exchange(site, scope, send)
        token = current_exchange.set(exchange)
        try:
            await site.app(scope, receive, exchange.send)
        except Exception:
            capture = exchange.capture
            if capture is None or not await capture.fall_back():
                raise
            logger.exception("A handler has failed, and what it made before was given instead.")
        finally:
            current_exchange.reset(token)
            if exchange.capture is not None:
                exchange.capture.end()

    async def _give_public(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer a request for what everybody may see, and return whether that was possible."""
        site = self._site
        found = site.shortcuts.find(scope)
        if found is None or not read_registry().is_enabled:
            return False
        key, shortcut = found
        entry = site.cache.find_fresh_local(key)
        if entry is None:
            return False
        shortcut.mark(scope)
        note_outcome("hit")
        response = hit_response(entry, site=site, key=key, scope=scope, now=site.now())
        await response(scope, receive, send)
        return True
