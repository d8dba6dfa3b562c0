"""Probes of what a service as in FastAPI's tutorial makes of tokens."""

from collections.abc import Mapping

import jwt

from benchmarks.peers.auth_defects.headers import answered_oddly, judge_oddly
from benchmarks.peers.auth_defects.minting import assembled, signed_with_secret
from benchmarks.peers.auth_defects.textbook import (
    ENVIRONMENT,
    PASSWORD,
    PEER,
    SECRET,
    application,
    statuses,
    token_of,
)
from benchmarks.peers.defects.probe import Seen, client, probe

_NAME, _REFUSED, _FORBIDDEN = "johndoe", 401, 403


def _judge(found: Mapping[str, int], *, expected: int = _REFUSED) -> Seen:
    others = {name: status for name, status in found.items() if status != expected}
    seen = f"not {expected}: {others}" if others else f"{expected} for all {len(found)}"
    return Seen(bool(others), seen)


async def _answered(tokens: Mapping[str, str | bytes]) -> dict[str, int]:
    return dict(zip(tokens, await statuses(application(), *tokens.values()), strict=True))


def _signed(**claims: object) -> str:
    return jwt.encode({"sub": _NAME, "scope": "me", **claims}, SECRET, "HS256")


@probe("j01", peer=PEER, environment=ENVIRONMENT)
async def unsigned() -> Seen:
    """Send tokens without a signature."""
    names = ("none", "None", "nOnE", "HS256")
    claims = {"sub": _NAME, "scope": "me"}
    return _judge(await _answered({name: assembled({"alg": name}, claims) for name in names}))


@probe("j10", peer=PEER, environment=ENVIRONMENT)
async def times() -> Seen:
    """Send tokens that never expire."""
    return _judge(await _answered({"no exp": _signed()}))


@probe("j11", peer=PEER, environment=ENVIRONMENT)
async def audiences() -> Seen:
    """Send tokens that are not said to be for this service."""
    tokens = {"none": token_of(_NAME), "other": token_of(_NAME, aud="https://other.example.com")}
    return _judge(await _answered(tokens))


@probe("j12", peer=PEER, environment=ENVIRONMENT)
async def issuers() -> Seen:
    """Send tokens of whoever else knows the secret, such as the next service."""
    tokens = {"none": token_of(_NAME), "other": token_of(_NAME, iss="https://other.example.com")}
    return _judge(await _answered(tokens))


@probe("j13", peer=PEER, environment=ENVIRONMENT)
async def other_tokens() -> Seen:
    """Send what a service signs for other purposes with its one secret."""
    tokens = {
        "of a link that resets a password": token_of(_NAME, purpose="reset"),
        "of a link that verifies an address": token_of(_NAME, email="john@example.com"),
    }
    return _judge(await _answered(tokens))


@probe("j14", peer=PEER, environment=ENVIRONMENT)
async def missing_scopes() -> Seen:
    """Ask with a token that is good, and may do less."""
    (status,) = await statuses(application(), token_of(_NAME), path="/users/me/items")
    return _judge({"other scope": status}, expected=_FORBIDDEN)


@probe("j15", peer=PEER, environment=ENVIRONMENT)
async def forms_of_scopes() -> Seen:
    """Have scopes in forms that it does not write itself."""
    tokens = {
        "longer": token_of(_NAME, scopes="me items2"),
        "list": token_of(_NAME, scope=["me"]),
        "null": token_of(_NAME, scope=None),
    }
    found = dict(
        zip(
            tokens,
            await statuses(application(), *tokens.values(), path="/users/me/items"),
            strict=True,
        )
    )
    failed = {name: status for name, status in found.items() if status not in {401, 403}}
    return Seen(bool(failed), f"not 401 or 403: {failed}" if failed else f"{found}")


@probe("j16", peer=PEER, environment=ENVIRONMENT)
async def scopes_that_are_asked_for() -> Seen:
    """Ask for a scope that nobody has granted, when signing in."""
    async with client(application()) as asking:
        form = {"username": _NAME, "password": PASSWORD, "scope": "me items admin"}
        token = (await asking.post("/token", data=form)).json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        status = (await asking.get("/users/me/items", headers=headers)).status_code
    given = jwt.decode(token, SECRET, ["HS256"])["scope"]
    seen = f"given: {given!r}; {status} where a scope is needed; its text warns of that"
    return Seen(status != _FORBIDDEN, seen)


@probe("j17", peer=PEER, environment=ENVIRONMENT)
async def tokens_in_urls() -> Seen:
    """Send a token in the URL."""
    async with client(application()) as asking:
        answer = await asking.get("/users/me", params={"access_token": token_of(_NAME)})
    return _judge({"query": answer.status_code})


@probe("j18", peer=PEER, environment=ENVIRONMENT)
async def odd_headers() -> Seen:
    """Send the header as no client should."""
    found = await answered_oddly(application(), token_of(_NAME), path="/users/me")
    return Seen(*judge_oddly(found))


@probe("j22", peer=PEER, environment=ENVIRONMENT)
async def clocks_that_differ() -> Seen:
    """Issue a token where the clock is five seconds ahead."""
    probe_of_time = jwt.decode(token_of(_NAME), SECRET, ["HS256"])
    ahead = probe_of_time["exp"] - 30 * 60 + 5
    return _judge(await _answered({"ahead": token_of(_NAME, iat=ahead)}), expected=200)


@probe("j23", peer=PEER, environment=ENVIRONMENT)
async def odd_payloads() -> Seen:
    """Sign payloads that no issuer makes."""
    tokens = {
        "sub is a list": signed_with_secret(SECRET.encode(), aud=None, sub=[_NAME]),
        "sub is an object": signed_with_secret(SECRET.encode(), aud=None, sub={_NAME: 1}),
        "sub is a number": signed_with_secret(SECRET.encode(), aud=None, sub=1.5),
        "20,000 levels": assembled({"alg": "HS256"}, b'{"a":' * 20_000, b"s" * 32),
        "payload is a list": assembled({"alg": "HS256"}, b"[]", b"s" * 32),
    }
    return _judge(await _answered(tokens))


@probe("j25", peer=PEER, environment=ENVIRONMENT)
async def bound_tokens() -> Seen:
    """Send a token that is bound to a key (RFC 9449) as if it were not."""
    bound = token_of(_NAME, cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2Hg"})
    return _judge(await _answered({"cnf.jkt": bound}))


@probe("j26", peer=PEER, environment=ENVIRONMENT)
async def forgotten_routes() -> Seen:
    """Add a route, and forget the dependency; start, and ask without credentials."""
    app = application()

    @app.get("/reports")
    async def read_reports() -> list[str]:
        return ["secret"]

    async with app.router.lifespan_context(app), client(app) as asking:
        status = (await asking.get("/reports")).status_code
    return Seen(status != _REFUSED, f"it starts, and answers {status} without credentials")
