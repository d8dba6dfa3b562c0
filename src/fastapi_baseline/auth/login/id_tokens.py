"""What a provider has signed for the service: ID tokens, above all.

They are verified by OpenID Connect Core, section 3.1.3.7, without its exceptions: there is always a
signature, by a key that the provider publishes and an algorithm that the settings name. Whatever
metadata or headers say of algorithms does not count.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.login.errors import InvalidIdTokenError, ProviderUnavailableError
from fastapi_baseline.auth.login.providers import Provider
from fastapi_baseline.auth.tokens.errors import InvalidTokenError, IssuerUnavailableError
from fastapi_baseline.auth.tokens.key_ring import KeySource
from fastapi_baseline.auth.tokens.verification import (
    ReadToken,
    Signatures,
    read_token,
)
from fastapi_baseline.clock import Clock

with optional("joserfc", extra="oauth2"):
    from joserfc import jws
    from joserfc.errors import JoseError

ID_TOKEN_TYPES = frozenset({"", "jwt"})
"""What the header of an ID token may have as `typ`: nothing that is the type of another token."""

# Ends of the names of algorithms, and what `at_hash` is the left half of (section 3.1.3.6).
_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
_MAX_TIME = 253_402_300_799
_MAX_TEXT = 1024

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdToken:
    """Who has signed in, as their provider says; `sid` is its name for their session there."""

    issuer: str
    subject: str
    sid: str | None = None
    auth_time: datetime | None = None
    acr: str | None = None
    amr: frozenset[str] = frozenset()
    claims: Claims = field(default_factory=dict[str, Any], compare=False, repr=False)


class IdTokenVerifier:
    """Verifies what one provider has signed for the service as its client."""

    def __init__(
        self, provider: Provider, keys: KeySource, *, clock: Clock, clock_skew: timedelta
    ) -> None:
        """Believe `keys`, and clocks that differ by `clock_skew`."""
        self._provider = provider
        self._keys = keys
        self._clock = clock
        self._skew_s = clock_skew.total_seconds()
        self._registry = Signatures(algorithms=provider.algorithms, strict_check_header=False)

    async def verify(
        self,
        token: str | None,
        *,
        nonce: str | None,
        access_token: str | None = None,
        max_age: timedelta | None = None,
    ) -> IdToken:
        """Return who has signed in.

        `nonce` is what was sent along; `None` after a refresh, where there need not be one. With
        `access_token`, it must be the one that came along, if the ID token says which it was. With
        `max_age`, they must have proved who they are no longer ago.

        Raises:
            InvalidIdTokenError: If the token is not good; it says why.
            ProviderUnavailableError: If the keys of the provider cannot be had.
        """
        read, claims = await self._read(token, types=ID_TOKEN_TYPES)
        _check_authorized_party(claims, self._provider.client_id)
        if "events" in claims:
            # Those of logout tokens (OpenID Connect Back-Channel Logout, section 2.4).
            raise InvalidIdTokenError("type")
        if nonce is not None:
            _check_nonce(claims, nonce)
        if access_token is not None and "at_hash" in claims:
            _check_access_token(claims, access_token, algorithm=read.algorithm)
        found = _read_claims(claims, self._provider.issuer)
        if max_age is not None:
            self._check_age(found, max_age)
        return found

    async def read(
        self, token: str | None, *, types: frozenset[str], needs_expiry: bool = True
    ) -> Claims:
        """Return the claims of another token that the provider has signed for the service.

        Its signature is good, its header has one of `types`, and it is of this provider, for this
        client, and for this time. What else it must say is for the caller to look at.

        Raises:
            InvalidIdTokenError: If it is not so; it says why.
            ProviderUnavailableError: If the keys of the provider cannot be had.
        """
        return (await self._read(token, types=types, needs_expiry=needs_expiry))[1]

    async def _read(
        self, token: str | None, *, types: frozenset[str], needs_expiry: bool = True
    ) -> tuple[ReadToken, Claims]:
        read = _parse(token)
        if read.algorithm not in self._provider.algorithms:
            raise InvalidIdTokenError("algorithm")
        if read.type not in types:
            raise InvalidIdTokenError("type")
        if read.claims.get("iss") != self._provider.issuer:
            raise InvalidIdTokenError("issuer")
        await self._check_signature(read)
        _check_audience(read.claims, self._provider.client_id)
        now = self._clock.now().timestamp()
        _check_times(read.claims, now=now, skew_s=self._skew_s, needs_expiry=needs_expiry)
        return read, read.claims

    async def _check_signature(self, read: ReadToken) -> None:
        try:
            key = await self._keys.find_key(read.kid, read.algorithm)
        except IssuerUnavailableError as error:
            raise ProviderUnavailableError(retry_after=error.retry_after) from error
        if key is None:
            raise InvalidIdTokenError("key")
        try:
            is_signed = jws.validate_compact(read.signature, key, registry=self._registry)
        except (JoseError, ValueError):
            is_signed = False
        if not is_signed:
            raise InvalidIdTokenError("signature")

    def _check_age(self, found: IdToken, max_age: timedelta) -> None:
        if found.auth_time is None:
            raise InvalidIdTokenError("claims")
        age = self._clock.now() - found.auth_time
        if age > max_age + timedelta(seconds=self._skew_s):
            raise InvalidIdTokenError("authentication_too_old")


def _parse(token: str | None) -> ReadToken:
    if token is None:
        raise InvalidIdTokenError("missing")
    try:
        read = read_token(token.encode(errors="replace"))
    except InvalidTokenError:
        read = None
    if read is None:
        raise InvalidIdTokenError("malformed")
    return read


def _check_audience(claims: Claims, client_id: str) -> None:
    audience: object = claims.get("aud")
    listed = cast("list[object]", audience) if isinstance(audience, list) else [audience]
    if client_id not in listed or not all(isinstance(one, str) for one in listed):
        raise InvalidIdTokenError("audience")


def _check_authorized_party(claims: Claims, client_id: str) -> None:
    audience: object = claims.get("aud")
    is_for_others = isinstance(audience, list) and len(cast("list[object]", audience)) > 1
    if ("azp" in claims or is_for_others) and claims.get("azp") != client_id:
        raise InvalidIdTokenError("authorized_party")


def _check_times(claims: Claims, *, now: float, skew_s: float, needs_expiry: bool) -> None:
    expires_at = _read_time(claims, "exp")
    if expires_at is None:
        if needs_expiry:
            raise InvalidIdTokenError("claims")
    elif now >= expires_at + skew_s:
        raise InvalidIdTokenError("expired")
    if _read_time(claims, "iat") is None:
        raise InvalidIdTokenError("claims")
    for name in ("iat", "nbf"):
        moment = _read_time(claims, name)
        if moment is not None and moment > now + skew_s:
            raise InvalidIdTokenError("not_yet_valid")


def _check_nonce(claims: Claims, nonce: str) -> None:
    given: object = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise InvalidIdTokenError("nonce")


def _check_access_token(claims: Claims, access_token: str, *, algorithm: str) -> None:
    # Ed25519 signs with SHA-512 (OpenID Connect Core says nothing of it; others do the same).
    digest = _HASHES.get(algorithm[-3:], hashlib.sha512)(access_token.encode()).digest()
    expected = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")
    if claims.get("at_hash") != expected:
        raise InvalidIdTokenError("access_token_hash")


def _read_claims(claims: Claims, issuer: str) -> IdToken:
    subject = _read_text(claims, "sub")
    if not subject:
        raise InvalidIdTokenError("claims")
    auth_time = _read_time(claims, "auth_time")
    return IdToken(
        issuer=issuer,
        subject=subject,
        sid=_read_text(claims, "sid"),
        auth_time=None if auth_time is None else datetime.fromtimestamp(auth_time, UTC),
        acr=_read_text(claims, "acr"),
        amr=_read_methods(claims),
        claims=claims,
    )


def _read_time(claims: Claims, name: str) -> float | None:
    value: object = claims.get(name)
    if value is None:
        return None
    # `True` is a number in Python, and no comparison with NaN is true.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _MAX_TIME:
        raise InvalidIdTokenError("claims")
    return value


def _read_text(claims: Claims, name: str) -> str | None:
    value: object = claims.get(name)
    if value is None:
        return None
    # NUL, line breaks and halves of surrogate pairs break databases, logs and encoders.
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise InvalidIdTokenError("claims")
    return value


def _read_methods(claims: Claims) -> frozenset[str]:
    value: object = claims.get("amr")
    if value is None:
        return frozenset()
    # Some providers give one method as text.
    methods = cast("list[object]", value) if isinstance(value, list) else [value]
    if not all(isinstance(one, str) and one.isprintable() for one in methods):
        raise InvalidIdTokenError("claims")
    return frozenset(cast("list[str]", methods))
