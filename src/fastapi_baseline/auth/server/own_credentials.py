"""What a text is that somebody asks about: an access token or a refresh token of the service."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from fastapi_baseline.auth.server.application import AuthorizationServer
from fastapi_baseline.auth.server.digests import MAX_LENGTH, REFRESH_PREFIX, digest_of
from fastapi_baseline.auth.server.models import OAuthGrant, OAuthRefreshToken
from fastapi_baseline.auth.server.own_tokens import ACCESS_TOKEN, read_own_token

_FIELDS = ("token", "token_type_hint", "client_id", "client_secret")
_FORM = {
    "type": "object",
    "required": ["token"],
    "properties": {name: {"type": "string"} for name in _FIELDS},
}
TOKEN_BODY: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/x-www-form-urlencoded": {"schema": _FORM}},
    }
}
"""What OpenAPI says of a form about a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAccessToken:
    """An access token that the service has signed, and that has not expired."""

    claims: Mapping[str, Any]

    @property
    def client_id(self) -> str:
        """Return whose it is."""
        return str(self.claims["client_id"])

    @property
    def grant_id(self) -> str | None:
        """Return what it came of; nothing, if the client asks for itself."""
        return self.claims.get("grant")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRefreshToken:
    """A refresh token that the service has issued, in whatever state."""

    token: OAuthRefreshToken
    grant: OAuthGrant

    @property
    def client_id(self) -> str:
        """Return whose it is."""
        return self.grant.client_id


async def find_credential(
    server: AuthorizationServer, text: str
) -> FoundAccessToken | FoundRefreshToken | None:
    """Return what a text is, or `None` if it is nothing of the service.

    What kind it is shows, so nobody has to be asked for a hint.

    Raises:
        UnavailableError: If nobody can tell at the moment.
    """
    if text.startswith(REFRESH_PREFIX):
        return await _find_refresh_token(server, text)
    claims = await read_own_token(
        text,
        issuer=server.issuer,
        keys=server.signing_keys,
        clock=server.clock,
        kind=ACCESS_TOKEN,
    )
    return None if claims is None else FoundAccessToken(claims=claims)


async def _find_refresh_token(server: AuthorizationServer, text: str) -> FoundRefreshToken | None:
    if len(text) > MAX_LENGTH or not text.isascii():
        return None
    statement = (
        select(OAuthRefreshToken, OAuthGrant)
        .join(OAuthGrant, OAuthGrant.id == OAuthRefreshToken.grant_id)
        .where(OAuthRefreshToken.digest == digest_of(text))
    )
    # Not from a replica, which may not know yet that it was used.
    async with server.database.transaction() as session:
        row = (await session.execute(statement)).one_or_none()
    return None if row is None else FoundRefreshToken(token=row[0], grant=row[1])
