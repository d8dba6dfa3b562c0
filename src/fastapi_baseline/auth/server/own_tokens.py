"""Tokens that the service has issued itself: read where they are asked about, and accepted as any.

The service is its own issuer, whose keys it has. A user whom a token is for is the same principal
as in a session, so that what they own stays theirs; a program that asks for itself is a principal of
the issuer.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.auth.server.signing_keys import SigningKeys
from fastapi_baseline.auth.tokens import InvalidTokenError, TokenProfile, TrustedIssuer
from fastapi_baseline.auth.tokens.verification import ReadToken, read_token
from fastapi_baseline.clock import Clock

with optional("joserfc", extra="auth"):
    from joserfc import jws
    from joserfc.errors import JoseError
    from joserfc.jwk import Key
    from joserfc.jws import JWSRegistry

ALGORITHMS = ("RS256", "ES256")
"""What keys of the service sign with, old ones too."""
ACCESS_TOKEN = "at+jwt"  # noqa: S105 -- a type
"""The type of access tokens (RFC 9068, section 2.1)."""
ID_TOKEN = "jwt"  # noqa: S105 -- likewise
"""The type of ID tokens, in lower case."""

_REGISTRY = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)


def make_own_issuer(
    issuer: str, *, audiences: Collection[str], jwks_url: str | None = None
) -> TrustedIssuer:
    """Return the service as the issuer of its own tokens, for `BearerTokens`.

    Its keys are not fetched: `key_sources` has its `SigningKeys`.

    Raises:
        ConfigurationError: If the issuer is not behind TLS, or there is no audience.
    """
    profile = TokenProfile(clients=("client_id",), knower=_find_knower, session="sid")
    return TrustedIssuer(
        issuer=issuer,
        audiences=frozenset(audiences),
        algorithms=ALGORITHMS,
        profile=profile,
        jwks_url=jwks_url,
    )


def make_security_scheme(
    *, authorization_url: str, token_url: str, scopes: Sequence[str]
) -> dict[str, Any]:
    """Return the security scheme object of OpenAPI by which the documentation gets a token."""
    flow = {
        "authorizationUrl": authorization_url,
        "tokenUrl": token_url,
        "refreshUrl": token_url,
        "scopes": dict.fromkeys(scopes, ""),
    }
    return {"type": "oauth2", "flows": {"authorizationCode": flow}}


async def read_own_token(
    token: str,
    *,
    issuer: str,
    keys: SigningKeys,
    clock: Clock,
    kind: str,
    may_be_expired: bool = False,
) -> Mapping[str, Any] | None:
    """Return the claims of a token that the service has signed, or `None` if it has not.

    It is of this `kind`, by its header, and good at this moment; for whom it is, is for the caller
    to check, and whether its grant is.

    Raises:
        SigningKeysUnavailableError: If nobody can tell at the moment.
    """
    found = _read(token, kind)
    key = None if found is None else await keys.find_key(found.kid, found.algorithm)
    if found is None or key is None or not _is_signed(found, key):
        return None
    claims = found.claims
    is_over = not may_be_expired and clock.now().timestamp() >= claims["exp"]
    return None if is_over or claims["iss"] != issuer else claims


def _read(token: str, kind: str) -> ReadToken | None:
    try:
        found = read_token(token.encode(errors="replace"))
    except InvalidTokenError:
        return None
    if found is None or found.type != kind or found.algorithm not in ALGORITHMS:
        return None
    return found


def _is_signed(token: ReadToken, key: Key) -> bool:
    try:
        return jws.validate_compact(token.signature, key, registry=_REGISTRY)
    except (JoseError, ValueError):
        return False


def is_of_user(claims: Mapping[str, Any]) -> bool:
    """Return whether an own access token is for a user, and not for the program that asks."""
    return "grant" in claims and claims.get("sub") != claims.get("client_id")


def _find_knower(claims: Mapping[str, Any]) -> str | None:
    return SELF if is_of_user(claims) else None
