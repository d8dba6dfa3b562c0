"""A service with fastapi-users as its documentation sets it up: a cookie, and tokens in the database."""

import contextlib
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import (
    AuthenticationBackend,
    BearerTransport,
    CookieTransport,
    JWTStrategy,
)
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.password import PasswordHelper
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import StaticPool

from benchmarks.peers.defects.probe import client

PEER, ENVIRONMENT = "fastapi-users", "auth"
SECRET = "SECRET"  # noqa: S105 - as its documentation has it
PASSWORD, NEW_PASSWORD = "correct horse battery", "another horse battery"
EMAIL, OTHER = "known@example.com", "other@example.com"
COOKIE = "fastapiusersauth"
LIFETIME = 3600


class Base(DeclarativeBase):
    """The tables."""


class User(SQLAlchemyBaseUserTableUUID, Base):
    """A user."""


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    """A session."""


class UserRead(schemas.BaseUser[uuid.UUID]):
    """What is shown of a user."""


@dataclass(slots=True)
class Service:
    """A service that runs, and what it would have sent by e-mail."""

    app: FastAPI
    sessions: async_sessionmaker[AsyncSession]
    letters: list[tuple[str, str]] = field(default_factory=list)
    """The kind of each, and its token."""
    hashed: list[int] = field(default_factory=list)
    """How long each password was that was hashed or verified."""

    def visitor(self) -> httpx.AsyncClient:
        """Return a browser that has not been there."""
        return client(self.app)

    async def change(self, whose: str, /, **values: object) -> None:
        """Change a user in the database."""
        async with self.sessions.begin() as session:
            await session.execute(update(User).where(User.email == whose).values(**values))

    async def register(self, email: str = EMAIL, **more: object) -> httpx.Response:
        """Register a user."""
        async with self.visitor() as browser:
            given = {"email": email, "password": PASSWORD, **more}
            return await browser.post("/auth/register", json=given)

    async def sign_in(
        self, browser: httpx.AsyncClient, *, email: str = EMAIL, password: str = PASSWORD
    ) -> str:
        """Sign in with a browser, which gets the cookie; return it."""
        form = {"username": email, "password": password}
        answer = await browser.post("/auth/login", data=form)
        cookie = answer.headers.get("set-cookie", "").partition(";")[0].partition("=")[2]
        browser.cookies.clear()
        # The cookie is for https only, and the client is not told that it is.
        browser.headers["cookie"] = f"{COOKIE}={cookie}"
        return cookie


@contextlib.asynccontextmanager
async def serving(*, tokens: bool = False) -> AsyncGenerator[Service]:
    """Run a service with one user; `tokens` stand for sessions of JWT, as in its quick start."""
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    service = Service(app=FastAPI(), sessions=async_sessionmaker(engine, expire_on_commit=False))
    _add_routes(service, tokens=tokens)
    await service.register()
    try:
        yield service
    finally:
        await engine.dispose()


def _add_routes(service: Service, *, tokens: bool) -> None:
    async def get_session() -> AsyncGenerator[AsyncSession]:
        async with service.sessions() as session:
            yield session

    async def get_manager(session: AsyncSession = Depends(get_session)) -> "_Manager":  # noqa: B008 - as its documentation has it
        return _Manager(SQLAlchemyUserDatabase(session, User), service)

    def in_database(session: AsyncSession = Depends(get_session)) -> DatabaseStrategy:  # noqa: B008 - likewise
        stored = SQLAlchemyAccessTokenDatabase(session, AccessToken)
        return DatabaseStrategy(stored, lifetime_seconds=LIFETIME)

    def in_tokens() -> JWTStrategy:
        return JWTStrategy(secret=SECRET, lifetime_seconds=LIFETIME)

    backend = AuthenticationBackend(
        name="cookie" if not tokens else "jwt",
        transport=BearerTransport("auth/login") if tokens else CookieTransport(),
        get_strategy=in_tokens if tokens else in_database,
    )
    users = FastAPIUsers[User, uuid.UUID](get_manager, [backend])
    app = service.app
    app.include_router(users.get_auth_router(backend), prefix="/auth")
    registering = users.get_register_router(UserRead, schemas.BaseUserCreate)
    app.include_router(registering, prefix="/auth")
    app.include_router(users.get_reset_password_router(), prefix="/auth")
    app.include_router(users.get_verify_router(UserRead), prefix="/auth")
    app.include_router(users.get_users_router(UserRead, schemas.BaseUserUpdate), prefix="/users")


class _Helper(PasswordHelper):
    """Counts what it does, and does it."""

    def __init__(self, hashed: list[int]) -> None:
        super().__init__()
        self._hashed = hashed

    def hash(self, password: str) -> str:
        self._hashed.append(len(password))
        return super().hash(password)

    def verify_and_update(
        self, plain_password: str, hashed_password: str
    ) -> tuple[bool, str | None]:
        self._hashed.append(len(plain_password))
        return super().verify_and_update(plain_password, hashed_password)


class _Manager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    """Keeps the letters instead of sending them."""

    reset_password_token_secret = SECRET
    verification_token_secret = SECRET

    def __init__(self, users: Any, service: Service) -> None:
        super().__init__(users, _Helper(service.hashed))
        self._service = service

    async def on_after_forgot_password(self, user: User, token: str, request: Any = None) -> None:
        del user, request
        self._service.letters.append(("reset", token))

    async def on_after_request_verify(self, user: User, token: str, request: Any = None) -> None:
        del user, request
        self._service.letters.append(("verify", token))
