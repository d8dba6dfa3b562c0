"""A service that issues tokens itself, for the benchmark, and clients that have codes for it."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from fastapi import FastAPI

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth.server import AuthorizationServer, ClientDescription
from fastapi_baseline.auth.server.grants import Approval
from fastapi_baseline.auth.users.models import UserRecord, subject_of
from fastapi_baseline.auth.users.routes import make_users_router
from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey
from fastapi_baseline.settings.auth import (
    AuthorizationServerSettings,
    AuthSettings,
    SessionSettings,
    UserSettings,
)
from fastapi_baseline.testing import create_schema, running

_ISSUER = "https://login.example.com"
_REDIRECT = "https://app.example.com/callback"
_VERIFIER = "as-long-as-RFC-7636-asks-for-and-known-to-everybody"


class Reader(Base, UUIDPrimaryKey, Timestamps, UserRecord):
    """A user of the benchmark."""

    __tablename__ = "benchmark_reader"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """What clients may post."""

    credentials: dict[str, str]
    exchanges: Sequence[dict[str, str]]
    """Each is good once."""


def make(url: str) -> FastAPI:
    """Return the service, which keeps everything in a database."""
    settings = Settings.model_validate(
        {
            "environment": "test",
            "database_url": url,
            "auth": AuthSettings(
                public_url=_ISSUER,
                sessions=SessionSettings(enabled=True, store="memory"),
                users=UserSettings(page_url=_ISSUER),
                server=AuthorizationServerSettings(
                    enabled=True, scopes=("items:read",), code_lifetime=timedelta(minutes=10)
                ),
            ),
        }
    )
    app = create_app(settings)
    app.include_router(make_users_router(Reader))
    return app


async def seed(url: str, *, codes: int) -> Seeded:
    """Make the tables, a client for each grant, and `codes` codes of one user."""
    app = make(url)
    async with running(app):
        await create_schema(app)
        server: AuthorizationServer = app.state.authorization_server
        program = await server.clients.add(
            ClientDescription(
                name="Program",
                client_id="program",
                auth_method="client_secret_post",
                grant_types=("client_credentials",),
                scopes=("items:read",),
            )
        )
        await server.clients.add(
            ClientDescription(
                name="App",
                client_id="app",
                auth_method="none",
                redirect_uris=(_REDIRECT,),
                scopes=("openid", "items:read"),
            )
        )
        async with server.database.transaction() as session:
            user = Reader(email="reader@example.com", email_verified_at=server.clock.now())
            session.add(user)
        approval = Approval(
            client_id="app",
            redirect_uri=_REDIRECT,
            subject=subject_of(user),
            scopes=frozenset({"openid", "items:read"}),
            code_challenge=_challenge(),
            session_expires_at=server.clock.now() + timedelta(hours=1),
        )
        async with server.database.transaction() as session:
            issued = [await server.grants.issue_code(session, approval) for _ in range(codes)]
    assert program.secret is not None  # noqa: S101 - it was made for it
    return Seeded(
        credentials={
            "grant_type": "client_credentials",
            "client_id": "program",
            "client_secret": program.secret.get_secret_value(),
            "scope": "items:read",
        },
        exchanges=[
            {
                "grant_type": "authorization_code",
                "client_id": "app",
                "redirect_uri": _REDIRECT,
                "code": code,
                "code_verifier": _VERIFIER,
            }
            for code in issued
        ],
    )


def _challenge() -> str:
    digest = hashlib.sha256(_VERIFIER.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
