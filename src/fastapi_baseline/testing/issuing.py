"""A service that issues tokens, in the process of a test: with users, sessions and clients.

async with open_issuing_service(User, database_url) as service:
    client = await service.add_client(grant_types=["authorization_code"], scopes=["openid"])
    browser = await service.sign_in(await service.add_user())
    answer = await service.redeem(client, await service.get_code(client, browser))
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlsplit

from fastapi import FastAPI
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response as EmptyResponse

from fastapi_baseline import Settings, create_app
from fastapi_baseline._extras import optional
from fastapi_baseline.auth.principals import SELF, Principal
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.server import models
from fastapi_baseline.auth.server.application import TOKEN_PATH, AuthorizationServer
from fastapi_baseline.auth.server.clients import ClientDescription, RegisteredClient
from fastapi_baseline.auth.server.grants import Approval
from fastapi_baseline.auth.server.protocol.pkce import make_challenge
from fastapi_baseline.auth.sessions import Sessions
from fastapi_baseline.auth.sessions.models import AuthSession
from fastapi_baseline.auth.sessions.records import SessionRecord
from fastapi_baseline.auth.users import Argon2Cost, PasswordHasher, UserRecord
from fastapi_baseline.auth.users.models import OneTimeToken, subject_of
from fastapi_baseline.auth.users.routes import make_users_router
from fastapi_baseline.auth.users.second_factor_models import RecoveryCode, SecondFactor
from fastapi_baseline.auth.users.sign_in import PASSWORD_ONLY
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings.auth import (
    AuthorizationServerSettings,
    AuthSettings,
    SessionSettings,
    UserSettings,
)
from fastapi_baseline.testing.clock import ManualClock

with optional("httpx2", extra="testing"):
    from httpx2 import ASGITransport, AsyncClient, BasicAuth, Response
with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import Table

ORIGIN = "https://issuer.example.com"
"""Where the service is, and what its tokens say who has issued them."""

CALLBACK = "https://client.example.com/callback"
VERIFIER = "a-verifier-of-at-least-forty-three-characters"
PASSWORD = "correct horse battery staple"  # noqa: S105 -- of users that live as long as a test

_KEY = "a-secret-of-32-characters-or-more"
_TABLES: tuple[type[Any], ...] = (
    AuthSession,
    OneTimeToken,
    RecoveryCode,
    SecondFactor,
    models.OAuthClient,
    models.OAuthConsent,
    models.OAuthGrant,
    models.OAuthCode,
    models.OAuthInteraction,
    models.OAuthRefreshToken,
    models.OAuthSigningKey,
    models.OAuthUsedAssertion,
)


class RecordedEvents:
    """The security events of a service, in order."""

    def __init__(self) -> None:
        """Begin without any."""
        self.all: list[SecurityEvent] = []

    async def record(self, event: SecurityEvent) -> None:
        """Keep an event."""
        self.all.append(event)

    @property
    def names(self) -> list[str]:
        """Return their names."""
        return [event.name for event in self.all]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser of a user who has signed in, and their session."""

    http: AsyncClient
    subject: str
    session: SessionRecord


class AskingService:
    """What asks for tokens, as clients do."""

    http: AsyncClient

    async def redeem(self, client: RegisteredClient, code: str, **form: str) -> Response:
        """Exchange a code for tokens."""
        values = {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **form}
        return await self.ask(client, grant_type="authorization_code", **values)

    async def refresh(self, client: RegisteredClient, token: str, **form: str) -> Response:
        """Exchange a refresh token for tokens."""
        return await self.ask(client, grant_type="refresh_token", refresh_token=token, **form)

    async def ask(self, client: RegisteredClient, **form: str) -> Response:
        """Ask for tokens as a client, which says as it must who it is; empty values are left out."""
        return await self.post(TOKEN_PATH, client, **form)

    async def post(self, path: str, client: RegisteredClient, **form: str) -> Response:
        """Send a form to an endpoint as a client."""
        client_id, secret = client.client.client_id, client.secret
        method = client.client.auth_method
        auth: Any = None
        if secret is not None and method == "client_secret_basic":
            auth = BasicAuth(client_id, secret.get_secret_value())
        elif secret is not None:
            form = {"client_id": client_id, "client_secret": secret.get_secret_value(), **form}
        elif method == "none":
            form = {"client_id": client_id, **form}
        sent: Mapping[str, str] = {name: value for name, value in form.items() if value}
        return await self.http.post(path, data=sent, auth=auth)


class IssuingService(AskingService):
    """A service that issues tokens, and its users and clients."""

    def __init__(self, app: FastAPI, *, events: RecordedEvents, model: type[Any]) -> None:
        """Work with an application that has started."""
        self.app = app
        self.events = events
        self.server: AuthorizationServer = app.state.authorization_server
        self.database: Database = app.state.database
        self.clock: ManualClock = app.state.authentication.clock
        self._model = model
        self._stack = AsyncExitStack()
        self.http = AsyncClient()

    async def open_browser(self, **headers: str) -> AsyncClient:
        """Return a new browser, whose requests come from pages of the service."""
        transport = ASGITransport(app=self.app, raise_app_exceptions=False)
        sent = {"X-Requested-With": "test", "Sec-Fetch-Site": "same-origin", **headers}
        client = AsyncClient(transport=transport, base_url=ORIGIN, headers=sent)
        return await self._stack.enter_async_context(client)

    async def add_user(self, email: str = "ann@example.com", *, roles: Sequence[str] = ()) -> str:
        """Add a user who can sign in with `PASSWORD`, and return their subject."""
        users = self.app.state.users
        user = self._model(
            email=email,
            email_verified_at=self.clock.now(),
            password_hash=await users.services.hasher.hash(PASSWORD),
            password_changed_at=self.clock.now(),
            roles=list(roles),
        )
        async with self.database.transaction() as session:
            session.add(user)
            await session.flush()
        return subject_of(user)

    async def add_client(self, name: str = "shop", **description: Any) -> RegisteredClient:
        """Add a client: by default a public one, for codes and refresh tokens, with all scopes."""
        values: dict[str, Any] = {
            "auth_method": "none",
            "grant_types": ("authorization_code", "refresh_token"),
            "redirect_uris": (CALLBACK,),
            "scopes": self.server.scopes,
            "is_first_party": True,
            **description,
        }
        return await self.server.clients.add(ClientDescription(name=name, **values))

    async def add_machine(self, name: str = "job", **description: Any) -> RegisteredClient:
        """Add a client that asks for itself, with a secret."""
        values: dict[str, Any] = {
            "auth_method": "client_secret_basic",
            "grant_types": ("client_credentials",),
            "scopes": tuple(self.server.settings.scopes),
            **description,
        }
        return await self.server.clients.add(ClientDescription(name=name, **values))

    async def sign_in(self, subject: str) -> SignedIn:
        """Return a browser of a user in a new session, as if they had said their password."""
        sessions: Sessions = self.app.state.sessions
        owner = await self.server.find_owner(subject)
        roles = frozenset[str]() if owner is None else owner.roles
        asking, answer = Request({"type": "http", "headers": [], "client": None}), EmptyResponse()
        begun = await sessions.start(asking, answer, _principal_of(subject, roles))
        browser = await self.open_browser()
        cookie, _, _ = answer.headers["set-cookie"].partition(";")
        name, _, value = cookie.partition("=")
        browser.cookies.set(name, value, domain=urlsplit(ORIGIN).hostname or "")
        listed = await sessions.list(SELF, subject)
        return SignedIn(browser, subject, next(one for one in listed if one.id == begun.session_id))

    async def get_code(
        self,
        client: RegisteredClient,
        user: SignedIn,
        *,
        scopes: Sequence[str] = ("openid", "offline_access"),
        **approval: Any,
    ) -> str:
        """Return a code, as if the user had been asked at the authorization endpoint."""
        session = user.session
        values: dict[str, Any] = {
            "client_id": client.client.client_id,
            "redirect_uri": CALLBACK,
            "subject": user.subject,
            "scopes": frozenset(scopes),
            "code_challenge": make_challenge(VERIFIER),
            "session_id": session.id,
            "session_expires_at": session.expires_at,
            "auth_time": session.auth_time,
            "acr": session.acr,
            "amr": session.amr,
            **approval,
        }
        async with self.database.transaction() as transaction:
            return await self.server.grants.issue_code(transaction, Approval(**values))

    async def get_tokens(
        self, client: RegisteredClient, user: SignedIn, *, scopes: Sequence[str] = ("openid",)
    ) -> dict[str, Any]:
        """Return the tokens of a user for a client."""
        answer = await self.redeem(client, await self.get_code(client, user, scopes=scopes))
        if answer.status_code != 200:  # noqa: PLR2004 -- OK
            raise AssertionError(answer.text)
        found: dict[str, Any] = answer.json()
        return found

    async def is_alive(self, client: RegisteredClient, refresh_token: str) -> bool:
        """Return whether tokens come of a refresh token: it is used up by that."""
        return (await self.refresh(client, refresh_token)).status_code == 200  # noqa: PLR2004 -- OK

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator["IssuingService"]:
        """Have a browser to send requests with; all are closed at the end."""
        async with self._stack:
            self.http = await self.open_browser()
            yield self


def _principal_of(subject: str, roles: frozenset[str]) -> Principal:
    return Principal(
        issuer=SELF,
        subject=subject,
        transport="session",
        roles=roles,
        acr=PASSWORD_ONLY,
        amr=frozenset({"pwd"}),
    )


@asynccontextmanager
async def open_issuing_service(
    model: type[UserRecord],
    database_url: str,
    *,
    server: Mapping[str, Any] | None = None,
    auth: Mapping[str, Any] | None = None,
    include: Callable[[FastAPI], object] | None = None,
    clock: ManualClock | None = None,
    **settings: Any,
) -> AsyncGenerator[IssuingService]:
    """Open a service with an empty database, whose users are of `model`.

    `server`, `auth` and other `settings` take the place of those that it has; `include` adds routes.
    Keys are of `ES256`, which are made at once.
    """
    serving: dict[str, Any] = {
        "enabled": True,
        "scopes": ("orders:read", "orders:write"),
        "algorithm": "ES256",
    }
    values: dict[str, Any] = {
        "sessions": SessionSettings(enabled=True, idle_timeout=timedelta(hours=2)),
        "users": UserSettings(
            page_url=ORIGIN, sign_ins_per_address=("1000/day",), sign_ins_per_account=("1000/day",)
        ),
        "secret_keys": (SecretStr(_KEY),),
        "public_url": ORIGIN,
        "server": AuthorizationServerSettings(**{**serving, **(server or {})}),
        **(auth or {}),
    }
    options: dict[str, Any] = {
        "environment": "test",
        "service_name": "issuer",
        "database_url": SecretStr(database_url),
        "auth": AuthSettings(**values),
        **settings,
    }
    events = RecordedEvents()
    app = create_app(Settings(**options), clock=clock or ManualClock(), configure_logging=False)
    # Everything has been told of this one already.
    setattr(app.state.security_events, "record", events.record)  # noqa: B010 -- no method is assigned
    hasher = PasswordHasher(cost=Argon2Cost(memory=64, passes=1, threads=1))
    app.include_router(make_users_router(model, hasher=hasher))
    if include is not None:
        include(app)
    async with app.state.database.engine.begin() as connection:
        for one in (cast("type[Any]", model), *_TABLES):
            table: Table[Any] = one.metadata.tables[one.__tablename__]
            await connection.run_sync(table.create)
    service = IssuingService(app, events=events, model=model)
    async with app.router.lifespan_context(app), service.opened():
        yield service
