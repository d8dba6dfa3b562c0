"""What users do with their own accounts: it is joined here for one application."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic

from fastapi import Depends
from sqlalchemy import inspect
from starlette.requests import HTTPConnection

from fastapi_baseline.auth.dependencies import CurrentPrincipal
from fastapi_baseline.auth.principals import SELF, Principal
from fastapi_baseline.auth.sessions import SessionRequiredError, Sessions
from fastapi_baseline.auth.users.errors import HashingBusyError, PasswordNotAcceptedError
from fastapi_baseline.auth.users.second_factor import SecondFactors
from fastapi_baseline.auth.users.second_factor_errors import (
    SecondFactorNeededError,
    WrongCodeError,
)
from fastapi_baseline.auth.users.service import UserService, UserT
from fastapi_baseline.auth.users.sign_in import SignIn
from fastapi_baseline.auth.users.throttles import Throttles
from fastapi_baseline.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfService(Generic[UserT]):
    """The users of an application, and how they prove who they are; `SelfService.of(request)`.

    Whatever ends trust is asked for with the password once more. Each session has a budget of
    wrong ones of its own: whoever has got hold of one locks nobody out.
    """

    users: UserService[UserT]
    sessions: Sessions
    second_factors: SecondFactors
    throttles: Throttles
    sign_in: SignIn[UserT]

    @classmethod
    def of(cls, connection: HTTPConnection) -> "SelfService[Any]":
        """Return that of the application which answers a request.

        Raises:
            ConfigurationError: If it has none.
        """
        found = getattr(connection.app.state, "self_service", None)
        if not isinstance(found, SelfService):
            raise ConfigurationError(
                "The application has no users: set AUTH__SESSIONS__ENABLED, name a database, and "
                "include make_users_router() before it starts."
            )
        return found  # pyright: ignore[reportUnknownVariableType] -- whatever the model is

    async def confirm(
        self, principal: Principal, *, password: str, code: str | None = None
    ) -> UserT:
        """Return a signed-in user who has said the password, and the code, once more.

        Raises:
            TooManyAttemptsError: If there were too many attempts.
            InvalidCredentialsError: If the password is wrong.
            WrongCodeError: If the code is.
            HashingBusyError: If too many passwords wait.
            NotFoundError: If the user was deleted.
        """
        attempt = await self.throttles.begin_confirmation(_session_of(principal))
        try:
            user = await self.users.check_password(principal.subject, password)
        except HashingBusyError:
            await self.throttles.succeed(attempt)
            raise
        if code is not None:
            # It is the session that is counted: what strangers tried says nothing about it.
            method = await self.second_factors.verify(principal.subject, code, is_known_device=True)
            if method is None:
                raise WrongCodeError
        await self.throttles.succeed(attempt)
        return user

    async def change_password(self, principal: Principal, *, current: str, new: str) -> UserT:
        """Change the password of a signed-in user; all of their sessions but this one end.

        Raises:
            TooManyAttemptsError: If there were too many attempts.
            InvalidCredentialsError: If the current password is wrong.
            PasswordNotAcceptedError: If the new one breaks a rule.
            HashingBusyError: If too many passwords wait.
            NotFoundError: If the user was deleted.
            UnavailableError: If sessions cannot be ended.
        """
        attempt = await self.throttles.begin_confirmation(_session_of(principal))
        try:
            user = await self.users.change_password(
                principal.subject, current=current, new=new, keep_session=principal.session_id
            )
        except (HashingBusyError, PasswordNotAcceptedError):
            # The current one was right, or not looked at.
            await self.throttles.succeed(attempt)
            raise
        await self.throttles.succeed(attempt)
        return user

    async def change_columns(self, principal: Principal, values: Mapping[str, Any]) -> UserT:
        """Write columns of the service's own, which a signed-in user may change; return the user.

        Raises:
            NotFoundError: If the user was deleted.
        """
        known = await self.users.get(principal.subject)
        async with self.users.services.database.transaction() as session:
            user = await session.get_one(
                self.users.model, inspect(known, raiseerr=True).identity, with_for_update=True
            )
            for name, value in values.items():
                setattr(user, name, value)
            await session.flush()
        return user

    async def enable_second_factor(self, principal: Principal, code: str) -> tuple[str, ...]:
        """Ask a signed-in user for a second factor from now on, and return recovery codes.

        All of their sessions but this one end.

        Raises:
            TooManyAttemptsError: If there were too many attempts.
            WrongCodeError: If the code is none of the app's.
            SecondFactorMissingError: If there is no secret to make codes with.
            SecondFactorEnabledError: If there is a second factor.
            UnavailableError: If sessions cannot be ended.
        """
        attempt = await self.throttles.begin_confirmation(_session_of(principal))
        codes = await self.second_factors.confirm(principal.subject, code)
        await self.throttles.succeed(attempt)
        await self.sessions.revoke_all(SELF, principal.subject, except_=principal.session_id)
        user = await self.users.get(principal.subject)
        await self.users.notify(user, "second_factor_enabled")
        return codes

    async def disable_second_factor(
        self, principal: Principal, *, password: str, code: str
    ) -> None:
        """Ask a signed-in user for no second factor any more; all other sessions of theirs end.

        Raises:
            SecondFactorNeededError: If the password is too short to do without.
            SecondFactorMissingError: If there is none.
            TooManyAttemptsError: If there were too many attempts.
            InvalidCredentialsError: If the password is wrong.
            WrongCodeError: If the code is.
            HashingBusyError: If too many passwords wait.
            UnavailableError: If sessions cannot be ended.
        """
        user = await self.confirm(principal, password=password, code=code)
        if user.is_password_short:
            raise SecondFactorNeededError
        await self.second_factors.disable(principal.subject)
        await self.sessions.revoke_all(SELF, principal.subject, except_=principal.session_id)
        await self.users.notify(user, "second_factor_disabled")


def _session_of(principal: Principal) -> str:
    return principal.session_id or str(principal)


async def _get_self_service(connection: HTTPConnection) -> SelfService[Any]:
    return SelfService.of(connection)


async def get_signed_in(principal: CurrentPrincipal) -> Principal:
    """Return who has signed in with a browser, as a user of the service's own.

    Raises:
        SessionRequiredError: If somebody came with a token or a key: they are let in elsewhere.
    """
    if principal.issuer != SELF or principal.transport != "session":
        raise SessionRequiredError
    return principal


CurrentSelfService = Annotated[SelfService[Any], Depends(_get_self_service)]
"""What users do with their accounts in the application."""

SignedInUser = Annotated[Principal, Depends(get_signed_in)]
"""Who has signed in with a browser, as a user of the service's own."""
