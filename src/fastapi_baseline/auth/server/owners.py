"""Who gives clients what they ask for: the users of the service."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.auth.users.models import UserRecord, subject_of
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import ReadSession


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceOwner:
    """One user, as clients see them.

    `claims` are what each scope tells of them (OpenID Connect Core, section 5.4):
    `{"email": {"email": ..., "email_verified": ...}, "profile": {"name": ...}}`.
    """

    subject: str
    issuer: str = SELF
    is_active: bool = True
    """Whether they may still allow anything; who may not gets no tokens, and keeps none."""
    roles: frozenset[str] = frozenset()
    claims: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict[str, Mapping[str, Any]], repr=False
    )

    def claims_for(self, scopes: frozenset[str]) -> dict[str, Any]:
        """Return what these scopes tell, and `sub`, which no claim of a service changes."""
        told = {
            name: value
            for scope, claims in self.claims.items()
            if scope in scopes
            for name, value in claims.items()
        }
        return {**told, "sub": self.subject}


class ResourceOwners(Protocol):
    """Where the users are that allow clients something."""

    async def find(self, subject: str, *, session: ReadSession) -> ResourceOwner | None:
        """Return a user, also one who is not active, or `None`.

        `session` is the transaction in which tokens are issued to them. Read in it, or from
        somewhere else, but with no second connection to the same database: all could wait for all.
        """
        ...


class ApplicationUsers:
    """The users of an application, as `make_users_router` has joined them when it started."""

    def __init__(self, app: Any) -> None:
        """Look for users in the state of `app`, when one is asked for."""
        self._app = app

    async def find(self, subject: str, *, session: ReadSession) -> ResourceOwner | None:
        """Return a user, or `None` if there is none.

        Raises:
            ConfigurationError: If the application has no users.
        """
        users = getattr(self._app.state, "users", None)
        if users is None:
            raise ConfigurationError(
                "The application has no users who could allow a client something: include "
                "make_users_router(), or give make_authorization_server_router() its owners."
            )
        user = await users.find_in(session, subject)
        return None if user is None else owner_of(user)


def owner_of(user: UserRecord) -> ResourceOwner:
    """Return a user as clients see them: with `email`, and `name` if the model has one."""
    profile = {
        claim: value
        for claim, attribute in (("name", "display_name"), ("name", "name"))
        if isinstance(value := getattr(user, attribute, None), str) and value
    }
    return ResourceOwner(
        subject=subject_of(user),
        is_active=user.disabled_at is None,
        roles=frozenset(user.roles),
        claims={
            "email": {"email": user.email, "email_verified": user.email_verified_at is not None},
            "profile": profile,
        },
    )
