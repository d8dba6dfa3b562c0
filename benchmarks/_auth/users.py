"""A service with users of its own, in SQLite, for the benchmark of sign-ins."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth.users.hashing import PasswordHasher
from fastapi_baseline.auth.users.models import UserRecord
from fastapi_baseline.auth.users.routes import make_users_router
from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey
from fastapi_baseline.settings.auth import AuthSettings, SessionSettings, UserSettings
from fastapi_baseline.testing import create_schema

USERS = 50
PASSWORD = "four words nobody has said"  # noqa: S105 - of users who live as long as the benchmark
# Never reached: what is measured is the work of those who are let through.
_MANY = ("100000/minute",)
WORKERS = UserSettings().hashing_workers


class User(Base, UUIDPrimaryKey, Timestamps, UserRecord):
    """A user of the benchmark."""

    __tablename__ = "benchmark_user"


def email_of(number: int) -> str:
    """Return the address of a user."""
    return f"user-{number}@example.com"


def make(folder: Path) -> FastAPI:
    """Return the service, whose users are there when it starts."""
    settings = Settings.model_validate(
        {
            "environment": "test",
            # Sign-ins wait for each other, and machines that try things out are busy.
            "requests": {"timeout": 50},
            "database_url": f"sqlite:///{folder / 'users.db'}",
            "auth": AuthSettings(
                sessions=SessionSettings(enabled=True, store="memory"),
                users=UserSettings(
                    page_url="https://app.example.com",
                    requires_verified_email=False,
                    sign_ins_per_address=_MANY,
                    sign_ins_per_account=_MANY,
                ),
            ),
        }
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        await create_schema(app)
        hashed = await PasswordHasher().hash(PASSWORD)
        async with app.state.database.transaction() as session:
            session.add_all(
                User(email=email_of(number), password_hash=hashed) for number in range(USERS)
            )
        yield

    app = create_app(settings, lifespan=lifespan)
    app.include_router(make_users_router(User))
    return app
