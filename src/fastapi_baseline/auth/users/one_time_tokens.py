"""Links of letters: tokens that are good once, for one thing, for a while."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from sqlalchemy import or_
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_baseline.auth.users.errors import InvalidLinkError
from fastapi_baseline.auth.users.models import OneTimeToken, UserRecord, subject_of
from fastapi_baseline.auth.users.passwords import AcceptedPassword
from fastapi_baseline.clock import Clock
from fastapi_baseline.persistence import Repository

Purpose = Literal["reset_password", "verify_email"]

_TOKEN_BYTES = 32
_NOBODY = "nobody"
_MAX_TOKEN = 128


class OneTimeTokens(Repository[OneTimeToken]):
    """The tokens in a database, where only their digests are: who reads it opens no link.

    A token is 256 random bits, so SHA-256 needs no salt and no cost.
    """


class TokenIssuer:
    """Makes tokens and takes them back, each in the transaction of the caller."""

    def __init__(
        self, *, clock: Clock, make_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        """Take the time from `clock` and the random bytes from `make_bytes`."""
        self._clock = clock
        self._make_bytes = make_bytes

    async def issue(
        self,
        session: AsyncSession,
        user: UserRecord | None,
        *,
        purpose: Purpose,
        lifetime: timedelta,
        password: tuple[AcceptedPassword, str] | None = None,
    ) -> str:
        """Return a token of a user; without one, do the same work for nothing.

        `password` is what it gives the user when it is used, with its hash.
        """
        token = self._make_bytes(_TOKEN_BYTES).hex()
        now = self._clock.now()
        tokens = OneTimeTokens(session)
        subject = _NOBODY if user is None else subject_of(user)
        issued = OneTimeToken(
            digest=digest_of(token),
            purpose=purpose,
            subject=subject,
            bound_to="" if user is None else _state_of(user),
            password_hash=password[1] if password else None,
            is_password_short=password[0].is_short if password else False,
            created_at=now,
            expires_at=now + lifetime,
        )
        await tokens.add(issued)
        if user is None:
            # By itself: those who ask for nobody at the same moment do not wait for each other.
            session.expunge(issued)
            await tokens.delete_where(OneTimeToken.digest == issued.digest)
        else:
            await tokens.delete_where(
                OneTimeToken.subject == subject, OneTimeToken.expires_at <= now
            )
        return token

    async def issue_nothing(self, session: AsyncSession) -> None:
        """Write as much as a failure that is counted does."""
        await self.issue(session, None, purpose="verify_email", lifetime=timedelta(0))

    async def find(
        self, session: AsyncSession, token: str, *, purpose: Purpose
    ) -> OneTimeToken | None:
        """Return what is known of a token that is good, as far as it can tell by itself."""
        if len(token) > _MAX_TOKEN or not token.isascii():
            return None
        tokens = OneTimeTokens(session)
        return await tokens.find_one(
            tokens.select().where(
                OneTimeToken.digest == digest_of(token),
                OneTimeToken.purpose == purpose,
                OneTimeToken.consumed_at.is_(None),
                OneTimeToken.expires_at > self._clock.now(),
            )
        )

    async def consume(self, session: AsyncSession, stored: OneTimeToken, user: UserRecord) -> None:
        """Use a token up, of a user whose row is locked.

        It is one statement that finds the token unused or does not, so of several at once only one
        goes on.

        Raises:
            InvalidLinkError: If it is used or expired, or its user has changed since.
        """
        if not is_bound(stored, user):
            raise InvalidLinkError
        now = self._clock.now()
        consumed = await OneTimeTokens(session).update_where(
            OneTimeToken.digest == stored.digest,
            OneTimeToken.consumed_at.is_(None),
            OneTimeToken.expires_at > now,
            values={"consumed_at": now},
        )
        if consumed != 1:
            raise InvalidLinkError

    async def delete_all_of(self, session: AsyncSession, subject: str) -> None:
        """Delete all tokens of a user."""
        await OneTimeTokens(session).delete_where(OneTimeToken.subject == subject)

    async def purge(self, session: AsyncSession) -> int:
        """Delete all tokens that are used or expired, and return how many."""
        return await OneTimeTokens(session).delete_where(
            or_(
                OneTimeToken.consumed_at.is_not(None),
                OneTimeToken.expires_at <= self._clock.now(),
            )
        )


def digest_of(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_bound(stored: OneTimeToken, user: UserRecord) -> bool:
    """Return whether a user has still the address and the password of when a token was made."""
    return stored.bound_to == _state_of(user)


def _state_of(user: UserRecord) -> str:
    changed_at = user.password_changed_at
    changed = "" if changed_at is None else changed_at.isoformat()
    return digest_of(f"{user.email}|{changed}")
