"""An authorization code for tokens (RFC 6749, section 4.1.3): once, and for who has asked for it."""

from typing import Any

from fastapi_baseline.auth.server.protocol._adapters import KnownClient, KnownCode
from fastapi_baseline.auth.server.protocol.authlib_classes import CodeGrantBase
from fastapi_baseline.auth.server.protocol.issuing import get_owner, issue_for_user
from fastapi_baseline.auth.server.protocol.stored_codes import consume_code, find_code


class CodeGrant(CodeGrantBase):
    """Exchanges codes; it is not asked for any, for Authlib's checks of that are not enough."""

    # No request has this type: codes are asked for elsewhere.
    RESPONSE_TYPES = frozenset[str]()
    TOKEN_ENDPOINT_AUTH_METHODS = (
        "client_secret_basic",
        "client_secret_post",
        "none",
        "private_key_jwt",
    )

    def query_authorization_code(self, code: str, client: KnownClient) -> KnownCode | None:
        """Return a code that is good for a client, or `None`."""
        stored = find_code(self.request.exchange, code, client.stored)
        if stored is None:
            return None
        return KnownCode(stored, redirect_uri=self.request.payload.redirect_uri)

    def delete_authorization_code(self, authorization_code: KnownCode) -> None:
        """Keep it: it is used up before tokens are issued, and noticed if it comes again."""

    def authenticate_user(self, authorization_code: KnownCode) -> Any:
        """Return the user who has allowed it.

        Raises:
            InvalidGrantError: If they may not any more, or have signed out meanwhile.
        """
        grant = authorization_code.stored.grant
        return get_owner(self.request.exchange, grant, needs_session=True)

    def create_token_response(self) -> Any:
        """Use the code up, and only then issue anything.

        Raises:
            InvalidGrantError: If somebody else has used it.
        """
        consume_code(self.request.exchange, self.request.authorization_code.stored)
        base: Any = super()
        return base.create_token_response()

    def generate_token(self, **values: Any) -> dict[str, Any]:
        """Return what was granted.

        A client that may refresh gets a refresh token: with `offline_access` it outlives the
        session in which it was granted, and ends with it otherwise (OpenID Connect Core, section 11).
        """
        stored = self.request.authorization_code.stored
        exchange, client = self.request.exchange, self.request.client.stored
        exchange.note_use(stored.grant, "token_issued")
        return issue_for_user(
            exchange,
            client,
            scopes=stored.grant.scopes,
            grant=stored.grant,
            owner=values["user"],
            has_refresh_token=bool(values.get("include_refresh_token")),
            nonce=stored.code.nonce,
        )
