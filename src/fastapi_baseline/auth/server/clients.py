"""The programs that may ask for tokens: who they are, and what each may."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic import SecretStr
from sqlalchemy import delete, select

from fastapi_baseline.auth.security_events import SecurityEvent, SecurityEvents
from fastapi_baseline.auth.server.client_checks import check_client
from fastapi_baseline.auth.server.client_descriptions import ClientDescription
from fastapi_baseline.auth.server.digests import SECRET_PREFIX, digest_of, make_secret
from fastapi_baseline.auth.server.errors import (
    ClientExistsError,
    ClientNotFoundError,
    InvalidClientDescriptionError,
)
from fastapi_baseline.auth.server.models import ClientAuthMethod, OAuthClient
from fastapi_baseline.clock import Clock
from fastapi_baseline.persistence import Database, WriteSession

__all__ = [
    "OVERLAP",
    "ClientDescription",
    "ClientRegistry",
    "RegisteredClient",
    "is_storable",
]

OVERLAP = timedelta(days=1)
"""How long a secret is good after it was changed."""

_ID_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredClient:
    """A client that was just added or changed. Show `secret` now: nobody can do so again."""

    client: OAuthClient
    secret: SecretStr | None = None
    """None of a client that has none: a public one, or one with keys of its own."""


class ClientRegistry:
    """The clients of a server, which only its operators add: there is no open registration.

    Each method has a transaction of its own.
    """

    def __init__(
        self,
        database: Database,
        *,
        scopes: Sequence[str],
        clock: Clock,
        events: SecurityEvents,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Keep clients in `database`, that may ask for some of `scopes`."""
        self._database = database
        self._scopes = frozenset(scopes)
        self._clock = clock
        self._events = events
        self._token_bytes = token_bytes

    async def add(self, description: ClientDescription) -> RegisteredClient:
        """Add a client.

        Raises:
            InvalidClientDescriptionError: If it would not be safe, or could do nothing.
            ClientExistsError: If there is one with that identifier.
        """
        check_client(description, known_scopes=self._scopes)
        # It begins with a letter, and so is no subject of a user.
        client_id = description.client_id or f"c{self._token_bytes(_ID_BYTES).hex()}"
        secret = self._make_secret() if _has_secret(description.auth_method) else None
        client = OAuthClient(
            client_id=client_id,
            name=description.name.strip(),
            auth_method=description.auth_method,
            secret_digest=None if secret is None else digest_of(secret),
            jwks=None if description.jwks is None else dict(description.jwks),
            grant_types=sorted(set(description.grant_types)),
            redirect_uris=list(dict.fromkeys(description.redirect_uris)),
            post_logout_redirect_uris=list(dict.fromkeys(description.post_logout_redirect_uris)),
            scopes=sorted(set(description.scopes)),
            audiences=list(dict.fromkeys(description.audiences)),
            is_first_party=description.is_first_party,
            may_introspect=description.may_introspect,
            created_at=self._clock.now(),
        )
        async with self._database.transaction() as session:
            if await session.get(OAuthClient, client_id) is not None:
                raise ClientExistsError
            session.add(client)
        await self._record(client_id, "added")
        return RegisteredClient(client=client, secret=None if secret is None else SecretStr(secret))

    async def list(self) -> Sequence[OAuthClient]:
        """Return all clients, by identifier."""
        async with self._database.read_transaction() as session:
            found = await session.scalars(select(OAuthClient).order_by(OAuthClient.client_id))
            return found.all()

    async def find(self, client_id: str) -> OAuthClient | None:
        """Return a client, or `None`; also for an identifier that no client can have."""
        async with self._database.read_transaction() as session:
            return await session.get(OAuthClient, client_id) if is_storable(client_id) else None

    async def get(self, client_id: str) -> OAuthClient:
        """Return a client.

        Raises:
            ClientNotFoundError: If there is none.
        """
        found = await self.find(client_id)
        if found is None:
            raise ClientNotFoundError
        return found

    async def rotate_secret(
        self, client_id: str, *, overlap: timedelta = OVERLAP
    ) -> RegisteredClient:
        """Give a client a new secret; the one it has is good for `overlap` longer, at most two are.

        Raises:
            ClientNotFoundError: If there is none.
            InvalidClientDescriptionError: If it has no secret: it is public, or has keys of its own.
        """
        secret, now = self._make_secret(), self._clock.now()
        async with self._database.transaction() as session:
            client = await _get(session, client_id)
            if client.secret_digest is None:
                raise InvalidClientDescriptionError("The client has no secret to change.")
            keeps = overlap > timedelta(0)
            client.previous_secret_digest = client.secret_digest if keeps else None
            client.previous_secret_expires_at = now + overlap if keeps else None
            client.secret_digest = digest_of(secret)
        await self._record(client_id, "secret_rotated")
        return RegisteredClient(client=client, secret=SecretStr(secret))

    async def remove(self, client_id: str) -> None:
        """Remove a client, and all that it was granted: its refresh tokens are worth nothing.

        Raises:
            ClientNotFoundError: If there is none.
        """
        async with self._database.transaction() as session:
            await _get(session, client_id)
            # What it was granted goes with it, by its foreign keys.
            await session.execute(delete(OAuthClient).where(OAuthClient.client_id == client_id))
        await self._record(client_id, "removed")

    def _make_secret(self) -> str:
        return make_secret(SECRET_PREFIX, token_bytes=self._token_bytes)

    async def _record(self, client_id: str, change: str) -> None:
        details = {"client": client_id, "change": change}
        await self._events.record(
            SecurityEvent(name="client_changed", outcome="success", details=details)
        )


def is_storable(text: str) -> bool:
    """Return whether a text can be looked up in every database."""
    return text.isascii() and text.isprintable()


def _has_secret(method: ClientAuthMethod) -> bool:
    return method in {"client_secret_basic", "client_secret_post"}


async def _get(session: WriteSession, client_id: str) -> OAuthClient:
    client = (
        await session.get(OAuthClient, client_id, with_for_update=True)
        if is_storable(client_id)
        else None
    )
    if client is None:
        raise ClientNotFoundError
    return client
