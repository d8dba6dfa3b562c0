"""Who is asking."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Transport = Literal["bearer", "api_key", "session"]
"""How a principal came: with a token, with a key of the service's own, or with a cookie."""

SELF = "self"
"""The issuer of those whom the service knows itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is asking, and what is known of them because it was verified.

    Only `issuer` and `subject` together say who it is (OpenID Connect Core, section 2): other
    issuers may have the same subjects, and an address of e-mail may change hands. `client_id` is the
    program that asks for them; a program that asks for itself is its own subject. `auth_time` is
    when they last proved who they are, `acr` and `amr` how well and by what (RFC 8176).

    As text, it is what caches, limits and the columns `created_by` tell principals apart by.
    """

    issuer: str
    subject: str
    transport: Transport
    client_id: str | None = None
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    auth_time: datetime | None = None
    acr: str | None = None
    amr: frozenset[str] = frozenset()
    session_id: str | None = None
    """Which session of theirs this is: an identifier to show and to revoke, not what proves it."""
    expires_at: datetime | None = None
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False, repr=False)
    """All that was verified, as it came."""

    def __str__(self) -> str:
        """Return a text that no other principal has."""
        if self.issuer == SELF and "|" not in self.subject:
            return self.subject
        return f"{self.issuer}|{self.subject}"
