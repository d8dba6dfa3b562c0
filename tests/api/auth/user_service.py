"""A running service that has users, and what else of it a test sees: letters, events and hashes."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from pyotp.totp import TOTP

from fastapi_baseline.auth.sessions.models import AuthSession
from fastapi_baseline.auth.users import Argon2Cost, HashingBusyError, Letter, PasswordHasher
from fastapi_baseline.auth.users.hashing import Verification
from fastapi_baseline.auth.users.models import OneTimeToken
from fastapi_baseline.auth.users.second_factor_models import RecoveryCode, SecondFactor
from fastapi_baseline.persistence import Base
from fastapi_baseline.testing import ManualClock
from tests.recorded_events import RecordedEvents


class Post:
    """What letters are sent with."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []

    async def send(self, letter: Letter) -> None:
        self.letters.append(letter)


class CountingHasher(PasswordHasher):
    """Counts what costs most, with hashes that cost little, and a queue that can be full."""

    def __init__(self) -> None:
        super().__init__(cost=Argon2Cost(memory=64, passes=1, threads=1))
        self.count = 0
        self.is_busy = False

    async def hash(self, password: str) -> str:
        self.count += 1
        return await super().hash(password)

    async def verify(self, password: str, stored: str | None) -> Verification:
        self.count += 1
        if self.is_busy:
            raise HashingBusyError
        return await super().verify(password, stored)


class UserService:
    """A service that runs, and what belongs to it."""

    def __init__(
        self, app: FastAPI, *, post: Post, events: RecordedEvents, hasher: CountingHasher
    ) -> None:
        self.app = app
        self.post = post
        self.events = events
        self.hasher = hasher
        self.clock: ManualClock = app.state.authentication.clock
        self.stack = AsyncExitStack()

    def code_of(self, secret: str) -> str:
        """Return the present code of a second factor."""
        return TOTP(secret).at(self.clock.now())


def record_events(app: FastAPI) -> RecordedEvents:
    """Return where the events of an application go from now on."""
    events = RecordedEvents()
    app.state.security_events = events
    app.state.sessions.events = app.state.authentication.events = events
    return events


@asynccontextmanager
async def running_with(user: type[Base], app: FastAPI) -> AsyncGenerator[None]:
    """Let a service run whose empty database has users of a model, and all that belongs to them."""
    models: Sequence[type[Base]] = (user, OneTimeToken, SecondFactor, RecoveryCode, AuthSession)
    async with app.state.database.engine.begin() as connection:
        for model in models:
            await connection.run_sync(model.metadata.tables[model.__tablename__].create)
    async with app.router.lifespan_context(app):
        yield
