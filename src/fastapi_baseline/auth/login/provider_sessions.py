"""What providers have given for the sessions of a service: tokens, encrypted where they are kept."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self, cast

from fastapi_baseline.auth.encryption import KeyRing, UndecryptableError
from fastapi_baseline.auth.login.id_tokens import IdToken
from fastapi_baseline.auth.login.store import LoginStore
from fastapi_baseline.auth.login.tokens import ProviderTokens
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.security_events import SecurityEvent, SecurityEvents
from fastapi_baseline.auth.sessions.errors import SessionEndedError
from fastapi_baseline.auth.sessions.records import Owner, from_microseconds, to_microseconds
from fastapi_baseline.clock import Clock, SystemClock

logger = logging.getLogger("fastapi_baseline.auth.login")

_KIND = "session:"
# What one value has at most: several tokens of 16 kB each.
_MAX_LENGTH = 131_072


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSession:
    """What a provider has given for one session: tokens, and whose they are.

    `sid` is the provider's own name for the session, by which it can end it.
    """

    session_id: str
    provider: str
    """Its name in the settings."""
    issuer: str
    subject: str
    sid: str | None = None
    access_token: str = field(repr=False)
    access_token_came_at: datetime
    access_token_expires_at: datetime | None = None
    """When the access token ends; unknown if the provider did not say."""
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    ends_at: datetime
    """When the session ends, and its tokens go."""
    refreshing_until: datetime | None = None
    """Until when whoever refreshes it may take; then others may try."""
    failed_until: datetime | None = None
    """Until when the provider is not asked again, since it did not answer."""

    @property
    def owner(self) -> Owner:
        """Return whose session it is."""
        return Owner(self.issuer, self.subject)

    def is_good_at(self, moment: datetime) -> bool:
        """Return whether the access token has not ended at a moment, as far as anybody knows."""
        end = self.access_token_expires_at
        return end is None or moment < end

    def is_due_at(self, moment: datetime, *, early: timedelta) -> bool:
        """Return whether the access token is to be replaced at a moment: `early` before its end.

        One that lasts for less than twice that would be replaced again and again, so it is in the
        middle of its life.
        """
        end = self.access_token_expires_at
        if end is None:
            return False
        return moment >= end - min(early, (end - self.access_token_came_at) / 2)

    def to_json(self) -> str:
        """Return it as text, with its secrets."""
        values = {name: getattr(self, name) for name in _TEXTS}
        for name in _TIMES:
            moment: datetime | None = getattr(self, name)
            values[name] = None if moment is None else to_microseconds(moment)
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` made a text of.

        Raises:
            ValueError: If it is no such text.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            times = {name: values[name] for name in _TIMES}
            read = {
                name: None if moment is None else from_microseconds(moment)
                for name, moment in times.items()
            }
            return cls(**{name: values[name] for name in _TEXTS}, **cast("dict[str, Any]", read))
        except (KeyError, TypeError, OverflowError, AttributeError) as error:
            raise ValueError("This is no session of a provider.") from error


_TEXTS = (
    *("session_id", "provider", "issuer", "subject", "sid"),
    *("access_token", "refresh_token", "id_token"),
)
_TIMES = (
    *("access_token_came_at", "access_token_expires_at", "ends_at"),
    *("refreshing_until", "failed_until"),
)


class HeldSession(NamedTuple):
    """A session of a provider as it was read, and what `ProviderSessions.replace` compares."""

    session: ProviderSession
    version: int


class EndedSession(NamedTuple):
    """A session of the service that a provider can name: its `id`, and whose it is."""

    session_id: str
    owner: Owner


class ProviderSessions:
    """The sessions of providers, each under the session of the service that it belongs to.

    Values are encrypted for the session that they belong to (JWE), so whoever reads or changes the
    store has nobody's tokens, and cannot give anybody those of somebody else. Beside it stands in
    the clear whose they are, as in the session itself, so that a provider can end sessions whose
    keys are lost. Methods raise `SessionsUnavailableError` if the store does not answer.
    """

    def __init__(
        self,
        store: LoginStore,
        *,
        keys: KeyRing,
        clock: Clock | None = None,
        events: SecurityEvents | None = None,
    ) -> None:
        """Keep them in `store`, encrypted with `keys`."""
        self._store = store
        self._keys = keys
        self._clock = clock or SystemClock()
        self._events = events

    async def keep(
        self, session: Principal, *, provider: str, tokens: ProviderTokens, id_token: IdToken
    ) -> None:
        """Keep what a provider has given for a session that has just begun.

        Raises:
            SessionEndedError: If the session is none, or over, or has tokens already.
        """
        if session.session_id is None or session.expires_at is None:
            raise SessionEndedError
        kept = ProviderSession(
            session_id=session.session_id,
            provider=provider,
            issuer=id_token.issuer,
            subject=id_token.subject,
            sid=id_token.sid,
            access_token=tokens.access_token,
            access_token_came_at=self._clock.now(),
            access_token_expires_at=tokens.expires_at,
            refresh_token=tokens.refresh_token,
            id_token=tokens.id_token,
            ends_at=session.expires_at,
        )
        groups = [_subject_group(kept.issuer, kept.subject)]
        if kept.sid is not None:
            groups.append(_sid_group(kept.issuer, kept.sid))
        life = self._life_of(kept)
        if life <= timedelta(0) or not await self._store.add_if_absent(
            _KIND + kept.session_id, self._write(kept), lifetime=life, groups=groups
        ):
            raise SessionEndedError

    async def find(self, session_id: str) -> HeldSession | None:
        """Return what there is for a session; `None` if there is nothing, or nothing readable.

        What cannot be read is removed: nobody knows any more whose it is.
        """
        stored = await self._store.get(_KIND + session_id)
        if stored is None:
            return None
        found = _read(self._keys, session_id, stored.value)
        if found is None:
            await self._lose(session_id, stored.version)
            return None
        return HeldSession(found, stored.version)

    async def replace(self, held: HeldSession, **changed: Any) -> HeldSession | None:
        """Keep what has `changed`, and return it; `None` if it was replaced or has ended since."""
        session = replace(held.session, **changed)
        life = self._life_of(session)
        if life <= timedelta(0):
            return None
        key, value = _KIND + session.session_id, self._write(session)
        if not await self._store.replace_if(key, value, version=held.version, lifetime=life):
            return None
        return HeldSession(session, held.version + 1)

    async def remove(self, session_id: str) -> ProviderSession | None:
        """Forget what there is for a session, and return it; `None` if nothing that is readable."""
        value = await self._store.take(_KIND + session_id)
        return None if value is None else _read(self._keys, session_id, value)

    async def remove_if_unchanged(self, held: HeldSession) -> bool:
        """Forget what was read, unless it was replaced since; return whether it was there still."""
        key = _KIND + held.session.session_id
        return await self._store.remove(key, version=held.version)

    async def list_by_sid(self, issuer: str, sid: str) -> Sequence[EndedSession]:
        """Return the sessions that are part of one at the provider."""
        return await self._list(_sid_group(issuer, sid))

    async def list_by_subject(self, issuer: str, subject: str) -> Sequence[EndedSession]:
        """Return the sessions of somebody who has signed in with the provider."""
        return await self._list(_subject_group(issuer, subject))

    async def _list(self, group: str) -> Sequence[EndedSession]:
        found: list[EndedSession] = []
        for key in await self._store.list_group(group):
            stored = await self._store.get(key)
            owner = None if stored is None else _read_owner(stored.value)
            if owner is not None:
                found.append(EndedSession(key.removeprefix(_KIND), owner))
        return found

    def _life_of(self, session: ProviderSession) -> timedelta:
        return session.ends_at - self._clock.now()

    def _write(self, session: ProviderSession) -> str:
        encrypted = self._keys.encrypt(session.to_json(), owner=_owner_of(session.session_id))
        return json.dumps([*session.owner, encrypted], separators=(",", ":"))

    async def _lose(self, session_id: str, version: int) -> None:
        logger.warning("The tokens of a session cannot be read, and are gone")
        await self._store.remove(_KIND + session_id, version=version)
        if self._events is not None:
            await self._events.record(
                SecurityEvent(
                    name="provider_tokens_lost",
                    outcome="failure",
                    details={"session": session_id, "reason": "unreadable"},
                )
            )


def _owner_of(session_id: str) -> str:
    return f"provider session {session_id}"


def _read(keys: KeyRing, session_id: str, value: str) -> ProviderSession | None:
    owner = _read_owner(value)
    if owner is None:
        return None
    encrypted: Any = json.loads(value)[2]
    try:
        text = keys.decrypt(encrypted, owner=_owner_of(session_id))
        found = ProviderSession.from_json(text)
    except (UndecryptableError, ValueError):
        return None
    return found if found.session_id == session_id and found.owner == owner else None


def _read_owner(value: str) -> Owner | None:
    try:
        read: object = json.loads(value) if len(value) <= _MAX_LENGTH else None
    except (ValueError, RecursionError):
        return None
    match read:
        case [str(issuer), str(subject), str()]:
            return Owner(issuer, subject)
        case _:
            return None


def _sid_group(issuer: str, sid: str) -> str:
    return f"sid:{_digest_of(issuer, sid)}"


def _subject_group(issuer: str, subject: str) -> str:
    return f"subject:{_digest_of(issuer, subject)}"


def _digest_of(issuer: str, name: str) -> str:
    # Names of users would be read by everybody who lists keys.
    return hashlib.sha256(json.dumps([issuer, name]).encode("ascii")).hexdigest()
