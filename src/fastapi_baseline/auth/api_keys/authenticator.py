"""Keys of programs, as a way to say who one is."""

from typing import Any

from starlette.requests import HTTPConnection

from fastapi_baseline.auth.api_keys.errors import InvalidApiKeyError, RepeatedApiKeyError
from fastapi_baseline.auth.api_keys.service import ApiKeys
from fastapi_baseline.auth.challenges import make_challenge
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.security_events import (
    LogSecurityEvents,
    SecurityEvent,
    SecurityEvents,
)
from fastapi_baseline.settings import ApiKeySettings


class ApiKeyAuthenticator:
    """Accepts keys in a header of their own, and nowhere else: URLs end up in logs."""

    scheme_name = "apiKey"

    def __init__(
        self,
        keys: ApiKeys,
        *,
        settings: ApiKeySettings | None = None,
        events: SecurityEvents | None = None,
    ) -> None:
        """Accept the keys of `keys`; `events` are told which were not good, by default the log."""
        self._keys = keys
        self._events = events or LogSecurityEvents()
        self._header = (settings or ApiKeySettings()).header
        # No scheme is registered for keys, and a 401 must have a challenge (RFC 9110, 15.5.2).
        self.challenge = make_challenge("ApiKey", header=self._header)
        self._refusal = make_challenge("ApiKey", header=self._header, error="invalid_key")

    @property
    def scheme(self) -> dict[str, Any]:
        """Return the security scheme object of OpenAPI."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": self._header,
            "description": "A key that this service has issued.",
        }

    def is_offered(self, connection: HTTPConnection) -> bool:
        """Return whether a request has a key, good or bad."""
        return self._header in connection.headers

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        """Return who sends a key.

        Raises:
            RepeatedApiKeyError: If there is more than one.
            InvalidApiKeyError: If it is not good.
            UnavailableError: If it has to be looked up, and the database does not answer.
        """
        keys = connection.headers.getlist(self._header)
        if len(keys) != 1:
            raise RepeatedApiKeyError
        try:
            return await self._keys.authenticate(keys[0])
        except InvalidApiKeyError as error:
            error.challenge = self._refusal
            details = {} if error.key_id is None else {"key_id": error.key_id}
            await self._events.record(
                SecurityEvent(
                    name="api_key_refused",
                    outcome="failure",
                    details={"reason": error.reason, **details},
                )
            )
            raise
