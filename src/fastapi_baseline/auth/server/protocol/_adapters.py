"""What is stored, as Authlib wants to see it."""

import hmac
from typing import Any

from fastapi_baseline.auth.server.digests import digest_of
from fastapi_baseline.auth.server.models import OAuthClient
from fastapi_baseline.auth.server.protocol.access_tokens import join_scopes
from fastapi_baseline.auth.server.protocol.authlib_classes import (
    BasicPayload,
    ClientBase,
    RequestBase,
    TokenBase,
)
from fastapi_baseline.auth.server.protocol.exchange import Exchange, are_covered, read_scopes
from fastapi_baseline.auth.server.protocol.pkce import METHOD
from fastapi_baseline.auth.server.protocol.stored_codes import StoredCode
from fastapi_baseline.auth.server.protocol.stored_tokens import StoredToken

# Authlib refuses addresses without TLS. Which one this is has been looked at where the server was
# made; what a request says of it is never believed.
_ADDRESS = "https://server.invalid/oauth2/token"


class TokenRequest(RequestBase):
    """A request at the token endpoint, with all that it is answered from."""

    auth_method: str | None = None
    """How the client has proved who it is."""

    def __init__(self, form: dict[str, str], exchange: Exchange) -> None:
        """Hold a form that was read, and what it is answered with."""
        super().__init__("POST", _ADDRESS, headers={})
        self.payload = BasicPayload(form)
        self.exchange = exchange

    @property
    def form(self) -> Any:
        """Return the parameters."""
        return self.payload.data

    @property
    def args(self) -> Any:
        """Return those of the URL: none are looked at."""
        return {}


class KnownClient(ClientBase):
    """A client that has proved who it is."""

    def __init__(self, stored: OAuthClient) -> None:
        """Stand for a stored client."""
        self.stored = stored

    def __repr__(self) -> str:
        return f"KnownClient({self.stored.client_id!r})"

    def get_client_id(self) -> str:
        """Return its identifier."""
        return self.stored.client_id

    def get_default_redirect_uri(self) -> None:
        """Return that there is none: each request says it."""

    def get_allowed_scope(self, scope: str) -> str | None:
        """Return the scopes if it may have all of them; none is left out without a word."""
        asked = read_scopes(scope or None)
        return join_scopes(asked) if are_covered(asked, self.stored.scopes) else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Return whether codes may be sent there."""
        return self.stored.has_redirect_uri(redirect_uri)

    def check_client_secret(self, client_secret: str) -> bool:
        """Return whether it is the secret."""
        return hmac.compare_digest(self.stored.secret_digest or "", digest_of(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Return whether it proves in this way who it is, at any endpoint."""
        del endpoint
        return method == self.stored.auth_method

    def check_response_type(self, response_type: str) -> bool:
        """Return whether it may ask for codes; nobody may ask for anything else."""
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        """Return whether it may ask in this way."""
        return grant_type in self.stored.grant_types


class KnownCode:
    """A code that was found, in one request."""

    code_challenge_method = METHOD

    def __init__(self, stored: StoredCode, *, redirect_uri: str | None) -> None:
        """Stand for a stored code, for a request that says where it was sent, or does not."""
        self.stored = stored
        self.code_challenge = stored.code.code_challenge
        self._redirect_uri = redirect_uri

    def get_redirect_uri(self) -> str | None:
        """Return where it was sent, if the request says so.

        OAuth 2.1 has no such parameter any more: the verifier says more.
        """
        return None if self._redirect_uri is None else self.stored.code.redirect_uri

    def get_scope(self) -> str:
        """Return what was granted."""
        return join_scopes(self.stored.grant.scopes)


class KnownToken(TokenBase):
    """A refresh token that was found."""

    def __init__(self, stored: StoredToken) -> None:
        """Stand for a stored token."""
        self.stored = stored

    def check_client(self, client: KnownClient) -> bool:
        """Return whether it is the client's."""
        return self.stored.grant.client_id == client.stored.client_id

    def get_scope(self) -> str:
        """Return what was granted: narrowing one access token narrows no other."""
        return join_scopes(self.stored.grant.scopes)
