"""How users get other passwords: by what they know, or by a letter."""

from fastapi_baseline.auth.users.accounts import LOCKED, UserT
from fastapi_baseline.auth.users.addresses import find_normalized
from fastapi_baseline.auth.users.errors import InvalidCredentialsError, InvalidLinkError
from fastapi_baseline.auth.users.models import OneTimeToken, UserRecord, subject_of
from fastapi_baseline.auth.users.one_time_tokens import is_bound
from fastapi_baseline.auth.users.passwords import AcceptedPassword
from fastapi_baseline.auth.users.signing_in import SigningIn


class PasswordChanges(SigningIn[UserT]):
    """Changes and resets passwords; nobody but the user ever sets one."""

    async def change_password(
        self, subject: str, *, current: str, new: str, keep_session: str | None = None
    ) -> UserT:
        """Change a password, end all sessions but one, all API keys and all links, and write so.

        `keep_session` is the public identifier of the session that asks.

        Raises:
            NotFoundError: If there is no such user.
            InvalidCredentialsError: If the current password is wrong.
            PasswordNotAcceptedError: If the new one breaks a rule; its field is `new_password`.
            HashingBusyError: If too many passwords wait.
            UnavailableError: If sessions cannot be ended; nothing has changed then.
        """
        user = await self.check_password(subject, current)
        accepted = await self._accept(user, new, name="new_password")
        hashed = await self._services.hasher.hash(accepted.text)
        await self._end_trust(subject, except_=keep_session)
        async with self._services.database.transaction() as session:
            changed = await self._users(session).get_by_subject(subject, lock=LOCKED)
            if changed.password_hash != user.password_hash or changed.disabled_at is not None:
                raise InvalidCredentialsError  # Somebody else was faster.
            self._set_password(changed, accepted, hashed)
            await session.flush()
            await self._tokens.delete_all_of(session, subject)
        await self._end_trust(subject, except_=keep_session)
        await self._record("password_changed", changed)
        await self.notify(changed, "password_changed")
        return changed

    async def request_password_reset(self, email: str) -> None:
        """Send the user with this address a link; nobody is told whether there is one."""
        address = find_normalized(email)
        async with self._services.database.transaction() as session:
            user = await self._users(session).find_by_email(address or "")
            if user is not None and user.disabled_at is not None:
                user = None
            link = await self._issue(session, user, "reset_password")
        await self._record("password_reset_requested", user)
        await self._send(link)

    async def reset_password(self, token: str, password: str) -> UserT:
        """Give the user of a link a new password; it ends all sessions, API keys and other links.

        The link also proves the address; if it was not verified before, a second factor ends too,
        since somebody else may have set it up. A password that breaks a rule does not use the link
        up.

        Raises:
            InvalidLinkError: If the token is not good.
            PasswordNotAcceptedError: If the password breaks a rule.
            HashingBusyError: If too many passwords wait.
            UnavailableError: If sessions cannot be ended; nothing has changed then.
        """
        stored, user = await self._find_reset(token)
        accepted = await self._accept(user, password, name="password")
        hashed = await self._services.hasher.hash(accepted.text)
        await self._end_trust(stored.subject)
        async with self._services.database.transaction() as session:
            changed = await self._users(session).find_by_subject(stored.subject, lock=LOCKED)
            if changed is None or changed.disabled_at is not None:
                raise InvalidLinkError
            await self._tokens.consume(session, stored, changed)
            is_proven_now = changed.email_verified_at is None
            if is_proven_now:
                changed.email_verified_at = self._services.clock.now()
            self._set_password(changed, accepted, hashed)
            await session.flush()
            await self._tokens.delete_all_of(session, stored.subject)
        if is_proven_now:
            await self._services.second_factors.remove(stored.subject)
        await self._end_trust(stored.subject)
        await self._record("password_reset", changed)
        await self.notify(changed, "password_changed")
        return changed

    async def _find_reset(self, token: str) -> tuple[OneTimeToken, UserT]:
        async with self._services.database.transaction() as session:
            stored = await self._tokens.find(session, token, purpose="reset_password")
            if stored is None:
                raise InvalidLinkError
            user = await self._users(session).find_by_subject(stored.subject)
        if user is None or user.disabled_at is not None or not is_bound(stored, user):
            raise InvalidLinkError
        return stored, user

    async def _accept(self, user: UserT, password: str, *, name: str) -> AcceptedPassword:
        return self._services.policy.accept(
            password,
            email=user.email,
            has_second_factor=await self._services.second_factors.is_enabled(subject_of(user)),
            name=name,
        )

    def _set_password(self, user: UserRecord, accepted: AcceptedPassword, hashed: str) -> None:
        user.password_hash = hashed
        user.is_password_short = accepted.is_short
        user.password_changed_at = self._services.clock.now()
        user.failed_attempts = 0
