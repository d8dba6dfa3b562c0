"""Whose address and password these are."""

from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_baseline.auth.users.accounts import Accounts, UserT
from fastapi_baseline.auth.users.addresses import find_normalized
from fastapi_baseline.auth.users.errors import InvalidCredentialsError
from fastapi_baseline.auth.users.hashing import Verification
from fastapi_baseline.auth.users.models import subject_of
from fastapi_baseline.auth.users.passwords import normalize_password
from fastapi_baseline.errors import NotFoundError

MAX_FAILURES = 100
"""How many failures in a row end signing in with a password (NIST SP 800-63B-4, section 3.2.2)."""

Refusal = Literal[
    "disabled",
    "no_password",
    "too_many_failures",
    "unknown",
    "unverified",
    "wrong_password",
]

_WRONG = Verification(is_right=False)


class SigningIn(Accounts[UserT]):
    """Tells users by address and password, and counts those who guess."""

    async def authenticate(
        self, email: str, password: str, *, is_known_device: bool = False
    ) -> UserT:
        """Return the user whose address and password these are, and who may sign in.

        Whatever the reason for a refusal, it takes one look at the database, one hash and one
        write. After 100 failures in a row from unknown devices, only known ones may sign in until
        the password is reset: `is_known_device` says that the user has signed in there before, so
        nobody else can lock them out. Throttles come before: nothing here waits or limits, and
        failures on known devices are for the throttles to count. Whether a second factor is asked
        for is the caller's to say, and so is the event `sign_in`.

        Raises:
            InvalidCredentialsError: If they are not.
            HashingBusyError: If too many passwords wait.
        """
        user = await self._find(email)
        checked = await self._compare(user, password)
        refusal = self._refusal(user, checked, is_known_device=is_known_device)
        if user is not None and refusal is None:
            user = await self._admit(user, checked, is_known_device=is_known_device)
            if user is not None:
                return user
            refusal = "wrong_password"  # It was right when the user was read.
        await self._note_failure(user, refusal or "unknown", is_known_device=is_known_device)
        raise InvalidCredentialsError

    async def check_password(self, subject: str, password: str) -> UserT:
        """Return a user who is signed in, and has proved again who they are.

        Throttles come before, too.

        Raises:
            NotFoundError: If there is no such user.
            InvalidCredentialsError: If the password is wrong, or the user is disabled.
            HashingBusyError: If too many passwords wait.
        """
        async with self._services.database.transaction() as session:
            user = await self._users(session).get_by_subject(subject)
        checked = await self._compare(user, password)
        refusal = self._refusal(user, checked, is_known_device=True)
        if refusal is None:
            admitted = await self._admit(user, checked, is_known_device=True)
            if admitted is not None:
                return admitted
        await self._note_failure(user, refusal or "wrong_password", is_known_device=True)
        raise InvalidCredentialsError

    async def _find(self, email: str) -> UserT | None:
        address = find_normalized(email)
        # Not from a replica, which may have the password of before.
        async with self._services.database.transaction() as session:
            return await self._users(session).find_by_email(address or "")

    async def _compare(self, user: UserT | None, password: str) -> Verification:
        text = normalize_password(password)
        if text is None:
            return _WRONG  # Nobody has such a password, so it tells nothing that it is fast.
        return await self._services.hasher.verify(text, user.password_hash if user else None)

    def _refusal(
        self, user: UserT | None, checked: Verification, *, is_known_device: bool
    ) -> Refusal | None:
        if user is None or user.password_hash is None:
            return "unknown" if user is None else "no_password"
        if not checked.is_right:
            return "wrong_password"
        if user.disabled_at is not None:
            return "disabled"
        if user.failed_attempts >= MAX_FAILURES and not is_known_device:
            return "too_many_failures"
        if self._services.settings.requires_verified_email and user.email_verified_at is None:
            return "unverified"
        return None

    async def _admit(
        self, user: UserT, checked: Verification, *, is_known_device: bool
    ) -> UserT | None:
        """Return the user as stored now, or `None` if they may not sign in any more.

        Whatever has happened while the password was compared is seen here.
        """
        async with self._services.database.transaction() as session:
            users = self._users(session)
            conditions = [
                users.is_subject(subject_of(user)),
                self.model.password_hash == user.password_hash,
                self.model.disabled_at.is_(None),
            ]
            if not is_known_device:
                conditions.append(self.model.failed_attempts < MAX_FAILURES)
            values: dict[str, object] = {}
            if checked.updated_hash is not None:
                values["password_hash"] = checked.updated_hash
            if not is_known_device and user.failed_attempts:
                # A success on a known device says nothing of those who guess elsewhere.
                values["failed_attempts"] = 0
            if values and not await users.update_where(*conditions, values=values):
                return None
            # What has just been set need not be as it was.
            found = conditions[:1] if values else conditions
            return await users.find_one(users.select().where(*found))

    async def _note_failure(
        self, user: UserT | None, refusal: Refusal, *, is_known_device: bool
    ) -> None:
        """Count and record a failure, in a transaction of its own: the refusal undoes nothing."""
        async with self._services.database.transaction() as session:
            is_counted = refusal == "wrong_password" and not is_known_device
            failures = await self._count(session, user) if is_counted else None
            if failures is None:
                await self._tokens.issue_nothing(session)
        if user is not None and failures == MAX_FAILURES:
            await self.notify(user, "sign_ins_blocked")
        await self._record("sign_in_refused", user, outcome="failure", reason=refusal)

    async def _count(self, session: AsyncSession, user: UserT | None) -> int | None:
        if user is None:
            return None
        try:
            return await self._users(session).count_failure(subject_of(user))
        except NotFoundError:
            return None  # Deleted meanwhile.
