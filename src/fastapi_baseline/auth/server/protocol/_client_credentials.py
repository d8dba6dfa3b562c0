"""Tokens for a client itself, of whom no user is part (RFC 6749, section 4.4)."""

from typing import Any

from fastapi_baseline.auth.server.errors import InvalidScopeError
from fastapi_baseline.auth.server.protocol.authlib_classes import ClientCredentialsGrantBase
from fastapi_baseline.auth.server.protocol.exchange import are_covered, read_scopes
from fastapi_baseline.auth.server.protocol.issuing import issue_for_client

OF_USERS = frozenset({"openid", "profile", "email", "address", "phone", "offline_access"})
"""Scopes that are about a user, and mean nothing without one."""


class ClientCredentialsGrant(ClientCredentialsGrantBase):
    """Issues tokens to clients that can prove who they are."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")

    def generate_token(self, **values: Any) -> dict[str, Any]:
        """Return what is asked for; all that the client may have if nothing is.

        Raises:
            InvalidScopeError: If it may not have it, or it is about a user.
        """
        exchange, client = self.request.exchange, self.request.client.stored
        allowed = set(client.scopes) - OF_USERS
        scopes = read_scopes(values.get("scope")) or sorted(allowed)
        if not are_covered(scopes, allowed):
            raise InvalidScopeError
        exchange.note("token_issued", client=client.client_id)
        return issue_for_client(exchange, client, scopes)
