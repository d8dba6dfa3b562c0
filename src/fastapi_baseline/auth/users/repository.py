"""Users in the database."""

from typing import Any, TypeVar, cast

from fastapi_baseline.auth.users.models import UserRecord
from fastapi_baseline.errors import NotFoundError
from fastapi_baseline.persistence import Lock, Repository

UserT = TypeVar("UserT", bound=UserRecord)


class UserRepository(Repository[UserT]):
    """The users of a model: `class Users(UserRepository[User])`.

    A service may subclass it, to load more or to narrow what is seen.
    """

    async def find_by_email(self, email: str) -> UserT | None:
        """Return the user with an address, which is normalised, or `None`."""
        return await self.find_one(self.select().where(self.model.email == email))

    async def find_by_subject(self, subject: str, *, lock: Lock | None = None) -> UserT | None:
        """Return a user by the subject of a principal, or `None`."""
        key = self._key_of(subject)
        return None if key is None else await self.find(key, lock=lock)

    async def get_by_subject(self, subject: str, *, lock: Lock | None = None) -> UserT:
        """Return a user by the subject of a principal.

        Raises:
            NotFoundError: If there is none.
        """
        user = await self.find_by_subject(subject, lock=lock)
        if user is None:
            raise NotFoundError
        return user

    async def count_failure(self, subject: str) -> int:
        """Count one more failure to sign in, and return how many there are in a row now.

        Raises:
            NotFoundError: If there is no such user any more.
        """
        model = cast("type[UserRecord]", self.model)
        await self.update_where(
            self.is_subject(subject), values={"failed_attempts": model.failed_attempts + 1}
        )
        return (await self.get_by_subject(subject)).failed_attempts

    def is_subject(self, subject: str) -> Any:
        """Return the condition that a row is that of a subject."""
        return self._key == self._key_of(subject)

    def _key_of(self, subject: str) -> Any:
        try:
            return self._key.type.python_type(subject)
        except ValueError:
            return None


def repository_of(model: type[UserT]) -> type[UserRepository[UserT]]:
    """Return a repository for a model, for a service that has written none."""
    return type(f"{model.__name__}Repository", (UserRepository,), {"model": model})
