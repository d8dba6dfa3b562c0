"""Codes in the database: found with their grant, and used up once."""

from dataclasses import dataclass

from sqlalchemy import bindparam, select, update

from fastapi_baseline.auth.server.digests import digest_of
from fastapi_baseline.auth.server.errors import InvalidGrantError
from fastapi_baseline.auth.server.models import OAuthClient, OAuthCode, OAuthGrant
from fastapi_baseline.auth.server.protocol.exchange import Exchange, is_storable_secret

# Made once: to put a statement together takes as long as to run it.
#
# Tokens of one grant are issued one after the other, and not while it ends: who waits here sees it
# as it is then. The code itself is not locked, so that nobody waits in a circle with the one who
# removes a client, and all that it was granted, from the top.
_FIND = (
    select(OAuthCode, OAuthGrant)
    .join(OAuthGrant, OAuthGrant.id == OAuthCode.grant_id)
    .where(OAuthCode.digest == bindparam("sought"))
    .with_for_update(of=OAuthGrant)
)
_CONSUME = (
    update(OAuthCode)
    .where(OAuthCode.digest == bindparam("sought"), OAuthCode.consumed_at.is_(None))
    .values(consumed_at=bindparam("now"))
    .returning(OAuthCode.digest)
    .execution_options(synchronize_session=False)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCode:
    """A code that was found, and what it stands for."""

    code: OAuthCode
    grant: OAuthGrant


def find_code(exchange: Exchange, text: str, client: OAuthClient) -> StoredCode | None:
    """Return a code of a client that is good; with one that was used, its grant ends."""
    if not is_storable_secret(text):
        return None
    row = exchange.session.execute(_FIND, {"sought": digest_of(text)}).first()
    if row is None:
        return None
    stored = StoredCode(code=row[0], grant=row[1])
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
    values = {"sought": stored.code.digest, "now": exchange.now}
    if exchange.session.execute(_CONSUME, values).first() is None:
        _report(exchange, stored)
        raise InvalidGrantError


def _report(exchange: Exchange, stored: StoredCode) -> None:
    grant = stored.grant
    exchange.note(
        "authorization_code_reused",
        outcome="failure",
        subject=grant.subject,
        client=grant.client_id,
        grant=grant.id,
    )
    exchange.revoke(grant, "code_reused")
