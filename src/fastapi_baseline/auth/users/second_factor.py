"""Second factors of users: an app that makes codes, and codes on paper for who has lost it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, func, select

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.security_events import SecurityEvent, SecurityEventName, SecurityEvents
from fastapi_baseline.auth.users import recovery_codes, totp
from fastapi_baseline.auth.users.second_factor_codes import (
    CodeChecks,
    find_confirmed,
    replace_recovery_codes,
)
from fastapi_baseline.auth.users.second_factor_errors import (
    SecondFactorEnabledError,
    SecondFactorMissingError,
    WrongCodeError,
)
from fastapi_baseline.auth.users.second_factor_models import RecoveryCode, SecondFactor
from fastapi_baseline.clock import Clock
from fastapi_baseline.persistence import Database

Method = Literal["otp", "recovery_code"]
"""By what a user has proved to have a second factor."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an app needs to make codes; shown once. `uri` is what a QR code says."""

    secret: str
    uri: str


class SecondFactors:
    """The second factors of users, in the database.

    Each method has transactions of its own: what was used stays used, and what failed stays counted,
    whatever comes of the request.
    """

    def __init__(
        self,
        database: Database,
        *,
        keys: KeyRing,
        clock: Clock,
        service: str,
        events: SecurityEvents,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Encrypt secrets with `keys`; apps show codes as those of `service`."""
        self._database = database
        self._keys = keys
        self._clock = clock
        self._service = service
        self._codes = CodeChecks(database, keys=keys, clock=clock)
        self._events = events
        self._token_bytes = token_bytes

    async def is_enabled(self, subject: str) -> bool:
        """Return whether a user is asked for a second factor."""
        async with self._database.transaction() as session:
            return await find_confirmed(session, subject) is not None

    async def start(self, subject: str, *, account: str) -> Enrolment:
        """Make a secret for the app of a user, which counts once `confirm` was told a code.

        Raises:
            SecondFactorEnabledError: If the user has a second factor.
        """
        secret = totp.make_secret(self._token_bytes)
        async with self._database.transaction() as session:
            row = await session.get(SecondFactor, subject, with_for_update=True)
            if row is not None and row.confirmed_at is not None:
                raise SecondFactorEnabledError
            if row is None:
                row = SecondFactor(subject=subject, created_at=self._clock.now())
                session.add(row)
            row.secret = self._keys.encrypt(secret, owner=subject)
        return Enrolment(secret, totp.make_uri(secret, account=account, service=self._service))

    async def confirm(self, subject: str, code: str) -> tuple[str, ...]:
        """Ask a user for a second factor from now on, and return recovery codes, to be shown once.

        Raises:
            SecondFactorMissingError: If `start` was not called before.
            SecondFactorEnabledError: If the user has one already.
            WrongCodeError: If the code is none of the app's.
        """
        codes = recovery_codes.make_codes(self._token_bytes)
        async with self._database.transaction() as session:
            row = await session.get(SecondFactor, subject, with_for_update=True)
            if row is None:
                raise SecondFactorMissingError
            if row.confirmed_at is not None:
                raise SecondFactorEnabledError
            secret = self._keys.decrypt(row.secret, owner=subject)
            step = totp.find_step(secret, code, now=self._clock.now())
            if step is None:
                raise WrongCodeError
            row.confirmed_at = self._clock.now()
            row.last_step, row.failed_attempts = step, 0
            await replace_recovery_codes(session, subject, codes, now=self._clock.now())
        await self._record("second_factor_enabled", subject)
        return codes

    async def verify(
        self, subject: str, code: str, *, is_known_device: bool = False
    ) -> Method | None:
        """Return by what a code proves that a user has the second factor, and use it up.

        Of several requests with the same code at the same time, one is right. `None`: it is wrong,
        was used, or there is no second factor.
        """
        method: Method | None
        if recovery_codes.normalize(code) is not None:
            is_used = await self._codes.use_recovery_code(subject, code)
            method = "recovery_code" if is_used else None
        else:
            is_used = await self._codes.use_code(subject, code, is_known_device=is_known_device)
            method = "otp" if is_used else None
        if method is None:
            if not is_known_device:
                await self._codes.count_failure(subject)
            await self._record("second_factor_refused", subject)
        elif method == "recovery_code":
            await self._record("recovery_code_used", subject)
        return method

    async def renew_recovery_codes(self, subject: str) -> tuple[str, ...]:
        """Return new recovery codes, to be shown once; those from before are worth nothing any more.

        Raises:
            SecondFactorMissingError: If the user has no second factor.
        """
        codes = recovery_codes.make_codes(self._token_bytes)
        async with self._database.transaction() as session:
            if await find_confirmed(session, subject) is None:
                raise SecondFactorMissingError
            await replace_recovery_codes(session, subject, codes, now=self._clock.now())
        await self._record("recovery_codes_made", subject)
        return codes

    async def count_recovery_codes(self, subject: str) -> int:
        """Return how many recovery codes a user has left."""
        async with self._database.read_transaction() as session:
            statement = select(func.count()).where(RecoveryCode.subject == subject)
            return await session.scalar(statement) or 0

    async def disable(self, subject: str) -> None:
        """Ask a user for no second factor any more.

        Raises:
            SecondFactorMissingError: If there is none.
        """
        if not await self._remove(subject):
            raise SecondFactorMissingError
        await self._record("second_factor_disabled", subject)

    async def remove(self, subject: str) -> None:
        """Forget all that is known of a user."""
        await self._remove(subject)

    async def _remove(self, subject: str) -> bool:
        async with self._database.transaction() as session:
            row = await session.get(SecondFactor, subject, with_for_update=True)
            if row is not None:
                await session.delete(row)
            await session.execute(delete(RecoveryCode).where(RecoveryCode.subject == subject))
            return row is not None and row.confirmed_at is not None

    async def _record(self, name: SecurityEventName, subject: str) -> None:
        outcome = "failure" if name == "second_factor_refused" else "success"
        await self._events.record(SecurityEvent(name=name, outcome=outcome, subject=subject))
