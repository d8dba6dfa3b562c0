"""Probes of the tokens of fastapi-users: `JWTStrategy`, as in its quick start."""

from collections.abc import Mapping
from typing import Any

import jwt

from benchmarks.peers.auth_defects.headers import answered_oddly, judge_oddly
from benchmarks.peers.auth_defects.minting import assembled
from benchmarks.peers.auth_defects.users import (
    EMAIL,
    ENVIRONMENT,
    PASSWORD,
    PEER,
    SECRET,
    Service,
    serving,
)
from benchmarks.peers.defects.probe import Seen, probe

_REFUSED = 401


def _judge(found: Mapping[str, int]) -> Seen:
    others = {name: status for name, status in found.items() if status != _REFUSED}
    seen = f"not 401: {others}" if others else f"401 for all {len(found)}"
    return Seen(bool(others), f"JWTStrategy: {seen}")


async def _token_of(service: Service) -> str:
    async with service.visitor() as browser:
        form = {"username": EMAIL, "password": PASSWORD}
        return (await browser.post("/auth/login", data=form)).json()["access_token"]


async def _answered(service: Service, tokens: Mapping[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    async with service.visitor() as browser:
        for name, token in tokens.items():
            headers = {"authorization": f"Bearer {token}"}
            found[name] = (await browser.get("/users/me", headers=headers)).status_code
    return found


def _claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


@probe("j01", peer=PEER, environment=ENVIRONMENT)
async def unsigned() -> Seen:
    """Send tokens without a signature."""
    async with serving(tokens=True) as service:
        claims = _claims_of(await _token_of(service))
        names = ("none", "None", "nOnE", "HS256")
        tokens = {name: assembled({"alg": name}, claims) for name in names}
        return _judge(await _answered(service, tokens))


@probe("j10", peer=PEER, environment=ENVIRONMENT)
async def times() -> Seen:
    """Send a token that never expires."""
    async with serving(tokens=True) as service:
        claims = _claims_of(await _token_of(service))
        del claims["exp"]
        return _judge(await _answered(service, {"no exp": jwt.encode(claims, SECRET, "HS256")}))


@probe("j12", peer=PEER, environment=ENVIRONMENT)
async def issuers() -> Seen:
    """Send a token of whoever else knows the secret, such as the next service."""
    async with serving(tokens=True) as service:
        claims = _claims_of(await _token_of(service))
        other = jwt.encode({**claims, "iss": "https://other.example.com"}, SECRET, "HS256")
        return _judge(await _answered(service, {"other": other}))


@probe("j13", peer=PEER, environment=ENVIRONMENT)
async def other_tokens() -> Seen:
    """Send the token of a link that resets a password."""
    async with serving(tokens=True) as service, service.visitor() as browser:
        await browser.post("/auth/forgot-password", json={"email": EMAIL})
        (_, token) = service.letters[-1]
        return _judge(await _answered(service, {"of a link that resets a password": token}))


@probe("j18", peer=PEER, environment=ENVIRONMENT)
async def odd_headers() -> Seen:
    """Send the header as no client should."""
    async with serving(tokens=True) as service:
        token = await _token_of(service)
        has_defect, seen = judge_oddly(await answered_oddly(service.app, token, path="/users/me"))
        return Seen(has_defect, f"JWTStrategy: {seen}")


@probe("j25", peer=PEER, environment=ENVIRONMENT)
async def bound_tokens() -> Seen:
    """Send a token that is bound to a key (RFC 9449) as if it were not."""
    async with serving(tokens=True) as service:
        claims = _claims_of(await _token_of(service))
        bound = {**claims, "cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2Hg"}}
        token = jwt.encode(bound, SECRET, "HS256")
        return _judge(await _answered(service, {"cnf.jkt": token}))
