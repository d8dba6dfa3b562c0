"""The ways to say who one is that an application has."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from starlette.requests import HTTPConnection

from fastapi_baseline import context
from fastapi_baseline.auth.challenges import LAST_RESORT, join_challenges
from fastapi_baseline.auth.errors import AmbiguousCredentialsError
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.security_events import LogSecurityEvents, SecurityEvents
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import UnauthenticatedError

_IN_AUTHORIZATION = frozenset({"http", "oauth2", "openIdConnect"})
_AUTHORIZATION = b"authorization"


class Authenticator(Protocol):
    """One way to say who one is.

    One for which OpenAPI has several schemes is a `HasSecuritySchemes`, too.
    """

    @property
    def scheme_name(self) -> str:
        """Return what OpenAPI calls it."""
        ...

    @property
    def scheme(self) -> dict[str, Any]:
        """Return the security scheme object of OpenAPI."""
        ...

    @property
    def challenge(self) -> str | None:
        """Return what `WWW-Authenticate` says to those who did not say it; `None`: nothing."""
        ...

    def is_offered(self, connection: HTTPConnection) -> bool:
        """Return whether a request has credentials of this kind, good or bad."""
        ...

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        """Return who it is.

        Raises:
            UnauthenticatedError: If the credentials are not good; its `challenge` says so.
            UnavailableError: If nobody can tell at the moment.
        """
        ...


@runtime_checkable
class HasSecuritySchemes(Protocol):
    """An authenticator for which OpenAPI has several schemes, as to paste a token and to get one."""

    @property
    def security_schemes(self) -> Mapping[str, dict[str, Any]]:
        """Return the security scheme objects by their names; each of them is enough."""
        ...


class Authentication:
    """All ways of an application, in the order in which they are offered."""

    def __init__(
        self,
        authenticators: Sequence[Authenticator],
        *,
        clock: Clock | None = None,
        events: SecurityEvents | None = None,
    ) -> None:
        """Accept each of these; `events` are told who was refused what, by default the log."""
        self.authenticators = tuple(authenticators)
        self.clock = clock or SystemClock()
        self.events = events or LogSecurityEvents()

    @property
    def challenge(self) -> str:
        """Return what offers all ways to those who did not say who they are."""
        return join_challenges(one.challenge for one in self.authenticators)

    async def authenticate(self, connection: HTTPConnection) -> Principal | None:
        """Return who it is, or `None` if the request does not say.

        Raises:
            AmbiguousCredentialsError: If it says so in more than one way.
            UnauthenticatedError: If what it says is not good.
            UnavailableError: If nobody can tell at the moment.
        """
        authorizations = 0
        for name, _ in connection.scope["headers"]:
            if name == _AUTHORIZATION:
                authorizations += 1
        offered = [one for one in self.authenticators if one.is_offered(connection)]
        if len(offered) > 1 or authorizations > 1:
            raise AmbiguousCredentialsError
        if not offered:
            return None
        [authenticator] = offered
        if authorizations and not _is_in_authorization(authenticator.scheme):
            # Whoever sent it meant it: it must not be overruled by a cookie that came by itself.
            raise AmbiguousCredentialsError
        try:
            principal = await authenticator.authenticate(connection)
        except UnauthenticatedError as error:
            error.challenge = error.challenge or self.challenge
            raise
        current = context.current()
        if current is not None:
            current.principal = principal
        return principal

    def find_challenge(self, connection: HTTPConnection) -> str:
        """Return the challenge of the way in which a request has said who it is."""
        for authenticator in self.authenticators:
            if authenticator.is_offered(connection):
                return authenticator.challenge or LAST_RESORT
        return LAST_RESORT


def _is_in_authorization(scheme: Mapping[str, Any]) -> bool:
    """Return whether credentials of a scheme are in the header `Authorization`."""
    if scheme["type"] == "apiKey":
        return scheme["in"] == "header" and scheme["name"].lower() == "authorization"
    return scheme["type"] in _IN_AUTHORIZATION
