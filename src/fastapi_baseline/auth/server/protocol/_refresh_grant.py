"""A refresh token for new tokens (RFC 6749, section 6): each once (RFC 9700, section 4.14.2)."""

from typing import Any

from fastapi_baseline.auth.server.protocol._adapters import KnownClient, KnownToken
from fastapi_baseline.auth.server.protocol.authlib_classes import RefreshTokenGrantBase
from fastapi_baseline.auth.server.protocol.exchange import read_scopes
from fastapi_baseline.auth.server.protocol.issuing import get_owner, issue_for_user
from fastapi_baseline.auth.server.protocol.stored_tokens import (
    consume_refresh_token,
    find_refresh_token,
)


class RefreshTokenGrant(RefreshTokenGrantBase):
    """Exchanges refresh tokens, each for another one."""

    INCLUDE_NEW_REFRESH_TOKEN = True
    TOKEN_ENDPOINT_AUTH_METHODS = (
        "client_secret_basic",
        "client_secret_post",
        "none",
        "private_key_jwt",
    )

    def validate_token_request(self) -> None:
        """Look at the request, before the token is used up.

        Raises:
            InvalidScopeError: If it asks for what can be no scope.
        """
        read_scopes(self.request.payload.scope)
        base: Any = super()
        base.validate_token_request()

    def authenticate_refresh_token(self, refresh_token: str) -> KnownToken | None:
        """Return a token that is good for the client, or `None`."""
        client: KnownClient = self.request.client
        stored = find_refresh_token(self.request.exchange, refresh_token, client.stored)
        return None if stored is None else KnownToken(stored)

    def authenticate_user(self, refresh_token: KnownToken) -> Any:
        """Return the user of a token.

        Raises:
            InvalidGrantError: If they may not any more, or have signed out without allowing the
                client to stay.
        """
        grant = refresh_token.stored.grant
        return get_owner(self.request.exchange, grant, needs_session=not grant.is_offline)

    def revoke_old_credential(self, refresh_token: KnownToken) -> None:
        """Do nothing: it is used up before tokens are issued."""

    def create_token_response(self) -> Any:
        """Use the token up, and only then issue anything.

        Raises:
            InvalidGrantError: If somebody else has used it.
        """
        consume_refresh_token(self.request.exchange, self.request.refresh_token.stored)
        base: Any = super()
        return base.create_token_response()

    def generate_token(self, **values: Any) -> dict[str, Any]:
        """Return what is asked for, which is as much as was granted, or less."""
        stored = self.request.refresh_token.stored
        exchange, client = self.request.exchange, self.request.client.stored
        exchange.note_use(stored.grant, "refresh_token_used")
        return issue_for_user(
            exchange,
            client,
            scopes=read_scopes(values["scope"]),
            grant=stored.grant,
            owner=values["user"],
            parent=stored.token,
            has_refresh_token=True,
        )
