"""How a request is answered by a function whose responses are kept."""

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from fastapi_baseline import context, problems
from fastapi_baseline.caching.entries import Entry, Found
from fastapi_baseline.caching.exchange import Exchange
from fastapi_baseline.caching.keys import UnnamedPrincipalError
from fastapi_baseline.caching.outcomes import note_outcome
from fastapi_baseline.caching.plan import Plan
from fastapi_baseline.caching.policy import ResponsePolicy, value_of
from fastapi_baseline.caching.refresh import make_again
from fastapi_baseline.caching.registry import Registry, read_registry
from fastapi_baseline.caching.request_directives import RequestDirectives, find_directives
from fastapi_baseline.caching.response_headers import CACHE_STATUS, forward_status
from fastapi_baseline.caching.single_flight import Flight
from fastapi_baseline.caching.stored_response import hit_response
from fastapi_baseline.errors import DeadlineExceededError

logger = logging.getLogger("fastapi_baseline.caching")

Arguments = tuple[tuple[Any, ...], dict[str, Any]]

_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})
_PATH_CHARACTERS = "/!$&'()*+,;=:@-._~"


class NotStoredError(DeadlineExceededError):
    """The client wants what is stored or nothing, and nothing is (RFC 9111, section 5.2.1.7)."""

    code = "not_stored"
    default_message = "There is no stored response, and the request asks for no other."


@dataclass(slots=True)
class Lookup:
    """One request, and what is known of it before anything is looked up."""

    policy: ResponsePolicy
    exchange: Exchange
    directives: RequestDirectives
    registry: Registry
    key: str
    tags: tuple[str, ...]

    async def answer(self) -> Response | None:
        """Return the response that is kept; `None` if it is to be made now."""
        exchange, key = self.exchange, self.key
        cache, now = exchange.site.cache, exchange.site.now()
        if exchange.is_refresh:
            return self._make("stale")
        entry = cache.find_fresh_local(key)
        if entry is not None and self.directives.accept(entry, now=now):
            return self._give(entry, "hit", now=now)
        found = await cache.find(key, tags=self.tags)
        if found is not None and found.state != "fallback":
            if found.is_due:
                self._refresh(found.entry)
            if self.directives.accept(found.entry, now=now):
                outcome = "hit" if found.state == "fresh" else "stale"
                return self._give(found.entry, outcome, now=now)
        if self.directives.only_if_cached:
            return _refuse(exchange.scope["path"])
        if exchange.scope["method"] == "HEAD":
            # Its response may have no body, and so is not what GET wants.
            self.exchange.forward("miss")
            note_outcome("miss")
            return None
        return await self._make_alone(found)

    async def _make_alone(self, found: Found | None) -> Response | None:
        """Let one of those who want the same make it, and give it to the others."""
        cache, began = self.exchange.site.cache, self.exchange.site.now()
        reason = "miss"
        fallback = self._fallback(found, now=began)
        if found is not None:
            reason = "stale" if found.state != "fresh" else "request"
        if not self.policy.has_flight:
            flight = await cache.flight_alone(self.key, tags=self.tags)
            return self._make(reason, flight=flight, fallback=fallback)
        flight = await cache.flight(self.key, tags=self.tags)
        if flight.found is None:
            return self._make(reason, flight=flight, fallback=fallback)
        made = flight.found.entry
        if made.stored_at > began or self.directives.accept(made, now=began):
            return self._give(made, "collapsed", now=self.exchange.site.now())
        flight = await cache.flight_alone(self.key, tags=self.tags)
        return self._make(reason, flight=flight, fallback=fallback)

    def _fallback(self, found: Found | None, *, now: float) -> Entry | None:
        """Return what may be given if the handler fails."""
        if found is None or self.directives.no_cache:
            return None
        entry = found.entry
        return entry if entry.error_until > max(now, entry.fresh_until) else None

    def _give(self, entry: Entry, outcome: str, *, now: float) -> Response:
        exchange = self.exchange
        site = exchange.site
        note_outcome(outcome)
        if self.policy.is_public and self._has_shortcut():
            site.shortcuts.note(exchange.asked, self.key, scope=exchange.scope, policy=self.policy)
        response = hit_response(entry, site=site, key=self.key, scope=exchange.scope, now=now)
        if outcome == "collapsed":
            status = forward_status("miss", "collapsed", key=site.shown(self.key))
            response.raw_headers = [
                status if pair[0] == CACHE_STATUS else pair for pair in response.raw_headers
            ]
        return response

    def _has_shortcut(self) -> bool:
        """Return whether the same request can be known by what it asks for."""
        policy = self.policy
        builder = policy.key_builder or self.registry.key_builder
        return policy.is_public and policy.unless is None and builder is None

    def _make(
        self, reason: str, *, flight: Flight | None = None, fallback: Entry | None = None
    ) -> None:
        """Have the response kept that comes next."""
        exchange, policy = self.exchange, self.policy
        lifetime = policy.lifetime
        if lifetime.expire is None and self.registry.expire is not None:
            lifetime = replace(lifetime, expire=self.registry.expire)
        plan = Plan(
            key=self.key,
            policy=policy,
            lifetime=lifetime,
            tags=self.tags,
            reason=reason,
            started_at=exchange.site.cache.clock.monotonic(),
            flight=flight,
            fallback=fallback,
            shortcut=exchange.asked if self._has_shortcut() else None,
        )
        exchange.plan(plan)
        note_outcome(reason)

    def _refresh(self, seen: Entry) -> None:
        exchange, key = self.exchange, self.key
        make = partial(make_again, exchange.site, exchange.origin(), key=key)
        exchange.site.cache.refresh(key, make, seen=seen, tags=self.tags)


def _refuse(path: str) -> Response:
    note_outcome("miss")
    current = context.current()
    return problems.ProblemResponse(
        problems.fault_of(NotStoredError()),
        instance=quote(path, safe=_PATH_CHARACTERS),
        request_id=None if current is None else current.request_id,
    )


async def answer(
    policy: ResponsePolicy, exchange: Exchange, *, arguments: Arguments
) -> Response | None:
    """Return the response that is kept for a request; `None` if the function is to be called now.

    Raises:
        InvalidTagError: If the tags of the policy name something that there is not.
    """
    scope = exchange.scope
    registry = read_registry()
    directives = find_directives(scope["headers"])
    reason = _find_reason_not_to(exchange, registry=registry, directives=directives)
    if (
        reason is None
        and policy.unless is not None
        and await value_of(policy.unless(Request(scope)))
    ):
        reason = "bypass"
    if reason is None:
        try:
            key = await policy.key_for(
                scope,
                credentials=exchange.site.credentials,
                registry=registry,
                arguments=arguments,
            )
        except UnnamedPrincipalError as error:
            _warn_of(policy, error)
            reason = "bypass"
        else:
            tags = policy.tags_for(scope, arguments[1])
            return await Lookup(policy, exchange, directives, registry, key, tags).answer()
    exchange.forward(reason)
    note_outcome("bypass")
    return None


def _find_reason_not_to(
    exchange: Exchange, *, registry: Registry, directives: RequestDirectives
) -> str | None:
    """Return why a request has nothing to do with the cache, in a word of RFC 9211."""
    if directives.no_store:
        return "request"
    if not registry.is_enabled or not exchange.site.cache.settings.enabled:
        return "bypass"
    for name, value in exchange.scope["headers"]:
        # What a body says is in no key.
        if name in _BODY_HEADERS and value != b"0":
            return "bypass"
    return None


_warned: set[str] = set()


def _warn_of(policy: ResponsePolicy, error: UnnamedPrincipalError) -> None:
    """Say once for each function that it is not cached."""
    if policy.identity not in _warned:
        _warned.add(policy.identity)
        logger.warning(
            "Responses of %s are not kept: %s, which the principal is, has no text that tells one "
            "from another. Give it a __str__.",
            policy.identity,
            error,
        )
