"""What the protocol works with, as the application has joined it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi_baseline.auth.security_events import SecurityEvents
from fastapi_baseline.auth.server.owners import ResourceOwner
from fastapi_baseline.auth.sessions import Sessions
from fastapi_baseline.clock import Clock
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings.auth import AuthorizationServerSettings


class Signer(Protocol):
    """What signs tokens: `SigningKeys` does."""

    async def refresh(self) -> None:
        """Have a key to sign with."""
        ...

    def sign(self, claims: dict[str, Any], *, typ: str) -> str:
        """Return claims as a signed token."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolServices:
    """Who the server is, where it keeps what it issues, and who signs it."""

    issuer: str
    audiences: tuple[str, ...]
    """Whom access tokens are for, of clients for which nothing else is said."""
    assertion_audiences: frozenset[str]
    """What clients with keys of their own may call this server."""
    settings: AuthorizationServerSettings
    database: Database
    clock: Clock
    events: SecurityEvents
    signer: Signer
    find_owner: Callable[[str, Any], Awaitable[ResourceOwner | None]]
    """Return a user by subject, in a transaction."""
    sessions: Sessions | None
    token_bytes: Callable[[int], bytes]
