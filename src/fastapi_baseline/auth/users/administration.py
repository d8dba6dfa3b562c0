"""What administrators do with users; none of it sets a password."""

from collections.abc import Callable, Iterable

from fastapi_baseline.auth.users.accounts import LOCKED, Accounts, UserT, roles_of


class Administration(Accounts[UserT]):
    """Disables, enables and deletes users, and gives them roles."""

    async def disable(self, subject: str) -> UserT:
        """Let a user not sign in any more, and end their sessions, API keys and links.

        Raises:
            NotFoundError: If there is no such user.
            UnavailableError: If sessions cannot be ended; the user is not disabled then.
        """
        now = self._services.clock.now()

        def disabled(user: UserT) -> None:
            user.disabled_at = user.disabled_at or now

        user = await self._change(subject, disabled)
        await self._record("user_disabled", user)
        return user

    async def enable(self, subject: str) -> UserT:
        """Let a user sign in again.

        Raises:
            NotFoundError: If there is no such user.
        """
        async with self._services.database.transaction() as session:
            user = await self._users(session).get_by_subject(subject, lock=LOCKED)
            user.disabled_at = None
            await session.flush()
        await self._record("user_enabled", user)
        return user

    async def delete(self, subject: str) -> None:
        """Delete a user, and end their sessions, API keys, links and second factor.

        Raises:
            NotFoundError: If there is no such user.
            UnavailableError: If sessions cannot be ended; the user is not deleted then.
        """
        await self.get(subject)
        await self._end_trust(subject)
        async with self._services.database.transaction() as session:
            users = self._users(session)
            user = await users.get_by_subject(subject, lock=LOCKED)
            await self._tokens.delete_all_of(session, subject)
            await users.delete(user)
        await self._services.second_factors.remove(subject)
        await self._end_trust(subject)
        await self._record("user_deleted", user)

    async def set_roles(self, subject: str, roles: Iterable[str]) -> UserT:
        """Give a user these roles and no others; their sessions and API keys end.

        Raises:
            NotFoundError: If there is no such user.
            UnavailableError: If sessions cannot be ended; the roles have not changed then.
        """
        wanted = roles_of(roles)
        current = await self.get(subject)
        if current.roles == wanted:
            return current

        def changed(user: UserT) -> None:
            user.roles = wanted

        user = await self._change(subject, changed)
        await self._record("roles_changed", user, roles=" ".join(wanted))
        return user

    async def _change(self, subject: str, change: Callable[[UserT], None]) -> UserT:
        """Change a user who was trusted as before, and end that."""
        await self.get(subject)
        await self._end_trust(subject)
        async with self._services.database.transaction() as session:
            user = await self._users(session).get_by_subject(subject, lock=LOCKED)
            change(user)
            await session.flush()
            if user.disabled_at is not None:
                await self._tokens.delete_all_of(session, subject)
        await self._end_trust(subject)
        return user
