"""Tokens of an answer: for whom, and only while their user may have them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.auth.server.errors import InvalidGrantError, InvalidScopeError
from fastapi_baseline.auth.server.models import OAuthClient, OAuthGrant, OAuthRefreshToken
from fastapi_baseline.auth.server.owners import ResourceOwner
from fastapi_baseline.auth.server.protocol.access_tokens import join_scopes, make_access_token
from fastapi_baseline.auth.server.protocol.exchange import Exchange, are_covered
from fastapi_baseline.auth.server.protocol.id_tokens import make_id_token
from fastapi_baseline.auth.server.protocol.stored_tokens import add_refresh_token

_NOTED_EVERY = timedelta(minutes=1)


def get_owner(exchange: Exchange, grant: OAuthGrant, *, needs_session: bool) -> ResourceOwner:
    """Return the user of a grant, who must still be one; and in the session, if it is needed.

    Raises:
        InvalidGrantError: If they may not any more, or have signed out; then the grant ends.
    """
    owner = exchange.wait(exchange.services.find_owner(grant.subject, exchange.transaction))
    if owner is None or not owner.is_active or owner.subject != grant.subject:
        exchange.revoke(grant, "trust_ended")
        raise InvalidGrantError
    if needs_session and not _is_in_session(exchange, grant):
        exchange.revoke(grant, "session_ended")
        raise InvalidGrantError
    return owner


def issue_for_client(
    exchange: Exchange, client: OAuthClient, scopes: Sequence[str]
) -> dict[str, Any]:
    """Return the tokens of a client that asks for itself.

    Raises:
        InvalidScopeError: If it may not have one of the scopes.
    """
    if not are_covered(scopes, client.scopes):
        raise InvalidScopeError
    token = make_access_token(exchange.services, client, scopes=scopes, now=exchange.now)
    return _answer(exchange, token, scopes)


def issue_for_user(
    exchange: Exchange,
    client: OAuthClient,
    *,
    scopes: Sequence[str],
    grant: OAuthGrant,
    owner: ResourceOwner,
    has_refresh_token: bool,
    parent: OAuthRefreshToken | None = None,
    nonce: str | None = None,
) -> dict[str, Any]:
    """Return the tokens of a client for a user, and store what must be known of them.

    Raises:
        InvalidScopeError: If the client may not have one of the scopes any more.
    """
    if not are_covered(scopes, client.scopes):
        raise InvalidScopeError
    services, now = exchange.services, exchange.now
    token = make_access_token(services, client, scopes=scopes, now=now, grant=grant, owner=owner)
    answer = _answer(exchange, token, scopes)
    if now - grant.last_used_at >= _NOTED_EVERY:
        grant.last_used_at = now
    if has_refresh_token:
        answer["refresh_token"] = add_refresh_token(exchange, grant, parent=parent)
    else:
        # Nothing else comes of it: it is over when this access token is.
        grant.expires_at = min(grant.expires_at, now + services.settings.access_token_lifetime)
    if "openid" in scopes:
        answer["id_token"] = make_id_token(
            services, client, grant=grant, owner=owner, access_token=token, now=now, nonce=nonce
        )
    return answer


def _answer(exchange: Exchange, token: str, scopes: Sequence[str]) -> dict[str, Any]:
    lifetime = exchange.services.settings.access_token_lifetime
    return {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": int(lifetime.total_seconds()),
        "scope": join_scopes(scopes),
    }


def _is_in_session(exchange: Exchange, grant: OAuthGrant) -> bool:
    sessions = exchange.services.sessions
    if grant.session_id is None or sessions is None:
        return True
    # In the same transaction: a second connection of each would let all wait for all.
    theirs = exchange.wait(sessions.within(exchange.transaction).list(SELF, grant.subject))
    return any(record.id == grant.session_id for record in theirs)
