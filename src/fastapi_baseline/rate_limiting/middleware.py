"""The layer that limits addresses and API keys, and tells all limits in responses."""

from collections.abc import Awaitable, Collection
from functools import lru_cache
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.rate_limiting.concurrency import ConcurrencyLimiter
from fastapi_baseline.rate_limiting.decisions import Decision, Demand
from fastapi_baseline.rate_limiting.declarations import PolicyDefaults
from fastapi_baseline.rate_limiting.engine import RateLimitEngine
from fastapi_baseline.rate_limiting.exchange import SCOPE_KEY, LimitedExchange, find_exchange
from fastapi_baseline.rate_limiting.headers import LimitHeaders
from fastapi_baseline.rate_limiting.keys import counter_key, find_address
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.rate_limiting.problems import refuse

_STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_SWITCHING_PROTOCOLS = 101
_METHOD_NOT_ALLOWED = 405
_SERVER_ERROR = 500
_MOST_ADDRESSES = 4_096


class Limits(Protocol):
    """What the layer knows of the limits of its application."""

    engine: RateLimitEngine | None
    concurrency: ConcurrencyLimiter | None
    policies: PolicyDefaults
    headers: LimitHeaders
    is_prepared: bool
    per_address: tuple[QuotaPolicy, ...]
    per_api_key: tuple[QuotaPolicy, ...]
    api_key_header: str

    def prepare(self, app: Any) -> None:
        """Attach the limits of all routes."""
        ...

    def report_unlimited(self, scope: Scope) -> None:
        """Say so if a request came to a route whose limits nobody asked."""
        ...


class RateLimitMiddleware:
    """Refuse requests of addresses and API keys that ask too often, before anything is done.

    It counts whatever comes by: also what has no route, files, and mounted applications. Every
    response says what is left, of these limits and of those of its route.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, exempt_paths: Collection[str] = ()) -> None:
        """Wrap `app`; `exempt_paths`, such as probes, are neither counted nor refused."""
        self._app = app
        self._limits = limits
        self._exempt_paths = frozenset(exempt_paths)
        self._per_address = limits.per_address
        self._per_api_key = limits.per_api_key
        self._api_key_header = limits.api_key_header.lower().encode("latin-1")
        self._is_limited = bool(self._per_address or self._per_api_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        kind, limits = scope["type"], self._limits
        if kind not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        outer = find_exchange(scope)
        exchange = scope[SCOPE_KEY] = LimitedExchange(
            limits.engine, limits.policies, limits.concurrency
        )
        if limits.engine is None or scope["path"] in self._exempt_paths:
            await self._app(scope, receive, send)
            return
        if not limits.is_prepared:
            # The server has no lifespan: that of a test, or of a mounted application.
            limits.prepare(scope["app"])

        if outer is not None:
            # Of an application that this one is mounted in: it tells what both have said.
            exchange.decisions, exchange.places = outer.decisions, outer.places
        send = _telling(scope, send, exchange, limits=None if outer else limits)
        if self._is_limited:
            decision = await self._decide(scope, exchange)
            if decision is not None and not decision.allowed:
                exchange.is_checked = True
                await refuse(decision, scope=scope, receive=receive, send=send)
                return
            # What a route gives back, or takes more of, is what its own limits took.
            exchange.taken.clear()
        try:
            await self._app(scope, receive, send)
        except Exception:
            await exchange.settle(_SERVER_ERROR)
            raise

    async def _decide(self, scope: Scope, exchange: LimitedExchange) -> Decision | None:
        demands: list[Demand] = []
        if self._per_address:
            key = _address_key(find_address(scope))
            demands += [Demand(policy, key) for policy in self._per_address]
        if self._per_api_key:
            api_key = self._find_api_key(scope)
            if api_key is not None:
                key = counter_key(f"api-key:{api_key}", "api-key")
                demands += [Demand(policy, key) for policy in self._per_api_key]
        return await exchange.acquire(demands) if demands else None

    def _find_api_key(self, scope: Scope) -> str | None:
        wanted = self._api_key_header
        for name, value in scope["headers"]:
            if name == wanted:
                return value.decode("latin-1")
        return None


@lru_cache(maxsize=_MOST_ADDRESSES)
def _address_key(address: str) -> str:
    return counter_key(f"address:{address}", "address")


def _telling(scope: Scope, send: Send, exchange: LimitedExchange, *, limits: Limits | None) -> Send:
    """Return what sends the same messages, and tells in the first of them what is left."""

    # Not a coroutine of its own, which would cost as much as all the rest.
    def send_told(message: Message) -> Awaitable[None]:
        if message["type"] not in _STARTS:
            return send(message)
        status: int = message.get("status", _SWITCHING_PROTOCOLS)
        if limits is not None and not exchange.is_checked and status != _METHOD_NOT_ALLOWED:
            limits.report_unlimited(scope)
        if limits is not None and (exchange.decisions or exchange.places):
            headers = list(message.get("headers", ()))
            limits.headers.add(headers, exchange.decisions, status=status, places=exchange.places)
            message = {**message, "headers": headers}
        if exchange.undecided:
            return _settle_and_send(exchange, send, message)
        return send(message)

    return send_told


async def _settle_and_send(exchange: LimitedExchange, send: Send, message: Message) -> None:
    await exchange.settle(message.get("status", _SWITCHING_PROTOCOLS))
    await send(message)
