"""Codes in the database: found with their grant, and used up once."""

from dataclasses import dataclass

from fastapi_baseline.auth.server.errors import InvalidGrantError
from fastapi_baseline.auth.server.models import OAuthClient, OAuthCode, OAuthGrant
from fastapi_baseline.auth.server.protocol.exchange import Exchange
from fastapi_baseline.auth.server.protocol.one_time_secrets import OneTimeSecrets

_CODES = OneTimeSecrets(OAuthCode, used_at=OAuthCode.consumed_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCode:
    """A code that was found, and what it stands for."""

    code: OAuthCode
    grant: OAuthGrant


def find_code(exchange: Exchange, text: str, client: OAuthClient) -> StoredCode | None:
    """Return a code of a client that is good; with one that was used, its grant ends."""
    found = _CODES.find(exchange, text)
    if found is None:
        return None
    code, grant = found
    stored = StoredCode(code=code, grant=grant)
    if stored.grant.client_id != client.client_id:
        return None
    if stored.code.consumed_at is not None:
        _report(exchange, stored)
        return None
    now = exchange.now
    return stored if now < stored.code.expires_at and stored.grant.is_good(now) else None


def consume_code(exchange: Exchange, stored: StoredCode) -> None:
    """Use a code up: one statement, which finds it unused or does not.

    Raises:
        InvalidGrantError: If somebody else has used it; then all that came of it ends.
    """
    if not _CODES.consume(exchange, stored.code):
        _report(exchange, stored)
        raise InvalidGrantError


def _report(exchange: Exchange, stored: StoredCode) -> None:
    exchange.note_use(stored.grant, "authorization_code_reused", outcome="failure")
    exchange.revoke(stored.grant, "code_reused")
