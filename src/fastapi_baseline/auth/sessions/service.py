"""Sessions: begun when somebody signs in, and ended in many ways."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_baseline.auth.dependencies import AROUND
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.security_events import SecurityEventName, SecurityEvents
from fastapi_baseline.auth.sessions.cookies import (
    SECRET_BYTES,
    SessionCookie,
    digest_of,
    encode_secret,
)
from fastapi_baseline.auth.sessions.csrf import CsrfProtection
from fastapi_baseline.auth.sessions.errors import SessionEndedError
from fastapi_baseline.auth.sessions.form_tokens import make_form_token
from fastapi_baseline.auth.sessions.owned import OwnedSessions
from fastapi_baseline.auth.sessions.records import SessionRecord
from fastapi_baseline.auth.sessions.store import SessionStore
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings.auth import SessionSettings

_MAX_USER_AGENT = 256
_ID_BYTES = 16


class Sessions(OwnedSessions):
    """All sessions of an application; `Sessions.of(request)` in a route.

    Methods raise `SessionsUnavailableError` if the store does not answer: nobody is let in then,
    and nothing is said to have ended.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        settings: SessionSettings | None = None,
        clock: Clock | None = None,
        events: SecurityEvents | None = None,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Keep sessions in `store`, for as long as the settings say.

        Raises:
            ConfigurationError: If one of the trusted origins is none.
        """
        super().__init__(
            store,
            settings=settings or SessionSettings(),
            clock=clock or SystemClock(),
            events=events,
        )
        self.cookie = SessionCookie(self.settings.cookie_name, same_site=self.settings.same_site)
        self.csrf = CsrfProtection(
            header=self.settings.csrf_header, trusted_origins=self.settings.trusted_origins
        )
        self._token_bytes = token_bytes

    @classmethod
    def of(cls, connection: HTTPConnection) -> "Sessions":
        """Return the sessions of the application that answers a request.

        Raises:
            ConfigurationError: If it has none.
        """
        state = connection.app.state
        sessions = getattr(state, "sessions", None)
        if sessions is None and hasattr(state, AROUND):
            sessions = getattr(getattr(state, AROUND).state, "sessions", None)
        if not isinstance(sessions, cls):
            raise ConfigurationError(
                "The application has no sessions: set AUTH__SESSIONS__ENABLED."
            )
        return sessions

    async def start(
        self,
        connection: HTTPConnection,
        response: Response,
        principal: Principal,
        *,
        has_just_proved: bool = True,
    ) -> Principal:
        """Begin a session of somebody who has proved who they are; return them with it.

        It is always a new one: the one that the browser has, whoever gave it to it, ends. The oldest
        one of theirs ends, too, if they have too many. When they proved it is now, if the principal
        does not say; unless `has_just_proved` is false: then nobody knows.
        """
        await self._end_current(connection, "session_revoked")
        record = _begin(
            connection,
            principal,
            session_id=self._token_bytes(_ID_BYTES).hex(),
            now=self._clock.now(),
            life=self.settings.absolute_timeout,
        )
        if not has_just_proved:
            record = replace(record, auth_time=principal.auth_time)
        secret = encode_secret(self._token_bytes(SECRET_BYTES))
        await self.store.add(
            digest_of(secret),
            record,
            idle_timeout=self.settings.idle_timeout,
            max_per_owner=self.settings.max_per_subject,
        )
        self.cookie.set(response, secret)
        await self._record("session_started", record.subject, session=record.id)
        return record.as_principal()

    async def rotate(
        self, connection: HTTPConnection, response: Response, principal: Principal | None = None
    ) -> Principal:
        """Give the session of a request another secret, and what `principal` may do from now on.

        For when somebody may do more than before, such as after a second factor: whoever has got
        hold of the old secret does not. When the session ends is not changed by that.

        Raises:
            SessionEndedError: If there is none.
            ConfigurationError: If the principal is somebody else; call `start` then.
        """
        secret = self.cookie.find(connection)
        record = None if secret is None else await self.find(secret)
        if secret is None or record is None:
            raise SessionEndedError
        if principal is not None:
            record = _change(record, principal)
        record = replace(record, last_seen_at=self._clock.now())
        new_secret = encode_secret(self._token_bytes(SECRET_BYTES))
        if not await self.store.replace(digest_of(secret), digest_of(new_secret), record):
            raise SessionEndedError
        self.cookie.set(response, new_secret)
        return record.as_principal()

    async def find(self, secret: str) -> SessionRecord | None:
        """Return the session of who has this secret, and note that it is used; `None` if none."""
        return await self.store.find(
            digest_of(secret), now=self._clock.now(), idle_timeout=self.settings.idle_timeout
        )

    async def end(self, connection: HTTPConnection, response: Response) -> bool:
        """End the session of a request, and return whether it had one; its cookie goes, too."""
        ended = await self._end_current(connection, "sign_out")
        self.cookie.delete(response)
        return ended

    def make_form_token(self, connection: HTTPConnection) -> str:
        """Return what the forms of a page have in their field `csrf_token`.

        It is for the session of the request: one that begins with the response needs another page.

        Raises:
            SessionEndedError: If the request has none.
        """
        secret = self.cookie.find(connection)
        if secret is None:
            raise SessionEndedError
        return make_form_token(secret, token_bytes=self._token_bytes)

    async def _end_current(self, connection: HTTPConnection, event: SecurityEventName) -> bool:
        secret = self.cookie.find(connection)
        record = None if secret is None else await self.store.remove(digest_of(secret))
        if record is None:
            return False
        await self._record(event, record.subject, session=record.id)
        await self._tell([record.id])
        return True


def _begin(
    connection: HTTPConnection,
    principal: Principal,
    *,
    session_id: str,
    now: datetime,
    life: timedelta,
) -> SessionRecord:
    client: tuple[str, int] | None = connection.scope.get("client")
    return SessionRecord(
        id=session_id,
        issuer=principal.issuer,
        subject=principal.subject,
        client_id=principal.client_id,
        scopes=principal.scopes,
        roles=principal.roles,
        auth_time=principal.auth_time or now,
        acr=principal.acr,
        amr=principal.amr,
        created_at=now,
        last_seen_at=now,
        expires_at=now + life,
        user_agent=_user_agent_of(connection),
        address=client[0] if client else None,
    )


def _change(record: SessionRecord, principal: Principal) -> SessionRecord:
    if (principal.issuer, principal.subject) != record.owner:
        raise ConfigurationError("A session is rotated for the one whose it is.")
    return replace(
        record,
        scopes=principal.scopes,
        roles=principal.roles,
        auth_time=principal.auth_time or record.auth_time,
        acr=principal.acr,
        amr=principal.amr,
    )


def _user_agent_of(connection: HTTPConnection) -> str | None:
    text = connection.headers.get("user-agent")
    # Latin-1 by HTTP; anything that is no text could not be stored by every database.
    return None if text is None else text[:_MAX_USER_AGENT].replace("\x00", "")
