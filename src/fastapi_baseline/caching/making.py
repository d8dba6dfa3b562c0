"""The making of an entry from a response."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

from fastapi_baseline._extras import optional
from fastapi_baseline.caching.entries import Entry, Header
from fastapi_baseline.caching.freshness import Lifetime
from fastapi_baseline.caching.keys import Credentials
from fastapi_baseline.caching.plan import Plan
from fastapi_baseline.caching.response_headers import ETAG, control_of, kept_headers, with_vary
from fastapi_baseline.caching.site import Site
from fastapi_baseline.caching.storability import ABSENT, STATUSES, Terms, find_terms

with optional("msgspec", extra="cache"):
    import msgspec

SCHEMA = "response"
"""What the bodies of responses are a form of, next to those of values."""


class Made(NamedTuple):
    """What a handler has made; the names of the headers are in lower case."""

    status: int
    headers: Sequence[Header]
    body: bytes


def find_terms_of(
    plan: Plan, status: int, headers: Sequence[Header], *, credentials: Credentials
) -> Terms | None:
    """Return on which terms a response may be kept under the key of the plan; `None` if it may not.

    What it says that it depends on is noted.
    """
    policy = plan.policy
    if status not in STATUSES and not (status in ABSENT and policy.negative_expire):
        return None
    terms = find_terms(headers)
    if terms is None or policy.learn(terms.vary, credentials):
        # Others wait for this key, and might want what they would not get.
        return None
    return terms


def make_entry(site: Site, plan: Plan, made: Made, *, terms: Terms) -> tuple[Entry, list[Header]]:
    """Return an entry, and the headers of the response that it is made of."""
    status, _, body = made
    tag = _tag_of(made)
    entry = site.cache.make_entry(
        body,
        lifetime=_lifetime_of(plan, status, terms),
        status=status,
        tags=plan.tags,
        schema=SCHEMA,
        etag=tag.decode("latin-1"),
        making_s=max(0.0, site.cache.clock.monotonic() - plan.started_at),
    )
    headers = with_vary(made.headers, plan.policy.vary_with(site.credentials))
    if not terms.has_control:
        headers.append(control_of(entry, is_public=plan.policy.is_public))
    if not any(name == ETAG for name, _ in headers):
        headers.append((ETAG, tag))
    kept = kept_headers(headers, length=len(body))
    return msgspec.structs.replace(entry, headers=tuple(kept)), headers


def _lifetime_of(plan: Plan, status: int, terms: Terms) -> Lifetime:
    lifetime = plan.lifetime
    if status in ABSENT:
        lifetime = Lifetime(expire=plan.policy.negative_expire, jitter=lifetime.jitter)
    if terms.expire is not None:
        # What a client is told is said already, so it is meant exactly.
        lifetime = replace(lifetime, expire=terms.expire, jitter=0.0)
    if not terms.may_be_stale:
        lifetime = replace(lifetime, stale=None, stale_if_error=None)
    return lifetime


def _tag_of(made: Made) -> bytes:
    """Return the entity tag of a response: its own, or a strong one of its bytes."""
    given = next((value for name, value in made.headers if name == ETAG), None)
    if given is not None:
        return given
    return b'"%b"' % blake2b(made.body, digest_size=16).hexdigest().encode("ascii")
