"""Probes of what Authlib's resource protector makes of what a token says."""

import math
from collections.abc import Mapping
from typing import Any

from joserfc.jwk import RSAKey

from benchmarks.peers.auth_defects.headers import answered_oddly, judge_oddly
from benchmarks.peers.auth_defects.minting import AUDIENCE, ISSUER, Issuer, assembled, claimed
from benchmarks.peers.auth_defects.protected import (
    ENVIRONMENT,
    PEER,
    CachingValidator,
    Introspector,
    Validator,
    application,
    statuses,
)
from benchmarks.peers.defects.probe import Seen, client, probe

_OK, _REFUSED, _FORBIDDEN = 200, 401, 403
_SKEW = 5


async def _answered(claims: Mapping[str, Mapping[str, Any]], *, scope: str = "read") -> Any:
    issuer = Issuer()
    app = application(Validator(issuer.keys), scope=scope)
    tokens = [issuer.token(**claims[name]) for name in claims]
    return dict(zip(claims, await statuses(app, *tokens), strict=True))


def _judge(found: Mapping[str, int], *, expected: int = _REFUSED) -> Seen:
    others = {name: status for name, status in found.items() if status != expected}
    seen = f"not {expected}: {others}" if others else f"{expected} for all {len(found)}"
    return Seen(bool(others), seen)


def _now() -> int:
    return claimed()["iat"]


@probe("j10", peer=PEER, environment=ENVIRONMENT)
async def times() -> Seen:
    """Say times that are past, not yet, or none."""
    now = _now()
    claims: dict[str, dict[str, Any]] = {
        "exp past": {"exp": now - 60},
        "no exp": {"exp": None},
        "exp is text": {"exp": str(now + 60)},
        "exp is NaN": {"exp": math.nan},
        "exp is true": {"exp": True},
        "exp is infinite": {"exp": math.inf},
        "nbf future": {"nbf": now + 600},
        "iat future": {"iat": now + 600},
    }
    return _judge(await _answered(claims))


@probe("j11", peer=PEER, environment=ENVIRONMENT)
async def audiences() -> Seen:
    """Name other audiences, and some that look like it."""
    claims: dict[str, dict[str, Any]] = {
        "none": {"aud": None},
        "other": {"aud": "https://other.example.com"},
        "empty list": {"aud": []},
        "part": {"aud": AUDIENCE[:-1]},
        "longer": {"aud": f"{AUDIENCE}.evil.example"},
        "object": {"aud": {AUDIENCE: True}},
    }
    return _judge(await _answered(claims))


@probe("j12", peer=PEER, environment=ENVIRONMENT)
async def issuers() -> Seen:
    """Name other issuers, and look for how two can be trusted, each with keys of its own."""
    claims: dict[str, dict[str, Any]] = {
        "none": {"iss": None},
        "other": {"iss": "https://other.example.com"},
        "slash": {"iss": f"{ISSUER}/"},
        "case": {"iss": ISSUER.upper()},
        "list": {"iss": [ISSUER]},
    }
    return _judge(await _answered(claims))


@probe("j13", peer=PEER, environment=ENVIRONMENT)
async def other_tokens() -> Seen:
    """Send what the issuer signs for other purposes, as some do: without `typ`."""
    issuer = Issuer()
    app = application(Validator(issuer.keys))
    tokens = {
        "ID token, typ JWT": issuer.token(header={"typ": "JWT"}, nonce="n"),
        "ID token, no typ": issuer.token(header={"typ": None}, nonce="n"),
        "logout token": issuer.token(header={"typ": "logout+jwt"}),
        "refresh token, no typ": issuer.token(header={"typ": None}, token_use="refresh"),  # noqa: S106 - what some issuers say
    }
    return _judge(dict(zip(tokens, await statuses(app, *tokens.values()), strict=True)))


@probe("j14", peer=PEER, environment=ENVIRONMENT)
async def missing_scopes() -> Seen:
    """Ask with a token that is good, and may do less."""
    claims: dict[str, dict[str, Any]] = {"other scope": {"scope": "other"}, "none": {"scope": None}}
    return _judge(await _answered(claims), expected=_FORBIDDEN)


@probe("j15", peer=PEER, environment=ENVIRONMENT)
async def forms_of_scopes() -> Seen:
    """Have scopes that contain the name of the one that is needed, and are not it."""
    claims: dict[str, dict[str, Any]] = {
        "longer": {"scope": "readonly"},
        "case": {"scope": "READ"},
        "list, longer": {"scope": ["readonly"]},
        "number": {"scope": 1},
        "object": {"scope": {"read": False}},
    }
    return _judge(await _answered(claims), expected=_FORBIDDEN)


@probe("j17", peer=PEER, environment=ENVIRONMENT)
async def tokens_in_urls() -> Seen:
    """Send a token in the URL."""
    issuer = Issuer()
    async with client(application(Validator(issuer.keys))) as asking:
        answer = await asking.get("/", params={"access_token": issuer.token()})
    return _judge({"query": answer.status_code})


@probe("j18", peer=PEER, environment=ENVIRONMENT)
async def odd_headers() -> Seen:
    """Send the header as no client should."""
    issuer = Issuer()
    found = await answered_oddly(application(Validator(issuer.keys)), issuer.token(), path="/")
    return Seen(*judge_oddly(found))


@probe("j19", peer=PEER, environment=ENVIRONMENT)
async def unknown_keys() -> Seen:
    """Name many keys that nobody has, and count how often the keys are fetched."""
    issuer = Issuer()
    validator = CachingValidator(issuer.keys)
    tokens = [issuer.token(header={"kid": f"unknown-{number}"}) for number in range(20)]
    await statuses(application(validator), *tokens)
    seen = f"{validator.fetches} fetch for {len(tokens)} tokens, cached as its documentation does"
    return Seen(validator.fetches > 1, seen)


@probe("j20", peer=PEER, environment=ENVIRONMENT)
async def bad_keys() -> Seen:
    """Publish one bad key beside a good one, and a good one that is too short."""
    issuer = Issuer()
    bad = {
        "malformed": {"kty": "RSA", "n": "!", "e": "AQAB", "kid": "bad"},
        "unknown curve": {"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA"},
        "no kty": {"kid": "bad"},
        "no object": "key",
    }
    found: dict[str, int] = {}
    for name, key in bad.items():
        keys = {"keys": [*issuer.keys["keys"], key]}
        (found[name],) = await statuses(application(Validator(keys)), issuer.token())
    return _judge(found, expected=_OK)


@probe("j21", peer=PEER, environment=ENVIRONMENT)
async def rotated_keys() -> Seen:
    """Sign with a new key, after the first token; then with the old one, which is gone."""
    issuer, renewed = Issuer(), Issuer()
    renewed.rsa = RSAKey.generate_key(2048, {"kid": "renewed"})
    validator = CachingValidator(issuer.keys)
    app = application(validator)
    await statuses(app, issuer.token())
    validator.keys = renewed.keys
    new, old = await statuses(app, renewed.token(), issuer.token())
    seen = f"cached as its documentation does: {new} with the new key, {old} with the old one"
    return Seen((new, old) != (_OK, _REFUSED), seen)


@probe("j22", peer=PEER, environment=ENVIRONMENT)
async def clocks_that_differ() -> Seen:
    """Issue tokens where the clock is some seconds ahead, or behind."""
    now = _now()
    claims: dict[str, dict[str, Any]] = {
        "ahead": {"iat": now + _SKEW, "nbf": now + _SKEW},
        "behind": {"iat": now - 60, "exp": now - 1},
    }
    seen = _judge(await _answered(claims), expected=_OK)
    return Seen(seen.has_defect, f"{_SKEW} s, which cannot be allowed for: {seen.observed}")


@probe("j23", peer=PEER, environment=ENVIRONMENT)
async def odd_payloads() -> Seen:
    """Sign payloads that no issuer makes."""
    issuer = Issuer()
    app = application(Validator(issuer.keys))
    deep = assembled({"alg": "RS256", "kid": "rsa"}, b'{"a":' * 20_000 + b"1", b"s" * 256)
    tokens = {
        "sub is a number": issuer.token(sub=1.5),
        "sub is an object": issuer.token(sub={"a": 1}),
        "sub is empty": issuer.token(sub=""),
        "1 MB": issuer.token(more="x" * 2**20),
        "20,000 levels": deep,
    }
    return _judge(dict(zip(tokens, await statuses(app, *tokens.values()), strict=True)))


@probe("j24", peer=PEER, environment=ENVIRONMENT)
async def introspection() -> Seen:
    """Let an issuer say things of an opaque token, and be down."""
    now = _now()
    answers: dict[str, Any] = {
        "not active": {"active": False},
        "active is text": {"active": "false", "scope": "read", "aud": AUDIENCE},
        "nothing": {},
        "another audience": {"active": True, "scope": "read", "aud": "https://other.example.com"},
        "expired": {"active": True, "scope": "read", "aud": AUDIENCE, "exp": now - 60},
    }
    found: dict[str, int] = {}
    for name, answer in answers.items():
        (found[name],) = await statuses(application(Introspector(answer)), "opaque")
    return _judge(found)


@probe("j25", peer=PEER, environment=ENVIRONMENT)
async def bound_tokens() -> Seen:
    """Send a token that is bound to a key (RFC 9449) as if it were not."""
    return _judge(
        await _answered({"cnf.jkt": {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2Hg"}}})
    )
