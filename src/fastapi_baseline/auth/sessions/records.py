"""What is kept of a session, at the side of the service."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

from fastapi_baseline.auth.principals import Principal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Owner(NamedTuple):
    """Whose sessions are meant: both together say who somebody is."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One session: whose it is, how they signed in, and when it ends.

    `id` is to show and to revoke; it does not let anybody in. What does is not kept at all: stores
    know a session by the SHA-256 of what is in the cookie.
    """

    id: str
    issuer: str
    subject: str
    client_id: str | None = None
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    auth_time: datetime | None = None
    acr: str | None = None
    amr: frozenset[str] = frozenset()
    created_at: datetime
    last_seen_at: datetime
    """When it was last used, or up to a minute before."""
    expires_at: datetime
    """When it ends, however much it is used."""
    user_agent: str | None = None
    address: str | None = None

    @property
    def owner(self) -> Owner:
        """Return whose session it is."""
        return Owner(self.issuer, self.subject)

    def has_ended(self, now: datetime, *, idle_timeout: timedelta) -> bool:
        """Return whether it is over, or was not used for `idle_timeout`; at its end it is over."""
        return now >= self.expires_at or now - self.last_seen_at >= idle_timeout

    def as_principal(self) -> Principal:
        """Return who somebody is who has this session."""
        return Principal(
            issuer=self.issuer,
            subject=self.subject,
            transport="session",
            client_id=self.client_id,
            scopes=self.scopes,
            roles=self.roles,
            auth_time=self.auth_time,
            acr=self.acr,
            amr=self.amr,
            session_id=self.id,
            expires_at=self.expires_at,
        )

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(
            {
                "id": self.id,
                "issuer": self.issuer,
                "subject": self.subject,
                "client_id": self.client_id,
                "scopes": sorted(self.scopes),
                "roles": sorted(self.roles),
                "auth_time": None if self.auth_time is None else to_microseconds(self.auth_time),
                "acr": self.acr,
                "amr": sorted(self.amr),
                "created_at": to_microseconds(self.created_at),
                "last_seen_at": to_microseconds(self.last_seen_at),
                "expires_at": to_microseconds(self.expires_at),
                "user_agent": self.user_agent,
                "address": self.address,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str | bytes, **changed: Any) -> Self:
        """Return what `to_json` made a text of, with what has `changed` since.

        Raises:
            ValueError: If it is no such text.
        """
        try:
            values: Mapping[str, Any] = json.loads(text)
            auth_time: int | None = values["auth_time"]
            read: dict[str, Any] = {
                **values,
                "scopes": frozenset(values["scopes"]),
                "roles": frozenset(values["roles"]),
                "amr": frozenset(values["amr"]),
                "auth_time": None if auth_time is None else from_microseconds(auth_time),
                "created_at": from_microseconds(values["created_at"]),
                "last_seen_at": from_microseconds(values["last_seen_at"]),
                "expires_at": from_microseconds(values["expires_at"]),
            }
            return cls(**read | changed)
        except (KeyError, TypeError) as error:
            raise ValueError("This is no session.") from error


def to_microseconds(moment: datetime) -> int:
    """Return a moment as the microseconds since 1970, which doubles tell apart until 2255."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Return the moment that is so many microseconds after the beginning of 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)
