"""What a signing key is in the database, and what it is in memory."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias, TypeVar, cast

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.server.signing_key_models import OAuthSigningKey
from fastapi_baseline.persistence import ReadSession, WriteSession

with optional("joserfc", extra="auth"):
    from joserfc.jwk import ECKey, RSAKey

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import select

Algorithm: TypeAlias = Literal["RS256", "ES256"]
KeyState: TypeAlias = Literal["next", "active", "retired"]
"""Published and not yet used; what everything is signed with; still believed."""
PrivateKey: TypeAlias = RSAKey | ECKey
MakeKey: TypeAlias = Callable[[Algorithm], PrivateKey]

_RSA_BITS = 2048
_CURVE = "P-256"
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One key, as it is in memory."""

    kid: str
    algorithm: Algorithm
    jwk: Mapping[str, Any]
    """What is published of it."""
    public: PrivateKey = field(repr=False)
    private: PrivateKey | None = field(repr=False)
    """Of those only that sign, or will."""
    created_at: datetime
    activates_at: datetime
    retires_at: datetime | None


_Kept = TypeVar("_Kept", SigningKey, OAuthSigningKey)


def make_key(algorithm: Algorithm) -> PrivateKey:
    """Return a new key for an algorithm; one of RSA takes a tenth of a second and more."""
    if algorithm == "ES256":
        return ECKey.generate_key(_CURVE, auto_kid=True)
    return RSAKey.generate_key(_RSA_BITS, auto_kid=True)


def is_published(key: SigningKey | OAuthSigningKey, now: datetime) -> bool:
    """Return whether what a key has signed is to be believed."""
    return key.retires_at is None or now < key.retires_at


def find_active(keys: Sequence[_Kept], now: datetime) -> _Kept | None:
    """Return the key that signs: the last of those whose time has come."""
    begun = [key for key in keys if key.activates_at <= now and is_published(key, now)]
    return max(begun, key=_order_of, default=None)


def _order_of(key: SigningKey | OAuthSigningKey) -> tuple[datetime, datetime, str]:
    # Of two that begin at the same moment, the one that another takes the place of later.
    return key.activates_at, key.retires_at or _NEVER, key.kid


def state_of(key: SigningKey, keys: Sequence[SigningKey], now: datetime) -> KeyState:
    """Return what a published key is good for."""
    if key.activates_at > now:
        return "next"
    return "active" if key is find_active(keys, now) else "retired"


async def read_rows(session: ReadSession | WriteSession) -> list[OAuthSigningKey]:
    """Return all rows, the one that signs last first."""
    statement = select(OAuthSigningKey).order_by(
        OAuthSigningKey.activates_at.desc(), OAuthSigningKey.kid.desc()
    )
    return list(await session.scalars(statement.execution_options(populate_existing=True)))


def make_row(
    key: PrivateKey, *, algorithm: Algorithm, ring: KeyRing, now: datetime, notice: timedelta
) -> OAuthSigningKey:
    """Return a new key as it is stored, which signs after `notice`."""
    kid = key.thumbprint()
    own = {"kid": kid, "use": "sig", "alg": algorithm}
    private = json.dumps({**key.as_dict(private=True), **own})
    return OAuthSigningKey(
        kid=kid,
        algorithm=algorithm,
        public_jwk={**key.as_dict(private=False), **own},
        private_jwk=ring.encrypt(private, owner=_owner_of(kid)),
        created_at=now,
        activates_at=now + notice,
        retires_at=None,
    )


def read_keys(rows: Sequence[OAuthSigningKey], *, ring: KeyRing, now: datetime) -> list[SigningKey]:
    """Return those of keys that are published, with the private halves of those that sign, or will.

    Raises:
        UndecryptableError: If one was encrypted with a secret that the service has not any more.
    """
    active = find_active(rows, now)
    return [
        _read_key(row, ring=ring, signs=row is active or row.activates_at > now)
        for row in rows
        if is_published(row, now)
    ]


def _read_key(row: OAuthSigningKey, *, ring: KeyRing, signs: bool) -> SigningKey:
    kind = ECKey if row.algorithm == "ES256" else RSAKey
    private = None
    if signs:
        text = ring.decrypt(row.private_jwk, owner=_owner_of(row.kid))
        private = kind.import_key(json.loads(text))
    return SigningKey(
        kid=row.kid,
        algorithm=cast("Algorithm", row.algorithm),
        jwk=row.public_jwk,
        public=kind.import_key(row.public_jwk),
        private=private,
        created_at=row.created_at,
        activates_at=row.activates_at,
        retires_at=row.retires_at,
    )


def _owner_of(kid: str) -> str:
    return f"signing key {kid}"
