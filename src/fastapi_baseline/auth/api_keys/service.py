"""Everything that can be done with keys."""

import secrets
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import SecretStr
from sqlalchemy import ColumnElement, select, update

from fastapi_baseline import context
from fastapi_baseline.auth.api_keys.errors import (
    ApiKeyNotFoundError,
    InvalidKeyDescriptionError,
)
from fastapi_baseline.auth.api_keys.keys import make_key
from fastapi_baseline.auth.api_keys.models import NAME_LENGTH, SUBJECT_LENGTH, ApiKey
from fastapi_baseline.auth.api_keys.usage import KeyUsage
from fastapi_baseline.auth.api_keys.verification import KeyVerifier
from fastapi_baseline.auth.challenges import is_scope
from fastapi_baseline.auth.principals import SELF, Principal
from fastapi_baseline.auth.security_events import (
    LogSecurityEvents,
    SecurityEvent,
    SecurityEvents,
)
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import FieldError
from fastapi_baseline.persistence import Database, WriteSession
from fastapi_baseline.settings import ApiKeySettings

OVERLAP = timedelta(days=1)
"""How long a key is good after it was exchanged for another one."""


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whose a key is: who sends it is that principal."""

    subject: str
    issuer: str = SELF

    @classmethod
    def of(cls, principal: Principal) -> "KeyOwner":
        """Return a principal as the owner of keys."""
        return cls(principal.subject, principal.issuer)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A key that was just made. Show `secret` to its owner now: nobody can do so again."""

    secret: SecretStr
    record: ApiKey


class ApiKeys:
    """The keys of programs that a service issues itself.

    Each method has transactions of its own, so no route that calls one of those that write may be
    in a `Transaction`: on SQLite they would wait for each other. What is written is known to this
    process at once, and to others after `AUTH__API_KEYS__CACHE_MAX_AGE` at the latest.
    """

    def __init__(
        self,
        database: Database,
        *,
        settings: ApiKeySettings | None = None,
        clock: Clock | None = None,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
        events: SecurityEvents | None = None,
    ) -> None:
        """Keep keys in `database`; `events` are told of those that begin and end."""
        self._database = database
        self._settings = settings or ApiKeySettings()
        self._clock = clock or SystemClock()
        self._token_bytes = token_bytes
        self._events = events or LogSecurityEvents()
        self._usage = KeyUsage(database, clock=self._clock)
        self._verifier = KeyVerifier(
            database, settings=self._settings, clock=self._clock, usage=self._usage
        )

    async def issue(
        self,
        name: str,
        owner: KeyOwner,
        *,
        scopes: Collection[str] = (),
        roles: Collection[str] = (),
        lifetime: timedelta | None = None,
    ) -> IssuedKey:
        """Make a key; give it no scopes and roles that whoever asks for it does not have.

        Raises:
            InvalidKeyDescriptionError: If it cannot be stored as it is described, or would be over
                at once.
        """
        now = self._clock.now()
        _check(name, owner, scopes=scopes, roles=roles, lifetime=lifetime)
        record = ApiKey(
            name=name,
            issuer=owner.issuer,
            subject=owner.subject,
            scopes=sorted(set(scopes)),
            roles=sorted(set(roles)),
            expires_at=None if lifetime is None else now + lifetime,
        )
        async with self._database.transaction() as session:
            issued = self._add(session, record, now=now)
        await self._events.record(_issued(record))
        return issued

    async def authenticate(self, text: str) -> Principal:
        """Return the principal that a key stands for.

        Raises:
            InvalidApiKeyError: If the key is not good.
            UnavailableError: If it has to be looked up, and the database does not answer.
        """
        return await self._verifier.verify(text)

    async def list_keys(
        self, owner: KeyOwner | None = None, *, includes_ended: bool = False
    ) -> list[ApiKey]:
        """Return the keys of an owner, or all; those that are over only if asked for. Newest first."""
        statement = select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id)
        async with self._database.read_transaction() as session:
            found = (await session.scalars(statement.where(*_of(owner)))).all()
        now = self._clock.now()
        return [key for key in found if includes_ended or key.is_good(now)]

    async def revoke(self, identifier: str, *, owner: KeyOwner | None = None) -> None:
        """End a key; one that is over already stays so. With `owner`, it must be theirs.

        Raises:
            ApiKeyNotFoundError: If there is no such key.
        """
        async with self._database.transaction() as session:
            record = await _get(session, identifier, owner)
            record.revoked_at = record.revoked_at or self._clock.now()
        self._verifier.forget_all()
        await self._events.record(_revoked(record.id, record.subject))

    async def revoke_all(self, issuer: str, subject: str, *, except_: str | None = None) -> int:
        """End all keys of an owner, but the one that `except_` names; return how many that were."""
        conditions = [*_of(KeyOwner(subject, issuer)), ApiKey.revoked_at.is_(None)]
        if except_ is not None:
            conditions.append(ApiKey.id != except_)
        statement = update(ApiKey).where(*conditions).values(revoked_at=self._clock.now())
        ended: list[str] = []
        async with self._database.transaction() as session:
            # A key that is exchanged at the same moment is seen by the next statement only.
            while found := (await session.scalars(statement.returning(ApiKey.id))).all():
                ended += found
        self._verifier.forget_all()
        for identifier in ended:
            await self._events.record(_revoked(identifier, subject))
        return len(ended)

    async def rotate(
        self, identifier: str, *, owner: KeyOwner | None = None, overlap: timedelta = OVERLAP
    ) -> IssuedKey:
        """Exchange a key for a new one that may do the same, for as long as the old one was meant to.

        The old one is good for `overlap` longer, so that what uses it can be changed. With `owner`,
        it must be theirs.

        Raises:
            ApiKeyNotFoundError: If there is no such key, or it is over, or was exchanged already.
        """
        now = self._clock.now()
        async with self._database.transaction() as session:
            old = await _get(session, identifier, owner)
            if not old.is_good(now) or old.replaced_by is not None:
                raise ApiKeyNotFoundError
            issued = self._add(session, _successor_of(old, now=now), now=now)
            old.replaced_by = issued.record.id
            ends_at = now + overlap
            old.expires_at = ends_at if old.expires_at is None else min(old.expires_at, ends_at)
        self._verifier.forget_all()
        await self._events.record(_issued(issued.record, replaces=identifier))
        return issued

    def lifespan(self, app: object) -> AbstractAsyncContextManager[None]:
        """Write when keys were last used, beside the requests, while the application serves."""
        return self._usage.lifespan(app)

    async def write_usage(self) -> None:
        """Write now when keys were last used; the lifespan does so by itself."""
        await self._usage.write()

    def _add(self, session: WriteSession, record: ApiKey, *, now: datetime) -> IssuedKey:
        key = make_key(self._settings.prefix, token_bytes=self._token_bytes)
        request = context.current()
        asker = None if request is None or request.principal is None else str(request.principal)
        record.id, record.digest = key.id, key.digest
        record.created_at, record.created_by = now, asker
        session.add(record)
        return IssuedKey(secret=SecretStr(key.text), record=record)


def _issued(record: ApiKey, **details: str) -> SecurityEvent:
    return SecurityEvent(
        name="api_key_issued",
        outcome="success",
        subject=record.subject,
        details={"key_id": record.id, **details},
    )


def _revoked(identifier: str, subject: str) -> SecurityEvent:
    return SecurityEvent(
        name="api_key_revoked",
        outcome="success",
        subject=subject,
        details={"key_id": identifier},
    )


async def _get(session: WriteSession, identifier: str, owner: KeyOwner | None) -> ApiKey:
    # Locked, so that it is exchanged once.
    statement = select(ApiKey).where(ApiKey.id == identifier, *_of(owner)).with_for_update()
    record = await session.scalar(statement)
    if record is None:
        raise ApiKeyNotFoundError
    return record


def _of(owner: KeyOwner | None) -> list[ColumnElement[bool]]:
    if owner is None:
        return []
    return [ApiKey.subject == owner.subject, ApiKey.issuer == owner.issuer]


def _successor_of(old: ApiKey, *, now: datetime) -> ApiKey:
    return ApiKey(
        name=old.name,
        issuer=old.issuer,
        subject=old.subject,
        scopes=old.scopes,
        roles=old.roles,
        expires_at=None if old.expires_at is None else now + (old.expires_at - old.created_at),
    )


def _check(
    name: str,
    owner: KeyOwner,
    *,
    scopes: Collection[str],
    roles: Collection[str],
    lifetime: timedelta | None,
) -> None:
    rules = {
        "name": (
            _is_text(name, NAME_LENGTH),
            f"Give it a name of at most {NAME_LENGTH} characters.",
        ),
        "subject": (
            _is_text(owner.subject, SUBJECT_LENGTH) and _is_text(owner.issuer, SUBJECT_LENGTH),
            "Say whose it is.",
        ),
        "scopes": (all(map(is_scope, scopes)), "A scope is a word of printable characters."),
        "roles": (all(_is_text(role, NAME_LENGTH) for role in roles), "A role has a name."),
        "lifetime": (lifetime is None or lifetime > timedelta(0), "Let it live for some time."),
    }
    wrong = [
        FieldError(path=(field,), detail=detail, code="invalid_value")
        for field, (is_right, detail) in rules.items()
        if not is_right
    ]
    if wrong:
        raise InvalidKeyDescriptionError(fields=wrong)


def _is_text(text: str, length: int) -> bool:
    return 0 < len(text.strip()) <= len(text) <= length and text.isprintable()
