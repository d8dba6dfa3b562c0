"""The tokens that a provider gives the service for somebody."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from fastapi_baseline.auth.login.errors import ProviderUnavailableError

_MAX_LIFETIME = timedelta(days=3650)
_MAX_LENGTH = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderTokens:
    """Tokens of one person. They stay in the service; no page gets to see them.

    `expires_at` is when the access token ends, if the provider says so. After a refresh, there is
    a `refresh_token` only if it is a new one.
    """

    access_token: str = field(repr=False)
    expires_at: datetime | None
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    scope: str | None = None

    @classmethod
    def read(cls, answer: Mapping[str, Any], *, now: datetime) -> Self:
        """Return what a provider has answered (RFC 6749, section 5.1).

        Raises:
            ProviderUnavailableError: If that is nothing that can be used.
        """
        access_token = _read_text(answer, "access_token")
        kind = _read_text(answer, "token_type")
        if access_token is None or kind is None or kind.lower() != "bearer":
            # Others have to be proven with a key (RFC 6749, section 7.1): they must not be sent.
            raise ProviderUnavailableError
        return cls(
            access_token=access_token,
            expires_at=_read_end(answer, now),
            refresh_token=_read_text(answer, "refresh_token"),
            id_token=_read_text(answer, "id_token"),
            scope=_read_text(answer, "scope"),
        )


def _read_text(answer: Mapping[str, Any], name: str) -> str | None:
    value: object = answer.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 <= len(value) <= _MAX_LENGTH or not value.isprintable():
        raise ProviderUnavailableError
    return value or None


def _read_end(answer: Mapping[str, Any], now: datetime) -> datetime | None:
    seconds: object = answer.get("expires_in")
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdigit():
        # Some providers write it as text.
        seconds = int(seconds[:12])
    if seconds is None:
        return None
    longest = _MAX_LIFETIME.total_seconds()
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not seconds >= 0:
        raise ProviderUnavailableError
    return now + timedelta(seconds=min(seconds, longest))
