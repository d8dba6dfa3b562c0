"""What users have agreed to, so that they are not asked twice, and are asked for more."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import delete

from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.server.fresh_reads import read_fresh
from fastapi_baseline.auth.server.interaction_models import OAuthConsent
from fastapi_baseline.clock import Clock
from fastapi_baseline.persistence import Database, Repository, WriteSession

WORDS: Mapping[str, str] = {
    "openid": "Know that it is you",
    "profile": "See your name",
    "email": "See your e-mail address",
    "offline_access": "Keep this access while you are not signed in",
}
"""What the scopes of the protocol mean, as people are told."""

_DELETE = delete(OAuthConsent).execution_options(synchronize_session=False)


class _Rows(Repository[OAuthConsent]):
    """What is stored."""


class Consents:
    """What each user has agreed that each client may do."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        """Keep it in `database`."""
        self._database = database
        self._clock = clock

    async def find(self, principal: Principal, client_id: str) -> frozenset[str]:
        """Return the scopes that a user has agreed to; none if they were never asked."""
        async with read_fresh(self._database) as session:
            row: OAuthConsent | None = await session.get(
                OAuthConsent, _key_of(principal, client_id)
            )
            return frozenset() if row is None else frozenset(row.scopes)

    async def remember(
        self,
        session: WriteSession,
        principal: Principal,
        *,
        client_id: str,
        scopes: Collection[str],
    ) -> None:
        """Note what a user agrees to, besides what they have agreed to before."""
        row = await session.get(OAuthConsent, _key_of(principal, client_id))
        known = [] if row is None else row.scopes
        await _Rows(session).upsert(
            {
                "issuer": principal.issuer,
                "subject": principal.subject,
                "client_id": client_id,
                "scopes": sorted({*known, *scopes}),
                "granted_at": self._clock.now(),
            }
        )

    async def forget(self, principal: Principal, client_id: str) -> None:
        """Ask a user again, the next time that a client asks for anything."""
        issuer, subject, _ = _key_of(principal, client_id)
        await self._delete(
            OAuthConsent.issuer == issuer,
            OAuthConsent.subject == subject,
            OAuthConsent.client_id == client_id,
        )

    async def forget_client(self, client_id: str) -> None:
        """Forget what anybody has agreed that a client may do."""
        await self._delete(OAuthConsent.client_id == client_id)

    async def forget_user(self, issuer: str, subject: str) -> None:
        """Forget all that a user has agreed to."""
        await self._delete(OAuthConsent.issuer == issuer, OAuthConsent.subject == subject)

    async def _delete(self, *meant: Any) -> None:
        async with self._database.transaction() as session:
            await session.execute(_DELETE.where(*meant))


def describe(scopes: Iterable[str], words: Mapping[str, str]) -> list[str]:
    """Return what scopes mean, in words; one without any is shown as it is."""
    return [words.get(one) or WORDS.get(one) or one for one in scopes]


def _key_of(principal: Principal, client_id: str) -> tuple[str, str, str]:
    return principal.issuer, principal.subject, client_id
