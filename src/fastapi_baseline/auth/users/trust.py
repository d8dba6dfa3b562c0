"""What else trusts a user, and must stop to: sessions, API keys and second factors."""

from typing import Protocol


class SessionRevoker(Protocol):
    """What lets a user in without a password: `Sessions` and `ApiKeys` are such."""

    async def revoke_all(self, issuer: str, subject: str, *, except_: str | None = None) -> object:
        """End all of this for a user, but the one whose public identifier is `except_`.

        Raises:
            UnavailableError: If it cannot be done now.
        """
        ...


class SecondFactors(Protocol):
    """Who has a second factor."""

    async def is_enabled(self, subject: str) -> bool:
        """Return whether a user is asked for a second factor at each sign-in."""
        ...

    async def remove(self, subject: str) -> None:
        """Forget all of a user who was deleted."""
        ...


class NoSecondFactors:
    """The second factors of a service that has none."""

    async def is_enabled(self, subject: str) -> bool:
        """Return that there is none."""
        del subject
        return False

    async def remove(self, subject: str) -> None:
        """Do nothing."""
