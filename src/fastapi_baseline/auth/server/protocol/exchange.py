"""One request for tokens: what it reads and writes, all in one transaction."""

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy.orm import Session
from sqlalchemy.util import await_only

from fastapi_baseline.auth.challenges import is_scope
from fastapi_baseline.auth.security_events import Outcome, SecurityEvent, SecurityEventName
from fastapi_baseline.auth.server.digests import MAX_LENGTH
from fastapi_baseline.auth.server.errors import InvalidScopeError
from fastapi_baseline.auth.server.models import OAuthClient, OAuthGrant, RevocationReason
from fastapi_baseline.auth.server.protocol.client_proofs import ClientCredentials, authenticate
from fastapi_baseline.auth.server.protocol.services import ProtocolServices
from fastapi_baseline.persistence import WriteSession

_T = TypeVar("_T")


@dataclass(slots=True, kw_only=True)
class Exchange:
    """The work of one request, in a greenlet that SQLAlchemy has made for it.

    Authlib calls it, and is not asynchronous; what it waits for, the event loop does meanwhile.
    `events` are recorded when the transaction is committed, and so is what a refusal leaves behind.
    """

    services: ProtocolServices
    session: Session
    transaction: WriteSession
    credentials: ClientCredentials
    now: datetime
    events: list[SecurityEvent] = field(default_factory=list[SecurityEvent])

    def authenticate(self) -> OAuthClient:
        """Return the client that is asking.

        Raises:
            InvalidClientError: If it is not known which one it is.
        """
        return authenticate(
            self.session,
            self.credentials,
            audiences=self.services.assertion_audiences,
            now=self.now,
        )

    def revoke(self, grant: OAuthGrant, reason: RevocationReason) -> None:
        """End a grant, whose row is locked."""
        if grant.revoked_at is None:
            grant.revoked_at, grant.revoked_because = self.now, reason
            self.note("grant_revoked", subject=grant.subject, grant=grant.id, reason=reason)

    def note(
        self,
        name: SecurityEventName,
        *,
        outcome: Outcome = "success",
        subject: str | None = None,
        **details: str,
    ) -> None:
        """Record an event when the transaction is committed."""
        self.events.append(
            SecurityEvent(name=name, outcome=outcome, subject=subject, details=details)
        )

    def note_use(
        self, grant: OAuthGrant, name: SecurityEventName, *, outcome: Outcome = "success"
    ) -> None:
        """Record that somebody has used what a grant's client was given, or has tried to."""
        self.note(
            name,
            outcome=outcome,
            subject=grant.subject,
            client=grant.client_id,
            grant=grant.id,
        )

    def wait(self, awaitable: Awaitable[_T]) -> _T:
        """Return what somebody else does, who is asynchronous."""
        return await_only(awaitable)


def read_scopes(text: str | None) -> list[str]:
    """Return the scopes that a request asks for, each once.

    Raises:
        InvalidScopeError: If one of them cannot be one.
    """
    scopes = [] if text is None else text.split(" ")
    if not all(is_scope(scope) for scope in scopes):
        raise InvalidScopeError
    return list(dict.fromkeys(scopes))


def are_covered(scopes: Iterable[str], granted: Iterable[str]) -> bool:
    """Return whether nothing is asked for that was not granted."""
    return set(scopes) <= set(granted)


def is_storable_secret(text: str) -> bool:
    """Return whether a text may be one that was given out, and can be looked up."""
    return len(text) <= MAX_LENGTH and text.isascii() and text.isprintable()
