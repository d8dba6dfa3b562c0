"""Clients that are somebody, without a token, a key or a password."""

import secrets
from collections.abc import AsyncGenerator, Collection, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from starlette.requests import HTTPConnection

from fastapi_baseline import context
from fastapi_baseline._extras import optional
from fastapi_baseline.auth.authentication import Authentication
from fastapi_baseline.auth.challenges import LAST_RESORT
from fastapi_baseline.auth.errors import AmbiguousCredentialsError
from fastapi_baseline.auth.principals import SELF, Principal, Transport
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.testing.client import client_of

with optional("httpx2", extra="testing"):
    from httpx2 import AsyncClient

_HEADER = "X-Test-Principal"
_CHALLENGES: dict[Transport, str] = {
    "bearer": "Bearer",
    "api_key": "ApiKey",
    "session": LAST_RESORT,
}
_SERVICE_ISSUER = "https://issuer.test"


@asynccontextmanager
async def as_user(
    app: FastAPI,
    subject: str = "user-1",
    *,
    roles: Collection[str] = (),
    scopes: Collection[str] = (),
    issuer: str = SELF,
    transport: Transport = "bearer",
    auth_time: datetime | None = None,
    acr: str | None = None,
    amr: Collection[str] = (),
    session_id: str | None = None,
    claims: Mapping[str, Any] | None = None,
) -> AsyncGenerator[AsyncClient]:
    """Give a client whose requests are a user's.

    They have proved who they are just now, or at `auth_time`. Everything behind authentication is as
    it is for others: scopes, roles and permissions are asked for. See `as_principal`.
    """
    principal = Principal(
        issuer=issuer,
        subject=subject,
        transport=transport,
        roles=frozenset(roles),
        scopes=frozenset(scopes),
        auth_time=auth_time or _clock_of(app).now(),
        acr=acr,
        amr=frozenset(amr),
        session_id=session_id,
        claims=dict(claims or {}),
    )
    async with as_principal(app, principal) as client:
        yield client


@asynccontextmanager
async def as_service(
    app: FastAPI,
    client_id: str = "service-1",
    *,
    scopes: Collection[str] = (),
    roles: Collection[str] = (),
    issuer: str = _SERVICE_ISSUER,
    transport: Transport = "bearer",
    claims: Mapping[str, Any] | None = None,
) -> AsyncGenerator[AsyncClient]:
    """Give a client whose requests are those of a program that asks for itself.

    It is its own subject (RFC 9068, section 5), and has never proved who it is as a user does. See
    `as_principal`.
    """
    principal = Principal(
        issuer=issuer,
        subject=client_id,
        client_id=client_id,
        transport=transport,
        scopes=frozenset(scopes),
        roles=frozenset(roles),
        claims=dict(claims or {}),
    )
    async with as_principal(app, principal) as client:
        yield client


@asynccontextmanager
async def as_principal(app: FastAPI, principal: Principal) -> AsyncGenerator[AsyncClient]:
    """Give a client whose requests are those of a principal, while the block lasts.

    An application that runs already in `running` goes on; any other is started for the block, and
    stopped after it. Clients of others are not concerned, nor those of other applications.
    """
    with acting_as(app, principal) as headers:
        async with client_of(app) as client:
            client.headers.update(headers)
            yield client


@contextmanager
def acting_as(app: FastAPI, principal: Principal) -> Generator[Mapping[str, str]]:
    """Give headers that make any request to an application that of a principal.

    They are for clients of another kind (`TestClient(app, headers=headers)`), and for WebSockets.
    They mean nothing to other applications, nor after the block.
    """
    before = _find_authentication(app)
    known = before if isinstance(before, _KnownPrincipals) else _KnownPrincipals(before)
    app.state.authentication = known
    # As random as any credential: it is one, as long as it lasts.
    name = secrets.token_urlsafe(32)
    known.principals[name] = principal
    try:
        yield {_HEADER: name}
    finally:
        del known.principals[name]
        if not known.principals and app.state.authentication is known:
            known.leave(app)


class _KnownPrincipals(Authentication):
    """The ways that an application has, and one more, which nothing that is published knows of."""

    def __init__(self, others: Authentication | None) -> None:
        some = others or Authentication(())
        super().__init__(some.authenticators, clock=some.clock, events=some.events)
        self._others = others
        self.principals: dict[str, Principal] = {}

    def leave(self, app: FastAPI) -> None:
        if self._others is None:
            del app.state.authentication
        else:
            app.state.authentication = self._others

    async def authenticate(self, connection: HTTPConnection) -> Principal | None:
        principal = self._find(connection)
        if principal is None:
            return await (self._others or super()).authenticate(connection)
        if any(way.is_offered(connection) for way in self.authenticators):
            raise AmbiguousCredentialsError
        request = context.current()
        if request is not None:
            request.principal = principal
        return principal

    def find_challenge(self, connection: HTTPConnection) -> str:
        principal = self._find(connection)
        if principal is None:
            return (self._others or super()).find_challenge(connection)
        return _CHALLENGES[principal.transport]

    def _find(self, connection: HTTPConnection) -> Principal | None:
        return self.principals.get(connection.headers.get(_HEADER, ""))


def _find_authentication(app: FastAPI) -> Authentication | None:
    found: object = getattr(app.state, "authentication", None)
    return found if isinstance(found, Authentication) else None


def _clock_of(app: FastAPI) -> Clock:
    found = _find_authentication(app)
    return SystemClock() if found is None else found.clock
