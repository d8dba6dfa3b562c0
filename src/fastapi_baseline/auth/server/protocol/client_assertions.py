"""How a client proves with a key of its own who it is: `private_key_jwt` (RFC 7523)."""

import hashlib
import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.server.client_checks import ASSERTION_ALGORITHMS
from fastapi_baseline.auth.server.errors import InvalidClientError
from fastapi_baseline.auth.server.models import OAuthClient, OAuthUsedAssertion
from fastapi_baseline.auth.tokens.errors import InvalidTokenError
from fastapi_baseline.auth.tokens.keys import import_keys
from fastapi_baseline.auth.tokens.verification import ReadToken, Signatures, read_token

with optional("joserfc", extra="auth"):
    from joserfc import jws
    from joserfc.errors import JoseError

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""What `client_assertion_type` says; there is no other."""

MAX_ASSERTION_LENGTH = 8192
MAX_LIFETIME = timedelta(hours=1)
"""For how long an assertion may be good: as long is kept that it was used. Those of Authlib's client
last for so long unless told otherwise."""

_SKEW = timedelta(seconds=30)
_MAX_JTI = 255
# Never what is signed for something else, such as an access token.
_TYPES = frozenset({"", "jwt", "client-authentication+jwt"})


def read_assertion(assertion: str) -> ReadToken:
    """Return what an assertion says, unverified.

    Raises:
        InvalidClientError: If it is none.
    """
    if len(assertion) > MAX_ASSERTION_LENGTH or not assertion.isascii():
        raise InvalidClientError
    try:
        token = read_token(assertion.encode())
    except InvalidTokenError as error:
        raise InvalidClientError from error
    if token is None:
        raise InvalidClientError
    return token


def check_assertion(
    session: Session,
    client: OAuthClient,
    token: ReadToken,
    *,
    audiences: Collection[str],
    now: datetime,
) -> None:
    """Refuse an assertion that does not prove that this client is asking, or was used before.

    That it was used is written in the transaction of `session`.

    Raises:
        InvalidClientError: If so.
    """
    _check_signature(client, token)
    claims = token.claims
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
        raise InvalidClientError
    # One audience, to the letter: what is for several could be used at one of the others.
    if not any(claims.get("aud") in (audience, [audience]) for audience in audiences):
        raise InvalidClientError
    expires_at = _check_times(claims, now=now)
    jti: object = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI:
        raise InvalidClientError
    if not _use(session, client.client_id, jti, expires_at=expires_at):
        raise InvalidClientError


def _check_signature(client: OAuthClient, token: ReadToken) -> None:
    if token.algorithm not in ASSERTION_ALGORITHMS or token.type not in _TYPES:
        raise InvalidClientError
    ring = import_keys(client.jwks, algorithms=ASSERTION_ALGORITHMS, issuer="a client")
    key = ring.find(token.kid, token.algorithm)
    if key is None:
        raise InvalidClientError
    registry = Signatures(algorithms=ASSERTION_ALGORITHMS, strict_check_header=False)
    try:
        is_signed = jws.validate_compact(token.signature, key, registry=registry)
    except (JoseError, ValueError):
        is_signed = False
    if not is_signed:
        raise InvalidClientError


def _check_times(claims: dict[str, Any], *, now: datetime) -> datetime:
    """Return when an assertion ends."""
    moment, skew = now.timestamp(), _SKEW.total_seconds()
    times: dict[str, float] = {}
    for name in ("exp", "iat", "nbf"):
        value: object = claims.get(name)
        if value is None and name != "exp":
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise InvalidClientError
        times[name] = value
    latest = moment + MAX_LIFETIME.total_seconds() + skew
    if not moment - skew < times["exp"] <= latest:
        raise InvalidClientError
    if any(times.get(name, 0) > moment + skew for name in ("iat", "nbf")):
        raise InvalidClientError
    return datetime.fromtimestamp(times["exp"], UTC) + _SKEW


def _use(session: Session, client_id: str, jti: str, *, expires_at: datetime) -> bool:
    """Note that an assertion is used, and return whether it was not before: one statement."""
    digest = hashlib.sha256(json.dumps([client_id, jti]).encode()).hexdigest()
    kind: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    noting = kind.insert(OAuthUsedAssertion).values(digest=digest, expires_at=expires_at)
    noting = noting.on_conflict_do_nothing(index_elements=["digest"])
    return session.execute(noting.returning(OAuthUsedAssertion.digest)).first() is not None
