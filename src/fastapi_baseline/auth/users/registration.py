"""How users come to be, and prove that an address is theirs."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_baseline.auth.users.accounts import LOCKED, Accounts, Link, UserT, roles_of
from fastapi_baseline.auth.users.addresses import find_normalized, normalize_email
from fastapi_baseline.auth.users.errors import (
    EmailTakenError,
    InvalidLinkError,
    RegistrationClosedError,
)
from fastapi_baseline.auth.users.models import OneTimeToken
from fastapi_baseline.auth.users.passwords import AcceptedPassword
from fastapi_baseline.persistence import UniqueViolationError


class Registering(Accounts[UserT]):
    """Registers users, open or by invitation, and verifies their addresses."""

    async def register(
        self, email: str, password: str, values: Mapping[str, Any] | None = None
    ) -> None:
        """Register a user, or write to the one who has the address; nobody is told which.

        `values` are columns that the service has added to its users. An address that is taken and
        not verified yet gets a link with the new password: it is the one that whoever opens the
        link has chosen, and not one that somebody else has chosen for them.

        Raises:
            RegistrationClosedError: If nobody may register.
            InvalidEmailError: If it is no address.
            PasswordNotAcceptedError: If the password breaks a rule.
            HashingBusyError: If too many passwords wait.
            ConfigurationError: If `values` has columns that are not the service's own.
        """
        if self._services.settings.registration != "open":
            raise RegistrationClosedError
        address = normalize_email(email)
        own = self._check_values(values or {})
        accepted = self._services.policy.accept(password, email=address)
        hashed = await self._services.hasher.hash(accepted.text)
        try:
            await self._register(address, (accepted, hashed), own)
        except UniqueViolationError:
            # Somebody was faster; now there is such a user, or what the service adds is taken.
            await self._register(address, (accepted, hashed), own)

    async def _register(
        self, address: str, password: tuple[AcceptedPassword, str], values: dict[str, Any]
    ) -> None:
        async with self._services.database.transaction() as session:
            known = await self._holder_of(session, address)
            if known is None:
                # It counts at once, if users may sign in before they have verified their address.
                user = await self._users(session).add(
                    self._make_user(email=address, password_hash=password[1], **values)
                )
                link = await self._issue(session, user, "verify_email")
            else:
                link = await self._issue_to_known(session, known, password)
        if known is None:
            await self._record("user_registered", link.user)
        await self._send(link)

    async def _holder_of(self, session: AsyncSession, address: str) -> UserT | None:
        """Return who has an address, or had it and was deleted softly: it is still taken."""
        return await self._users(session).with_deleted().find_by_email(address)

    async def _issue_to_known(
        self, session: AsyncSession, user: UserT, password: tuple[AcceptedPassword, str]
    ) -> Link[UserT]:
        if user.disabled_at is not None or getattr(user, "deleted_at", None) is not None:
            return await self._issue(session, None, "verify_email")
        if user.email_verified_at is None:
            return await self._issue(session, user, "verify_email", password=password)
        return await self._issue(session, user, "already_registered")

    async def resend_verification(self, email: str) -> None:
        """Write to an address again if it is a user's and not verified; nobody is told."""
        address = find_normalized(email)
        async with self._services.database.transaction() as session:
            user = await self._users(session).find_by_email(address or "")
            if user is not None and (user.email_verified_at or user.disabled_at):
                user = None
            link = await self._issue(session, user, "verify_email")
        await self._send(link)

    async def verify_email(self, token: str) -> UserT:
        """Note that the user has the address, since the link came from a letter to it.

        All other links of the user end, and if the link brings a password of its own, so does all
        that the last one was good for: somebody else may have chosen that.

        Raises:
            InvalidLinkError: If the token is not good.
            UnavailableError: If sessions cannot be ended.
        """
        async with self._services.database.transaction() as session:
            stored = await self._tokens.find(session, token, purpose="verify_email")
        if stored is None:
            raise InvalidLinkError
        if stored.password_hash is not None:
            await self._end_trust(stored.subject)
        user = await self._verify(stored)
        if stored.password_hash is not None:
            await self._services.second_factors.remove(stored.subject)
            await self._end_trust(stored.subject)
        await self._record("email_verified", user)
        return user

    async def _verify(self, stored: OneTimeToken) -> UserT:
        now = self._services.clock.now()
        async with self._services.database.transaction() as session:
            user = await self._users(session).find_by_subject(stored.subject, lock=LOCKED)
            if user is None or user.disabled_at or user.email_verified_at:
                raise InvalidLinkError
            await self._tokens.consume(session, stored, user)
            user.email_verified_at = now
            if stored.password_hash is not None:
                user.password_hash = stored.password_hash
                user.is_password_short = stored.is_password_short
                user.password_changed_at = now
                user.failed_attempts = 0
            await session.flush()
            await self._tokens.delete_all_of(session, stored.subject)
        return user

    async def invite(
        self, email: str, *, roles: Iterable[str] = (), values: Mapping[str, Any] | None = None
    ) -> UserT:
        """Add a user without a password, and send them a link with which they choose one.

        If it has expired, they ask for a new one as everybody does who has forgotten a password.

        Raises:
            InvalidEmailError: If it is no address.
            EmailTakenError: If another user has it.
            ConfigurationError: If `values` has columns that are not the service's own.
        """
        address = normalize_email(email)
        own = self._check_values(values or {})
        async with self._services.database.transaction() as session:
            if await self._holder_of(session, address) is not None:
                raise EmailTakenError
            user = await self._users(session).add(
                self._make_user(email=address, roles=roles_of(roles), **own)
            )
            link = await self._issue(session, user, "invitation")
        await self._record("user_registered", user, by="invitation")
        await self._send(link)
        return user
