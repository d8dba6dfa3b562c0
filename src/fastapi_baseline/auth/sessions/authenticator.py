"""Who is asking, by the cookie of a session."""

from typing import Any

from starlette.requests import HTTPConnection

from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.sessions.errors import CsrfError, SessionEndedError
from fastapi_baseline.auth.sessions.service import Sessions


class SessionAuthenticator:
    """An `Authenticator` for those who have signed in with a browser.

    What changes something must show that it comes from a page of the service, too: by its header,
    or by the token of a form.
    """

    scheme_name = "session"

    def __init__(self, sessions: Sessions) -> None:
        """Look into `sessions`."""
        self._sessions = sessions

    @property
    def scheme(self) -> dict[str, Any]:
        """Return the security scheme object of OpenAPI."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": self._sessions.cookie.name,
            "description": (
                "The session of a browser. Requests that change something also have the header "
                f"`{self._sessions.csrf.header}`, with any value."
            ),
        }

    @property
    def challenge(self) -> str | None:
        """Return what says that a session is needed.

        A 401 must have a challenge (RFC 9110, section 15.5.2), and none is registered for cookies;
        browsers pass over schemes that they do not know.
        """
        return f'Cookie cookie-name="{self._sessions.cookie.name}"'

    def is_offered(self, connection: HTTPConnection) -> bool:
        """Return whether a request has the cookie."""
        return self._sessions.cookie.is_in(connection)

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        """Return whose session it is.

        Raises:
            AmbiguousSessionError: If there are two cookies.
            CsrfError: If the request changes something, and may have been made by another site.
            SessionEndedError: If it has ended, or never was one.
            SessionsUnavailableError: If the store does not answer.
        """
        sessions = self._sessions
        secret = sessions.cookie.find(connection)
        if secret is None:
            raise SessionEndedError(challenge=self.challenge)
        try:
            await sessions.csrf.check_session(connection, secret=secret)
        except CsrfError:
            await sessions.report_csrf()
            raise
        record = await sessions.find(secret)
        if record is None:
            raise SessionEndedError(challenge=self.challenge)
        return record.as_principal()
