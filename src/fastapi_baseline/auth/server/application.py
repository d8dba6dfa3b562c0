"""The authorization server of an application, made of its parts."""

import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import HTTPConnection

from fastapi_baseline.auth.challenges import is_scope
from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.security_events import SecurityEvents
from fastapi_baseline.auth.server.clients import ClientRegistry
from fastapi_baseline.auth.server.grants import Grants
from fastapi_baseline.auth.server.owners import ApplicationUsers, ResourceOwner, ResourceOwners
from fastapi_baseline.auth.server.protocol.engine import ProtocolEngine
from fastapi_baseline.auth.server.protocol.services import ProtocolServices
from fastapi_baseline.auth.server.signing_keys import SigningKeys
from fastapi_baseline.auth.sessions import Sessions
from fastapi_baseline.auth.tokens.addresses import check_address
from fastapi_baseline.clock import Clock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Database, ReadSession
from fastapi_baseline.settings import AuthSettings

PROTOCOL_SCOPES = ("openid", "profile", "email", "offline_access")
"""What clients may ask for besides what the settings name (OpenID Connect Core, 5.4 and 11)."""

TOKEN_PATH = "/oauth2/token"  # noqa: S105 -- where tokens are asked for, and none of them


class AuthorizationServer:
    """What issues tokens; `AuthorizationServer.of(request)` in a route."""

    def __init__(
        self,
        settings: AuthSettings,
        *,
        database: Database,
        keys: KeyRing,
        clock: Clock,
        events: SecurityEvents,
        sessions: Sessions | None = None,
        owners: ResourceOwners | None = None,
        signing_keys: SigningKeys | None = None,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Issue tokens as the settings say; without `owners`, to the users of the application.

        Raises:
            ConfigurationError: If it is not known who the server is, or that is not safe.
        """
        self.auth = settings
        self.settings = settings.server
        self.public_url, self.issuer = _find_identity(settings)
        self.audiences = settings.server.audience or (self.issuer,)
        self.scopes = _find_scopes(settings.server.scopes)
        self.database, self.keys, self.clock, self.events = database, keys, clock, events
        self.sessions, self.owners, self.token_bytes = sessions, owners, token_bytes
        self.clients = ClientRegistry(
            database, scopes=self.scopes, clock=clock, events=events, token_bytes=token_bytes
        )
        self.grants = Grants(
            database, settings=self.settings, clock=clock, events=events, token_bytes=token_bytes
        )
        self.signing_keys = signing_keys or SigningKeys(
            database, keys=keys, settings=self.settings, clock=clock, events=events
        )
        self.engine = ProtocolEngine(self._make_services())

    @classmethod
    def of(cls, connection: HTTPConnection) -> "AuthorizationServer":
        """Return that of the application which answers a request.

        Raises:
            ConfigurationError: If it has none.
        """
        found = getattr(connection.app.state, "authorization_server", None)
        if not isinstance(found, cls):
            raise ConfigurationError(
                "The application issues no tokens: set AUTH__SERVER__ENABLED=true."
            )
        return found

    def url(self, path: str) -> str:
        """Return the address of an endpoint: `public_url` and `path`, whatever a request says."""
        return f"{self.public_url}{path}"

    async def find_owner(
        self, subject: str, *, session: ReadSession | None = None
    ) -> ResourceOwner | None:
        """Return a user by subject, in a transaction that is given or one that only reads.

        Raises:
            ConfigurationError: If it is not known where users are: the application has not started.
        """
        if self.owners is None:
            raise ConfigurationError("Users are known when the application has started.")
        if session is not None:
            return await self.owners.find(subject, session=session)
        async with self.database.read_transaction() as opened:
            return await self.owners.find(subject, session=opened)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncGenerator[None]:
        """Run while the application serves: what is signed with is there before the first token."""
        self.owners = self.owners or ApplicationUsers(app)
        if self.sessions is not None:
            self.sessions.on_end(self.grants.revoke_session)
        async with self.signing_keys.lifespan(app):
            yield

    def _make_services(self) -> ProtocolServices:
        return ProtocolServices(
            issuer=self.issuer,
            audiences=self.audiences,
            assertion_audiences=frozenset({self.issuer, self.url(TOKEN_PATH)}),
            settings=self.settings,
            database=self.database,
            clock=self.clock,
            events=self.events,
            signer=self.signing_keys,
            find_owner=lambda subject, session: self.find_owner(subject, session=session),
            sessions=self.sessions,
            token_bytes=self.token_bytes,
        )


def make_authorization_server(
    settings: AuthSettings,
    *,
    database: Database,
    keys: KeyRing,
    clock: Clock,
    events: SecurityEvents,
    sessions: Sessions | None = None,
    owners: ResourceOwners | None = None,
) -> AuthorizationServer:
    """Return an authorization server, whose `lifespan` is to be run.

    Raises:
        ConfigurationError: If it is not known who the server is, or that is not safe.
    """
    return AuthorizationServer(
        settings,
        database=database,
        keys=keys,
        clock=clock,
        events=events,
        sessions=sessions,
        owners=owners,
    )


def _find_identity(settings: AuthSettings) -> tuple[str, str]:
    """Return what addresses of endpoints begin with, and the issuer."""
    if settings.public_url is None:
        raise ConfigurationError(
            "Set AUTH__PUBLIC_URL to the URL of the service as browsers know it: tokens say who "
            "has issued them."
        )
    issuer = settings.server.issuer or settings.public_url
    for url, name in ((settings.public_url, "AUTH__PUBLIC_URL"), (issuer, "AUTH__SERVER__ISSUER")):
        check_address(url, what=name)
        if "?" in url or not url.isascii() or set(url) & set('"\\{}<>'):
            raise ConfigurationError(f"{name} must have no query, and be in ASCII.")
    return settings.public_url.rstrip("/"), issuer


def _find_scopes(own: Sequence[str]) -> tuple[str, ...]:
    if wrong := [scope for scope in own if not is_scope(scope)]:
        raise ConfigurationError(f"AUTH__SERVER__SCOPES has what can be no scope: {wrong}")
    return tuple(dict.fromkeys((*PROTOCOL_SCOPES, *own)))
