"""What answers at the token endpoint: Authlib's grants, in the greenlets of SQLAlchemy.

Authlib does not know `asyncio`. It runs inside of `AsyncSession.run_sync`: what it does with the
database, the event loop does, in the one transaction of the request, and no thread takes part.
"""

from typing import Any

from sqlalchemy.orm import Session
from starlette.datastructures import Headers

from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.server.errors import (
    InvalidClientError,
    InvalidGrantError,
    InvalidScopeError,
    ProtocolError,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
)
from fastapi_baseline.auth.server.models import OAuthClient
from fastapi_baseline.auth.server.protocol._adapters import KnownClient, TokenRequest
from fastapi_baseline.auth.server.protocol._client_credentials import ClientCredentialsGrant
from fastapi_baseline.auth.server.protocol._code_challenge import StrictCodeChallenge
from fastapi_baseline.auth.server.protocol._code_grant import CodeGrant
from fastapi_baseline.auth.server.protocol._refresh_grant import RefreshTokenGrant
from fastapi_baseline.auth.server.protocol.authlib_classes import AuthorizationServerBase
from fastapi_baseline.auth.server.protocol.client_proofs import (
    ClientCredentials,
    authenticate,
    read_credentials,
)
from fastapi_baseline.auth.server.protocol.exchange import Exchange
from fastapi_baseline.auth.server.protocol.services import ProtocolServices

GRANT_TYPES = ("authorization_code", "client_credentials", "refresh_token")
"""What can be exchanged for tokens."""

# Their messages may repeat what was sent, so that none of them is told.
_ERRORS = {
    kind.error: kind
    for kind in (
        InvalidClientError,
        InvalidGrantError,
        InvalidScopeError,
        ProtocolError,
        UnauthorizedClientError,
        UnsupportedGrantTypeError,
    )
}


class ProtocolEngine:
    """Answers requests for tokens, and says which client is asking."""

    def __init__(self, services: ProtocolServices) -> None:
        """Work with these services."""
        self._services = services
        self._server = _make_server()

    async def exchange(self, headers: Headers, form: dict[str, str]) -> dict[str, Any]:
        """Return the tokens that a request asks for (RFC 6749, section 5.1).

        What a refusal must leave behind is committed before it is raised.

        Raises:
            ProtocolError: If it gets none; its class says why.
            UnavailableError: If the database does not answer, or there is no key to sign with.
        """
        services = self._services
        if "grant_type" not in form:
            raise ProtocolError
        if form["grant_type"] not in GRANT_TYPES:
            raise UnsupportedGrantTypeError
        credentials = await self._read(headers, form)
        await services.signer.refresh()
        async with services.database.transaction() as transaction:

            def answer(session: Session) -> dict[str, Any] | ProtocolError:
                exchange = Exchange(
                    services=services,
                    session=session,
                    transaction=transaction,
                    credentials=credentials,
                    now=services.clock.now(),
                    events=events,
                )
                try:
                    return self._server.create_token_response(TokenRequest(form, exchange))
                except ProtocolError as error:
                    # Not out of here: what was written stays.
                    return error.with_traceback(None)

            events: list[SecurityEvent] = []
            found = await transaction.run_sync(answer)
        for event in events:
            await services.events.record(event)
        if isinstance(found, InvalidClientError):
            await self._report(credentials)
        if isinstance(found, ProtocolError):
            raise found
        return found

    async def authenticate(
        self, headers: Headers, form: dict[str, str], *, allows_public: bool = True
    ) -> OAuthClient:
        """Return the client that is asking, for endpoints that need to know no more.

        Raises:
            InvalidClientError: If it is not known which one it is, or it is public and may not ask.
            ProtocolError: If it says in two ways who it is.
            UnavailableError: If the database does not answer.
        """
        credentials = await self._read(headers, form)
        services = self._services

        def find(session: Session) -> OAuthClient | None:
            try:
                return authenticate(
                    session,
                    credentials,
                    audiences=services.assertion_audiences,
                    now=services.clock.now(),
                    allows_public=allows_public,
                )
            except InvalidClientError:
                return None

        async with services.database.transaction() as transaction:
            client = await transaction.run_sync(find)
        if client is None:
            await self._report(credentials)
            raise InvalidClientError
        return client

    async def _read(self, headers: Headers, form: dict[str, str]) -> ClientCredentials:
        try:
            return read_credentials(headers, form)
        except InvalidClientError:
            await self._report(None)
            raise

    async def _report(self, credentials: ClientCredentials | None) -> None:
        details = {} if credentials is None else {"client": credentials.client_id}
        await self._services.events.record(
            SecurityEvent(name="client_refused", outcome="failure", details=details)
        )


class _Server(AuthorizationServerBase):
    """Authlib's server, which knows nothing of the web: it gets forms, and returns what is told."""

    def authenticate_client(
        self, request: TokenRequest, methods: tuple[str, ...], endpoint: str = "token"
    ) -> KnownClient:
        """Return the client that is asking; its own way to is not strict enough.

        Raises:
            InvalidClientError: If it is not known which one it is, or it may not ask in this way.
        """
        del endpoint
        client = request.exchange.authenticate()
        if client.auth_method not in methods:
            raise InvalidClientError
        request.auth_method = client.auth_method
        return KnownClient(client)

    def query_client(self, client_id: str) -> None:
        """Return nobody: a client that is known has proved who it is."""

    def save_token(self, token: dict[str, Any], request: TokenRequest) -> None:
        """Do nothing: what must be known of a token was stored when it was made."""

    def send_signal(self, name: str, *values: Any, **more: Any) -> None:
        """Do nothing: events say what happened."""

    def create_oauth2_request(self, request: TokenRequest) -> TokenRequest:
        """Return a request, which is one already."""
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Any:
        """Return the tokens."""
        del status, headers
        return body

    def handle_error_response(self, request: TokenRequest, error: Any) -> ProtocolError:
        """Return a refusal in words of our own."""
        del request
        return _ERRORS.get(error.error, ProtocolError)()


def _make_server() -> Any:
    server: Any = _Server()
    server.register_grant(CodeGrant, [StrictCodeChallenge(required=True)])
    server.register_grant(RefreshTokenGrant)
    server.register_grant(ClientCredentialsGrant)
    return server
