"""Signing in: throttles, the password, the second factor, and then a session."""

from dataclasses import dataclass, replace
from typing import Generic, Literal

from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_baseline.auth.pages import find_form_secret
from fastapi_baseline.auth.principals import SELF, Principal
from fastapi_baseline.auth.security_events import SecurityEvent, SecurityEvents
from fastapi_baseline.auth.sessions import CsrfError, Sessions
from fastapi_baseline.auth.users.addresses import find_normalized
from fastapi_baseline.auth.users.devices import KnownDevices
from fastapi_baseline.auth.users.errors import HashingBusyError, InvalidCredentialsError
from fastapi_baseline.auth.users.models import subject_of
from fastapi_baseline.auth.users.pending_sign_ins import PendingSignIns
from fastapi_baseline.auth.users.second_factor import Method, SecondFactors
from fastapi_baseline.auth.users.second_factor_errors import SignInExpiredError, WrongCodeError
from fastapi_baseline.auth.users.service import UserService, UserT
from fastapi_baseline.auth.users.throttles import Attempt, Throttles
from fastapi_baseline.errors import NotFoundError
from fastapi_baseline.rate_limiting import get_client_address

PASSWORD_ONLY = "aal1"  # noqa: S105 -- the name of a level
"""The `acr` of a session that began with a password alone (NIST SP 800-63B-4, section 2.1)."""
TWO_FACTORS = "aal2"
"""The `acr` of one that began with a second factor, too (section 2.2)."""

AMR_PASSWORD = frozenset({"pwd"})
AMR_TWO_FACTORS = frozenset({"pwd", "otp", "mfa"})
"""What RFC 8176 calls how users have proved who they are."""


@dataclass(frozen=True, slots=True)
class SignInOutcome(Generic[UserT]):
    """How far a user has come: signed in, or asked for the code of the second factor."""

    status: Literal["signed_in", "second_factor_required"]
    user: UserT
    principal: Principal | None = None


class SignIn(Generic[UserT]):
    """How users sign in with a browser, in one step or in two.

    Nothing that is refused says whether there is such a user: guesses at an address that nobody has
    are counted, compared and refused in the same way.
    """

    def __init__(
        self,
        users: UserService[UserT],
        *,
        sessions: Sessions,
        second_factors: SecondFactors,
        throttles: Throttles,
        devices: KnownDevices,
        pending: PendingSignIns,
        events: SecurityEvents,
    ) -> None:
        """Join the parts."""
        self._users = users
        self._sessions = sessions
        self._second_factors = second_factors
        self._throttles = throttles
        self._devices = devices
        self._pending = pending
        self._events = events
        self._admission = _Admission(
            users, sessions=sessions, throttles=throttles, devices=devices, events=events
        )

    async def with_password(
        self,
        connection: HTTPConnection,
        response: Response,
        *,
        email: str,
        password: str,
        code: str | None = None,
    ) -> SignInOutcome[UserT]:
        """Sign a user in, or ask for the code of the second factor if there is one and it is missing.

        Raises:
            CsrfError: If another site may have sent the request: it could sign somebody in as
                somebody else.
            TooManyAttemptsError: If there were too many attempts.
            InvalidCredentialsError: If the address or the password is wrong.
            WrongCodeError: If the code is.
            HashingBusyError: If too many passwords wait.
            SessionsUnavailableError: If no session can be kept.
        """
        await self.check_origin(connection)
        attempt = await self._begin(connection, account_of(email))
        try:
            user = await self._users.authenticate(
                email, password, is_known_device=attempt.is_known_device
            )
        except HashingBusyError:
            # Nothing was compared.
            await self._throttles.succeed(attempt)
            raise
        if not await self._second_factors.is_enabled(subject_of(user)):
            return await self._admission.admit(
                connection, response, user=user, attempt=attempt, method=None
            )
        if code is not None:
            method = await self._verify(user, code, attempt)
            return await self._admission.admit(
                connection, response, user=user, attempt=attempt, method=method
            )
        await self._throttles.succeed(attempt)
        self._pending.begin(response, user)
        return SignInOutcome("second_factor_required", user)

    async def with_code(
        self, connection: HTTPConnection, response: Response, *, code: str
    ) -> SignInOutcome[UserT]:
        """Sign in the user who has just said the password in the same browser.

        Raises:
            CsrfError: If another site may have sent the request.
            SignInExpiredError: If nobody has, or it was too long ago, or the user has changed since.
            TooManyAttemptsError: If there were too many attempts.
            WrongCodeError: If the code is wrong.
            SessionsUnavailableError: If no session can be kept.
        """
        await self.check_origin(connection)
        user = await self._find_pending(connection)
        attempt = await self._begin(connection, user.email)
        method = await self._verify(user, code, attempt)
        self._pending.end(response)
        return await self._admission.admit(
            connection, response, user=user, attempt=attempt, method=method
        )

    def remember_device(self, connection: HTTPConnection, response: Response, user: UserT) -> None:
        """Know the browser of a user who has opened the link of a letter.

        They have proved more than a stranger, so guesses of others do not keep them from signing in
        there.
        """
        self._devices.remember(connection, response, account=user.email)

    async def check_origin(self, connection: HTTPConnection) -> None:
        """Refuse a request without a session that another site may have sent.

        It has the header, or it is the form of a page, and its token goes with the cookie of the page.

        Raises:
            CsrfError: If so.
            AmbiguousSessionError: If it has that cookie twice.
        """
        secret = find_form_secret(connection)
        try:
            if secret is None:
                self._sessions.csrf.check(connection)
            else:
                await self._sessions.csrf.check_session(connection, secret=secret)
        except CsrfError:
            await self._events.record(SecurityEvent(name="csrf_refused", outcome="failure"))
            raise

    async def _begin(self, connection: HTTPConnection, account: str) -> Attempt:
        return await self._throttles.begin_sign_in(
            address=get_client_address(connection),
            account=account,
            device=self._devices.find(connection, account=account),
        )

    async def _find_pending(self, connection: HTTPConnection) -> UserT:
        subject = self._pending.find_subject(connection)
        if subject is None:
            raise SignInExpiredError
        try:
            user = await self._users.get(subject)
        except NotFoundError as error:
            raise SignInExpiredError from error
        if not self._pending.is_of(connection, user):
            raise SignInExpiredError
        return user

    async def _verify(self, user: UserT, code: str, attempt: Attempt) -> Method:
        method = await self._second_factors.verify(
            subject_of(user), code, is_known_device=attempt.is_known_device
        )
        if method is None:
            raise WrongCodeError
        return method


class _Admission(Generic[UserT]):
    """Begins the session of a user who has proved who they are."""

    def __init__(
        self,
        users: UserService[UserT],
        *,
        sessions: Sessions,
        throttles: Throttles,
        devices: KnownDevices,
        events: SecurityEvents,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._throttles = throttles
        self._devices = devices
        self._events = events

    async def admit(
        self,
        connection: HTTPConnection,
        response: Response,
        *,
        user: UserT,
        attempt: Attempt,
        method: Method | None,
    ) -> SignInOutcome[UserT]:
        """Sign a user in who has proved to have a second factor by `method`, or has none."""
        subject = subject_of(user)
        principal = await self._sessions.start(
            connection,
            response,
            Principal(
                issuer=SELF,
                subject=subject,
                transport="session",
                roles=frozenset(user.roles),
                acr=PASSWORD_ONLY if method is None else TWO_FACTORS,
                amr=AMR_PASSWORD if method is None else AMR_TWO_FACTORS,
            ),
        )
        # A password that was changed meanwhile has ended all sessions but this one.
        if not await self._users.is_unchanged(user):
            await self._sessions.revoke_all(SELF, subject)
            raise InvalidCredentialsError
        await self._throttles.succeed(attempt)
        if method == "recovery_code":
            await self._users.notify(user, "recovery_code_used")
        self._devices.remember(connection, response, account=user.email)
        details = {} if method is None else {"second_factor": method}
        await self._events.record(
            SecurityEvent(name="sign_in", outcome="success", subject=subject, details=details)
        )
        return SignInOutcome("signed_in", user, principal)


def with_second_factor(principal: Principal) -> Principal:
    """Return a signed-in user who has just shown the second factor, too."""
    return replace(principal, acr=TWO_FACTORS, amr=principal.amr | AMR_TWO_FACTORS)


def without_second_factor(principal: Principal) -> Principal:
    """Return a signed-in user who has a second factor no more."""
    return replace(principal, acr=PASSWORD_ONLY, amr=AMR_PASSWORD)


def account_of(email: str) -> str:
    """Return what an account is counted by: its address, or what was written if it is none."""
    return find_normalized(email) or email.casefold()
