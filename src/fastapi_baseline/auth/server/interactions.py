"""Requests for authorization that wait for their user: kept by the service, for one browser.

What a client asks for comes once, and is kept as it was found good. All that a browser sends later
is which of them is meant, and what the user says: so nothing can be changed between what was shown
and what is allowed.
"""

import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_baseline.auth.server.authorization_requests import AuthorizationRequest
from fastapi_baseline.auth.server.fresh_reads import read_fresh
from fastapi_baseline.auth.server.interaction_models import OAuthInteraction
from fastapi_baseline.auth.sessions.cookies import (
    SECRET_BYTES,
    SessionCookie,
    digest_of,
    encode_secret,
)
from fastapi_baseline.clock import Clock
from fastapi_baseline.errors import NotFoundError
from fastapi_baseline.persistence import Database, WriteSession

COOKIE_PREFIX = "__Host-interaction-"
MAX_PER_BROWSER = 5
"""How many wait in one browser; the oldest is forgotten if there is one more."""

_ID_BYTES = 16
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NAME_LENGTH = 8
# How many of all that are over each new one removes, so that the table shrinks.
_SWEEP = 20
_DELETE = delete(OAuthInteraction).execution_options(synchronize_session=False)


class InteractionNotFoundError(NotFoundError):
    """It is over, was answered already, or belongs to another browser."""

    code = "interaction_not_found"
    default_message = "This page has expired, or was answered already. Go back to the application, and start again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One request that waits for its user."""

    request: AuthorizationRequest
    asked_at: datetime
    """When the client has asked."""
    id: str | None = None
    """Which one it is; `None` as long as nobody waits, because it may be answered at once."""


@dataclass(frozen=True, slots=True)
class NewInteraction:
    """One that has just begun, and what binds it to a browser."""

    interaction: Interaction
    _cookie: SessionCookie = field(repr=False)
    _secret: str = field(repr=False)

    def keep(self, connection: HTTPConnection, response: Response) -> None:
        """Give the browser the cookie; it forgets the oldest ones if it has too many."""
        names = [name for name in connection.cookies if name.startswith(COOKIE_PREFIX)]
        # Browsers send the oldest first (RFC 6265, section 5.4).
        for name in names[: max(0, len(names) + 1 - MAX_PER_BROWSER)]:
            SessionCookie(name, same_site="lax").delete(response)
        self._cookie.set(response, self._secret)


class Interactions:
    """All requests that wait for their users.

    The cookie has a random secret, which is kept as SHA-256. It is `lax`: users come from the pages
    of clients.
    """

    def __init__(
        self,
        database: Database,
        *,
        lifetime: timedelta,
        clock: Clock,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Keep them in `database`, for `lifetime`."""
        self._database = database
        self._lifetime = lifetime
        self._clock = clock
        self._token_bytes = token_bytes

    async def begin(self, request: AuthorizationRequest) -> NewInteraction:
        """Keep a request; `NewInteraction.keep` must see the response."""
        now = self._clock.now()
        interaction_id = self._token_bytes(_ID_BYTES).hex()
        secret = encode_secret(self._token_bytes(SECRET_BYTES))
        async with self._database.transaction() as session:
            await _sweep(session, now)
            session.add(
                OAuthInteraction(
                    id=interaction_id,
                    browser_digest=digest_of(secret),
                    request=request.to_json(),
                    created_at=now,
                    expires_at=now + self._lifetime,
                )
            )
        interaction = Interaction(id=interaction_id, request=request, asked_at=now)
        return NewInteraction(interaction, _cookie_of(interaction_id), secret)

    async def find(self, connection: HTTPConnection, interaction_id: str) -> Interaction | None:
        """Return one that waits for the browser of a request, or `None`.

        Raises:
            AmbiguousSessionError: If the request has its cookie twice.
        """
        if not _ID.fullmatch(interaction_id):
            return None
        secret = _cookie_of(interaction_id).find(connection)
        if secret is None:
            return None
        async with read_fresh(self._database) as session:
            row: OAuthInteraction | None = await session.get(OAuthInteraction, interaction_id)
            if row is None or self._clock.now() >= row.expires_at:
                return None
            if not hmac.compare_digest(row.browser_digest, digest_of(secret)):
                return None
            request = AuthorizationRequest.from_json(row.request)
            return Interaction(id=row.id, request=request, asked_at=row.created_at)

    async def get(self, connection: HTTPConnection, interaction_id: str) -> Interaction:
        """Return one that waits for the browser of a request.

        Raises:
            InteractionNotFoundError: If there is none.
            AmbiguousSessionError: If the request has its cookie twice.
        """
        found = await self.find(connection, interaction_id)
        if found is None:
            raise InteractionNotFoundError
        return found

    async def use_up(self, session: WriteSession, interaction: Interaction) -> None:
        """Use one up, in the transaction in which it is answered: of several at once one goes on.

        Raises:
            InteractionNotFoundError: If it was answered already.
        """
        if interaction.id is None:
            return
        using = _DELETE.where(OAuthInteraction.id == interaction.id)
        if await session.scalar(using.returning(OAuthInteraction.id)) is None:
            raise InteractionNotFoundError

    def forget(self, response: Response, interaction: Interaction) -> None:
        """Make the browser forget one."""
        if interaction.id is not None:
            _cookie_of(interaction.id).delete(response)


def _cookie_of(interaction_id: str) -> SessionCookie:
    return SessionCookie(f"{COOKIE_PREFIX}{interaction_id[:_NAME_LENGTH]}", same_site="lax")


async def _sweep(session: WriteSession, now: datetime) -> None:
    over = select(OAuthInteraction.id).where(OAuthInteraction.expires_at <= now).limit(_SWEEP)
    ids = (await session.scalars(over.with_for_update(skip_locked=True))).all()
    if ids:
        await session.execute(_DELETE.where(OAuthInteraction.id.in_(ids)))
