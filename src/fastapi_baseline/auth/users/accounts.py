"""What all that is done with users has in common."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.auth.security_events import (
    Outcome,
    SecurityEvent,
    SecurityEventName,
    SecurityEvents,
)
from fastapi_baseline.auth.users.addresses import find_normalized
from fastapi_baseline.auth.users.hashing import PasswordHasher
from fastapi_baseline.auth.users.letters import LetterKind, LetterWriter
from fastapi_baseline.auth.users.models import UserRecord, subject_of
from fastapi_baseline.auth.users.one_time_tokens import Purpose, TokenIssuer
from fastapi_baseline.auth.users.outbox import Outbox
from fastapi_baseline.auth.users.passwords import AcceptedPassword, PasswordPolicy
from fastapi_baseline.auth.users.repository import UserRepository
from fastapi_baseline.auth.users.trust import NoSecondFactors, SecondFactors, SessionRevoker
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Database, Lock
from fastapi_baseline.settings import UserSettings

UserT = TypeVar("UserT", bound=UserRecord)

LOCKED = Lock()
"""How the row of a user is read that is about to be changed."""

PATHS: Mapping[Purpose, str] = {
    "reset_password": "/reset-password",
    "verify_email": "/verify-email",
}
"""Where the pages of the service are that links lead to."""

LinkKind = Literal["already_registered", "invitation", "reset_password", "verify_email"]

PURPOSES: Mapping[LinkKind, Purpose] = {
    "already_registered": "reset_password",
    "invitation": "reset_password",
    "reset_password": "reset_password",
    "verify_email": "verify_email",
}
"""What the links of letters are good for."""

_OWN_COLUMNS = frozenset(UserRecord.__annotations__)


@dataclass(frozen=True, kw_only=True)
class UserServices:
    """What users need: where they are kept, how passwords are hashed, who writes to them."""

    database: Database
    events: SecurityEvents
    hasher: PasswordHasher
    letters: LetterWriter
    outbox: Outbox
    policy: PasswordPolicy = field(default_factory=PasswordPolicy)
    settings: UserSettings = field(default_factory=UserSettings)
    second_factors: SecondFactors = field(default_factory=NoSecondFactors)
    revokers: Sequence[SessionRevoker] = ()
    """What ends when the trust in a user does."""
    clock: Clock = field(default_factory=SystemClock)
    paths: Mapping[Purpose, str] = field(default_factory=lambda: PATHS)

    @property
    def page_url(self) -> str:
        """Return what links begin with.

        Raises:
            ConfigurationError: If nobody has said so; what a request says may be a trap.
        """
        if self.settings.page_url is None:
            raise ConfigurationError("Set AUTH__USERS__PAGE_URL to the address of your pages.")
        return self.settings.page_url.rstrip("/")


@dataclass(frozen=True, slots=True)
class Link(Generic[UserT]):
    """A link for a user; without one, nothing that anybody gets."""

    user: UserT | None
    kind: LinkKind
    url: str = field(repr=False)
    lifetime: timedelta


class Accounts(Generic[UserT]):
    """The users of a model, each found in a transaction of its own."""

    def __init__(self, repository: type[UserRepository[UserT]], services: UserServices) -> None:
        """Keep users with a repository.

        Raises:
            ConfigurationError: If it is not known what links begin with.
        """
        self._repository = repository
        self._services = services
        self._tokens = TokenIssuer(clock=services.clock)
        self._page_url = services.page_url

    @property
    def model(self) -> type[UserT]:
        """Return the model of users."""
        return self._repository.model

    @property
    def services(self) -> UserServices:
        """Return what it works with."""
        return self._services

    async def get(self, subject: str) -> UserT:
        """Return a user; also one who is disabled.

        Raises:
            NotFoundError: If there is none.
        """
        async with self._services.database.read_transaction() as session:
            return await self._reading(session).get_by_subject(subject)

    async def find_in(self, session: Any, subject: str) -> UserT | None:
        """Return a user as a transaction sees them, also one who is disabled, or `None`."""
        return await self._reading(session).find_by_subject(subject)

    async def find_by_email(self, email: str) -> UserT | None:
        """Return the user with an address, in whatever form it is written, or `None`."""
        address = find_normalized(email)
        if address is None:
            return None
        async with self._services.database.read_transaction() as session:
            return await self._reading(session).find_by_email(address)

    async def is_unchanged(self, user: UserT) -> bool:
        """Return whether a user may still do what they might when they were loaded.

        Ask after a session was started: one that began while a password was changed, or a user
        disabled, was not there to be ended.
        """
        async with self._services.database.transaction() as session:
            # Not from a replica, which may be behind.
            current = await self._users(session).find_by_subject(subject_of(user))
        return current is not None and _trust_in(current) == _trust_in(user)

    async def notify(self, user: UserT, kind: LetterKind) -> None:
        """Send a user a letter that has no link."""
        await self._services.outbox.post(self._services.letters.write(kind, to=user.email))

    async def purge_links(self) -> int:
        """Delete links that are used or expired, and return how many; for a job or a command."""
        async with self._services.database.transaction() as session:
            return await self._tokens.purge(session)

    def _users(self, session: AsyncSession) -> UserRepository[UserT]:
        return self._repository(session)

    def _reading(self, session: Any) -> UserRepository[UserT]:
        return self._repository(session)

    async def _issue(
        self,
        session: AsyncSession,
        user: UserT | None,
        kind: LinkKind,
        *,
        password: tuple[AcceptedPassword, str] | None = None,
    ) -> Link[UserT]:
        """Return a link of a user, to send when it is committed; of nobody, with the same work."""
        purpose = PURPOSES[kind]
        settings = self._services.settings
        is_short = kind in {"already_registered", "reset_password"}
        lifetime = settings.reset_lifetime if is_short else settings.verification_lifetime
        token = await self._tokens.issue(
            session, user, purpose=purpose, lifetime=lifetime, password=password
        )
        # Behind the `#`, so that no server and no log on the way is told, nor the next page.
        url = f"{self._page_url}{self._services.paths[purpose]}#{token}"
        return Link(user, kind, url, lifetime)

    async def _send(self, link: Link[UserT]) -> None:
        if link.user is None:
            return
        # To the stored address: what was typed may only look like it.
        letter = self._services.letters.write(
            link.kind, to=link.user.email, link=link.url, lifetime=link.lifetime
        )
        await self._services.outbox.post(letter)

    async def _record(
        self,
        name: SecurityEventName,
        user: UserT | None,
        *,
        outcome: Outcome = "success",
        **details: str,
    ) -> None:
        subject = None if user is None else subject_of(user)
        event = SecurityEvent(name=name, outcome=outcome, subject=subject, details=details)
        await self._services.events.record(event)

    async def _end_trust(self, subject: str, *, except_: str | None = None) -> None:
        """End all that lets a user in without a password.

        It is called before a change is committed, so that nothing is changed if it fails, and
        again after, for what has begun in between.
        """
        for revoker in self._services.revokers:
            await revoker.revoke_all(SELF, subject, except_=except_)

    def _make_user(self, **values: Any) -> UserT:
        make: Callable[..., UserT] = self.model  # Its attributes are known at run time only.
        return make(**values)

    def _check_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values of columns that the service has added.

        Raises:
            ConfigurationError: If one is a column of the library, which no caller may set.
        """
        keys = {column.key for column in inspect(self.model).primary_key}
        if forbidden := (_OWN_COLUMNS | keys) & values.keys():
            raise ConfigurationError(f"These are not for callers to set: {sorted(forbidden)}")
        return dict(values)


def _trust_in(user: UserRecord) -> tuple[object, ...]:
    return user.email, user.password_changed_at, user.disabled_at, frozenset(user.roles)


def roles_of(roles: Iterable[str]) -> list[str]:
    """Return roles as they are stored: each once, and in order."""
    return sorted({*roles})
