"""How a code is used up: in one statement, so that of several at the same time one is right."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, or_, update

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.users import recovery_codes, totp
from fastapi_baseline.auth.users.second_factor_models import RecoveryCode, SecondFactor
from fastapi_baseline.clock import Clock
from fastapi_baseline.persistence import Database, WriteSession

MAX_FAILED_ATTEMPTS = 100
"""How many wrong codes in a row from unknown devices there are before only known devices, and
recovery codes, are good (NIST SP 800-63B-4, section 3.2.2)."""


class CodeChecks:
    """Compares codes with what is stored, in transactions of its own."""

    def __init__(self, database: Database, *, keys: KeyRing, clock: Clock) -> None:
        """Decrypt secrets with `keys`."""
        self._database = database
        self._keys = keys
        self._clock = clock

    async def use_code(self, subject: str, code: str, *, is_known_device: bool) -> bool:
        """Return whether a code is one of the app of a user, and use it up."""
        async with self._database.transaction() as session:
            row = await find_confirmed(session, subject)
            if row is None:
                return False
            if row.failed_attempts >= MAX_FAILED_ATTEMPTS and not is_known_device:
                return False
            secret = self._keys.decrypt(row.secret, owner=subject)
            step = totp.find_step(secret, code, now=self._clock.now(), after=row.last_step)
            if step is None:
                return False
            values: dict[str, object] = {"last_step": step, "failed_attempts": 0}
            if not self._keys.is_current(row.secret):
                values["secret"] = self._keys.encrypt(secret, owner=subject)
            # One statement says both that it was not used and that it is now.
            used = await session.execute(
                update(SecondFactor)
                .where(
                    SecondFactor.subject == subject,
                    or_(SecondFactor.last_step.is_(None), SecondFactor.last_step < step),
                )
                .values(values)
                .returning(SecondFactor.subject)
            )
            return used.first() is not None

    async def use_recovery_code(self, subject: str, code: str) -> bool:
        """Return whether a recovery code is one of a user, and use it up."""
        digest = recovery_codes.digest(code, subject=subject)
        async with self._database.transaction() as session:
            used = await session.execute(
                delete(RecoveryCode)
                .where(RecoveryCode.digest == digest, RecoveryCode.subject == subject)
                .returning(RecoveryCode.digest)
            )
            if used.first() is None:
                return False
            await session.execute(
                update(SecondFactor)
                .where(SecondFactor.subject == subject)
                .values(failed_attempts=0)
            )
            return True

    async def count_failure(self, subject: str) -> None:
        """Note that a code from an unknown device was wrong."""
        async with self._database.transaction() as session:
            await session.execute(
                update(SecondFactor)
                .where(SecondFactor.subject == subject)
                .values(failed_attempts=SecondFactor.failed_attempts + 1)
            )


async def find_confirmed(session: WriteSession, subject: str) -> SecondFactor | None:
    """Return the second factor that a user is asked for, or `None` if there is none."""
    row = await session.get(SecondFactor, subject)
    return row if row is not None and row.confirmed_at is not None else None


async def replace_recovery_codes(
    session: WriteSession, subject: str, codes: Iterable[str], *, now: datetime
) -> None:
    """Make these the only recovery codes of a user."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.subject == subject))
    session.add_all(
        RecoveryCode(
            digest=recovery_codes.digest(code, subject=subject), subject=subject, created_at=now
        )
        for code in codes
    )
