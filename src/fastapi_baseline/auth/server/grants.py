"""What users have allowed clients: it begins with a code, and ends in many ways."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.auth.server.digests import CODE_PREFIX, digest_of, make_secret
from fastapi_baseline.auth.server.grant_endings import EndingGrants
from fastapi_baseline.auth.server.models import OAuthCode, OAuthGrant
from fastapi_baseline.persistence import WriteSession

_ID_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What a user allows a client, as it was checked: what a code is made of."""

    client_id: str
    redirect_uri: str
    """To the letter as the client has asked for it."""
    subject: str
    scopes: frozenset[str]
    code_challenge: str
    """Of the method `S256`."""
    nonce: str | None = None
    session_id: str | None = None
    """The session in which the user does so."""
    session_expires_at: datetime | None = None
    """When it ends at the latest: without `offline_access`, the grant does so, too."""
    auth_time: datetime | None = None
    """When the user has proved who they are; unset means now."""
    acr: str | None = None
    amr: frozenset[str] = field(default_factory=frozenset[str])


class Grants(EndingGrants):
    """All that users have allowed clients; `revoke_all` fits what ends when trust in a user does.

    Each method has a transaction of its own, if it is not given one.
    """

    async def issue_code(self, session: WriteSession, approval: Approval) -> str:
        """Store what a user has allowed, and return the code for it.

        It counts when the transaction is committed that is given.
        """
        now = self._clock.now()
        ends_at = now + self._settings.refresh_absolute_lifetime
        if approval.session_expires_at is not None and "offline_access" not in approval.scopes:
            ends_at = min(ends_at, approval.session_expires_at)
        grant = OAuthGrant(
            id=self._token_bytes(_ID_BYTES).hex(),
            client_id=approval.client_id,
            issuer=SELF,
            subject=approval.subject,
            session_id=approval.session_id,
            scopes=sorted(approval.scopes),
            auth_time=approval.auth_time or now,
            acr=approval.acr,
            amr=sorted(approval.amr),
            created_at=now,
            last_used_at=now,
            expires_at=ends_at,
        )
        code = make_secret(CODE_PREFIX, token_bytes=self._token_bytes)
        session.add(grant)
        await session.flush()
        session.add(
            OAuthCode(
                digest=digest_of(code),
                grant_id=grant.id,
                redirect_uri=approval.redirect_uri,
                nonce=approval.nonce,
                code_challenge=approval.code_challenge,
                expires_at=now + self._settings.code_lifetime,
            )
        )
        await session.flush()
        return code

    async def list(
        self, subject: str, *, issuer: str = SELF, client_id: str | None = None
    ) -> Sequence[OAuthGrant]:
        """Return the grants of a user that are good, and of which tokens came, the newest first."""
        came = select(OAuthCode.digest).where(
            OAuthCode.grant_id == OAuthGrant.id, OAuthCode.consumed_at.is_not(None)
        )
        meant = [OAuthGrant.subject == subject, OAuthGrant.issuer == issuer, _is_alive()]
        meant.append(came.exists())
        if client_id is not None:
            meant.append(OAuthGrant.client_id == client_id)
        newest_first = (OAuthGrant.created_at.desc(), OAuthGrant.id.desc())
        statement = select(OAuthGrant).where(*meant).order_by(*newest_first)
        async with self._database.read_transaction() as session:
            found = (await session.scalars(statement)).all()
        now = self._clock.now()
        return [grant for grant in found if grant.is_good(now)]

    async def find(self, grant_id: str) -> OAuthGrant | None:
        """Return a grant, also one that has ended, or `None`; not from a replica."""
        # On SQLite there is no replica, and who writes would wait for others.
        is_sqlite = self._database.engine.dialect.name == "sqlite"
        opened: AbstractAsyncContextManager[Any]
        opened = self._database.read_transaction() if is_sqlite else self._database.transaction()
        async with opened as session:
            return await session.get(OAuthGrant, grant_id)


def _is_alive() -> Any:
    return OAuthGrant.revoked_at.is_(None)
