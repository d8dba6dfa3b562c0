"""Whether a key is good, and who sends it."""

import hmac

from fastapi_baseline.auth.api_keys.errors import InvalidApiKeyError
from fastapi_baseline.auth.api_keys.keys import parse_key
from fastapi_baseline.auth.api_keys.known import KnownKey, KnownKeys
from fastapi_baseline.auth.api_keys.models import ApiKey
from fastapi_baseline.auth.api_keys.usage import KeyUsage
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.clock import Clock
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings import ApiKeySettings


class KeyVerifier:
    """Looks keys up, and remembers those that are good for a while."""

    def __init__(
        self, database: Database, *, settings: ApiKeySettings, clock: Clock, usage: KeyUsage
    ) -> None:
        """Look keys up in `database`, and tell `usage` of each that is good."""
        self._database = database
        self._prefix = settings.prefix
        self._clock = clock
        self._usage = usage
        self._known = KnownKeys(max_age=settings.cache_max_age, clock=clock)

    async def verify(self, text: str) -> Principal:
        """Return the principal that a key stands for.

        Raises:
            InvalidApiKeyError: If the key is not good.
            UnavailableError: If it has to be looked up, and the database does not answer.
        """
        key = parse_key(text, prefix=self._prefix)
        if key is None:
            raise InvalidApiKeyError("malformed")
        known = self._known.find(key.id) or await self._look_up(key.id)
        if not hmac.compare_digest(known.digest, key.digest):
            raise InvalidApiKeyError("wrong_secret", key_id=key.id)
        if known.expires_at is not None and known.expires_at <= self._clock.now():
            raise InvalidApiKeyError("expired", key_id=key.id)
        self._usage.note(key.id, last=known.last_used_at)
        return known.principal

    def forget_all(self) -> None:
        """Look all keys up again: some were revoked."""
        self._known.forget_all()

    async def _look_up(self, identifier: str) -> KnownKey:
        version = self._known.version
        async with self._database.read_transaction() as session:
            record = await session.get(ApiKey, identifier)
        if record is None:
            raise InvalidApiKeyError("unknown", key_id=identifier)
        if record.revoked_at is not None:
            raise InvalidApiKeyError("revoked", key_id=identifier)
        known = KnownKey(
            digest=record.digest,
            principal=_principal_of(record),
            expires_at=record.expires_at,
            last_used_at=record.last_used_at,
        )
        # Also if the secret turns out to be wrong: it is asked for each time.
        self._known.remember(identifier, known, version=version)
        return known


def _principal_of(record: ApiKey) -> Principal:
    return Principal(
        issuer=record.issuer,
        subject=record.subject,
        transport="api_key",
        client_id=record.id,
        scopes=frozenset(record.scopes),
        roles=frozenset(record.roles),
        expires_at=record.expires_at,
        claims={"key_id": record.id, "key_name": record.name},
    )
