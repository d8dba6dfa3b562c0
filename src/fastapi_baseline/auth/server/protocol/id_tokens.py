"""What ID tokens say (OpenID Connect Core, section 2): who has signed in, for one client."""

import base64
import hashlib
from datetime import datetime
from typing import Any

from fastapi_baseline.auth.server.models import OAuthClient, OAuthGrant
from fastapi_baseline.auth.server.owners import ResourceOwner
from fastapi_baseline.auth.server.protocol.access_tokens import authentication_of
from fastapi_baseline.auth.server.protocol.services import ProtocolServices

ID_TOKEN_TYPE = "JWT"  # noqa: S105 -- the `typ` of such tokens, and none of them
"""What their header says: not that they are access tokens."""


def make_id_token(
    services: ProtocolServices,
    client: OAuthClient,
    *,
    grant: OAuthGrant,
    owner: ResourceOwner,
    access_token: str,
    now: datetime,
    nonce: str | None = None,
) -> str:
    """Return an ID token; what is told of a user besides who it is, is at the userinfo endpoint."""
    issued_at = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": services.issuer,
        "sub": owner.subject,
        "aud": client.client_id,
        "iat": issued_at,
        "exp": issued_at + int(services.settings.access_token_lifetime.total_seconds()),
        "at_hash": make_half_hash(access_token),
        **authentication_of(grant),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    return services.signer.sign(claims, typ=ID_TOKEN_TYPE)


def make_half_hash(token: str) -> str:
    """Return `at_hash` (section 3.1.3.6): RS256 and ES256 both have SHA-256."""
    digest = hashlib.sha256(token.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
