"""Refresh tokens in the database: found with their grant, and used up once."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from fastapi_baseline.auth.server.digests import REFRESH_PREFIX, digest_of, make_secret
from fastapi_baseline.auth.server.errors import InvalidGrantError
from fastapi_baseline.auth.server.models import OAuthClient, OAuthGrant, OAuthRefreshToken
from fastapi_baseline.auth.server.protocol.exchange import Exchange
from fastapi_baseline.auth.server.protocol.one_time_secrets import OneTimeSecrets

_TOKENS = OneTimeSecrets(OAuthRefreshToken, used_at=OAuthRefreshToken.used_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredToken:
    """A refresh token that was found, and what it stands for."""

    token: OAuthRefreshToken
    grant: OAuthGrant


def find_refresh_token(exchange: Exchange, text: str, client: OAuthClient) -> StoredToken | None:
    """Return a refresh token of a client that is good; one that was used, is not."""
    found = _TOKENS.find(exchange, text)
    if found is None:
        return None
    token, grant = found
    stored, now = StoredToken(token=token, grant=grant), exchange.now
    if stored.grant.client_id != client.client_id or not stored.grant.is_good(now):
        return None
    if stored.token.used_at is not None:
        _report(exchange, stored, used_at=stored.token.used_at)
        return None
    return stored if now < stored.token.expires_at else None


def consume_refresh_token(exchange: Exchange, stored: StoredToken) -> None:
    """Use a refresh token up: one statement, which finds it unused or does not.

    Raises:
        InvalidGrantError: If somebody else has used it.
    """
    if not _TOKENS.consume(exchange, stored.token):
        used = select(OAuthRefreshToken.used_at).where(
            OAuthRefreshToken.digest == stored.token.digest
        )
        _report(exchange, stored, used_at=exchange.session.scalar(used) or exchange.now)
        raise InvalidGrantError


def add_refresh_token(
    exchange: Exchange, grant: OAuthGrant, *, parent: OAuthRefreshToken | None
) -> str:
    """Return a new refresh token of a grant, which takes the place of `parent`."""
    services, now = exchange.services, exchange.now
    text = make_secret(REFRESH_PREFIX, token_bytes=services.token_bytes)
    exchange.session.add(
        OAuthRefreshToken(
            digest=digest_of(text),
            grant_id=grant.id,
            parent_digest=None if parent is None else parent.digest,
            issued_at=now,
            expires_at=min(now + services.settings.refresh_idle_lifetime, grant.expires_at),
        )
    )
    return text


def _report(exchange: Exchange, stored: StoredToken, *, used_at: datetime) -> None:
    grant = stored.grant
    # Two tabs, or an answer that was lost: nobody gets a second token, and nobody loses one.
    is_accident = exchange.now - used_at < exchange.services.settings.reuse_leeway
    exchange.note_use(
        grant,
        "refresh_token_reused_in_window" if is_accident else "refresh_token_reused",
        outcome="failure",
    )
    if not is_accident:
        exchange.revoke(grant, "refresh_token_reused")
