"""How a JSON Web Token is verified (RFC 7519, RFC 8725, RFC 9068).

It is read once, and what was read is what is verified: the issuer that it claims picks the keys, the
key identifier in its header one of these, and nothing else in the header is followed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn, cast

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.tokens.claims import check_claims, read_principal
from fastapi_baseline.auth.tokens.errors import InvalidTokenError
from fastapi_baseline.auth.tokens.issuers import TrustedIssuer
from fastapi_baseline.auth.tokens.key_ring import KeySource
from fastapi_baseline.clock import Clock

with optional("joserfc", extra="auth"):
    from joserfc import jws
    from joserfc.errors import DecodeError, JoseError
    from joserfc.jws import CompactSignature, JWSRegistry

MAX_TOKEN_LENGTH = 16_384
"""How long a token may be, in bytes; proxies in front allow headers of 8 or 16 kB."""


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON.")


# Of two members with one name the last counts, as RFC 7519, section 4, allows; all that looks at
# the claims looks at this one reading of them.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


class Signatures(JWSRegistry):
    """The signatures that one issuer may make."""

    def get_alg(self, name: str) -> Any:
        """Return one of them; without a warning, since all that are allowed are safe.

        `EdDSA` is deprecated for what it does not say, the curve; keys of one only are taken.
        """
        return self.algorithms[name]


_READING = JWSRegistry(strict_check_header=False)


@dataclass(frozen=True, slots=True)
class ReadToken:
    """A token as it was read; nothing of it is verified."""

    signature: CompactSignature
    algorithm: str
    kid: str | None
    type: str
    claims: dict[str, Any]


def read_token(token: bytes) -> ReadToken | None:
    """Return what a token says, unverified; `None` if it is no signed JSON Web Token at all.

    Raises:
        InvalidTokenError: If it is one, and cannot be understood, or if it is too long to be read.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidTokenError("malformed")
    try:
        signature = jws.extract_compact(token, None, _READING)
    except DecodeError:
        return None
    except (JoseError, RecursionError):
        raise InvalidTokenError("malformed") from None
    header = cast("object", signature.protected)
    if not isinstance(header, dict):
        raise InvalidTokenError("malformed")
    if "crit" in header or "b64" in header:
        # No extension is understood (RFC 7515, section 4.1.11); RFC 7797 is one.
        raise InvalidTokenError("malformed")
    claims = _read_claims(signature.payload)
    members = cast("dict[str, object]", header)
    algorithm, kid, kind = members["alg"], members.get("kid"), members.get("typ", "")
    if (
        not isinstance(algorithm, str)
        or not isinstance(kind, str)
        or not (kid is None or isinstance(kid, str))
    ):
        raise InvalidTokenError("malformed")
    # "application/" may be left out, and letters may have any case (RFC 7515, section 4.1.9).
    return ReadToken(signature, algorithm, kid, kind.lower().removeprefix("application/"), claims)


def _read_claims(payload: bytes) -> dict[str, Any]:
    try:
        claims: object = _DECODER.decode(payload.decode())
    except (ValueError, RecursionError):
        raise InvalidTokenError("malformed") from None
    if not isinstance(claims, dict):
        raise InvalidTokenError("malformed")
    return cast("dict[str, Any]", claims)


class TokenVerifier:
    """Reads and verifies the tokens of several issuers."""

    read = staticmethod(read_token)

    def __init__(
        self,
        issuers: Sequence[tuple[TrustedIssuer, KeySource]],
        *,
        clock: Clock,
        clock_skew: timedelta,
    ) -> None:
        """Trust these issuers, each with its own keys and no others."""
        self._issuers = {
            issuer.issuer: _Verifier(issuer, keys, clock=clock, skew=clock_skew.total_seconds())
            for issuer, keys in issuers
        }

    async def verify(self, token: ReadToken) -> Principal:
        """Return who is asking.

        Raises:
            InvalidTokenError: If the token is not good; it says why.
            IssuerUnavailableError: If the keys of the issuer cannot be had.
        """
        issuer: object = token.claims.get("iss")
        verifier = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if verifier is None:
            raise InvalidTokenError("issuer")
        return await verifier.verify(token)


class _Verifier:
    """Verifies the tokens of one issuer."""

    def __init__(
        self, issuer: TrustedIssuer, keys: KeySource, *, clock: Clock, skew: float
    ) -> None:
        self._issuer = issuer
        self._types = issuer.profile.types
        self._algorithms = frozenset(issuer.algorithms)
        self._registry = Signatures(algorithms=issuer.algorithms, strict_check_header=False)
        self._keys = keys
        self._clock = clock
        self._skew = skew

    async def verify(self, token: ReadToken) -> Principal:
        if token.algorithm not in self._algorithms:
            raise InvalidTokenError("algorithm")
        if token.type not in self._types:
            raise InvalidTokenError("type")
        key = await self._keys.find_key(token.kid, token.algorithm)
        if key is None:
            raise InvalidTokenError("key")
        try:
            is_signed = jws.validate_compact(token.signature, key, registry=self._registry)
        except (JoseError, ValueError):
            is_signed = False
        if not is_signed:
            raise InvalidTokenError("signature")
        now = self._clock.now().timestamp()
        check_claims(token.claims, self._issuer, now=now, skew=self._skew)
        return read_principal(token.claims, self._issuer)
