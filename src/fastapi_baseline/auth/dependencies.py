"""Who is asking, as a dependency of whatever needs to know.

A request says it once: what was found out stays in its scope.
"""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from fastapi_baseline.access import deciding
from fastapi_baseline.auth.authentication import Authentication
from fastapi_baseline.auth.errors import CredentialsEndedError, CredentialsMissingError
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.errors import ConfigurationError

AROUND = "application_around"
"""What the state of a mounted application has: the one whose ways to say who one is it shares."""

_SCOPE_KEY = "fastapi_baseline.principal"
_ENDED_KEY = "fastapi_baseline.ended_credentials"


def authentication_of(connection: HTTPConnection) -> Authentication:
    """Return the ways to say who one is that an application has.

    Raises:
        ConfigurationError: If nobody has said which, so that nobody can be let in.
    """
    state = connection.app.state
    found = getattr(state, "authentication", None)
    if found is None and hasattr(state, AROUND):
        found = getattr(getattr(state, AROUND).state, "authentication", None)
    if not isinstance(found, Authentication):
        raise ConfigurationError(
            "A route asks who is asking, and the application has no Authentication, which "
            "create_app() and install() put into its state."
        )
    return found


async def find_principal(connection: HTTPConnection) -> Principal | None:
    """Return who is asking, or `None` if the request does not say, or by what has ended.

    Raises:
        AmbiguousCredentialsError: If it says so in more than one way.
        UnauthenticatedError: If what it says is not good.
        UnavailableError: If nobody can tell at the moment.
        ConfigurationError: If nobody has said which ways the application has.
    """
    scope = connection.scope
    if _SCOPE_KEY in scope:
        found: Principal | None = scope[_SCOPE_KEY]
        return found
    try:
        principal = await authentication_of(connection).authenticate(connection)
    except CredentialsEndedError as error:
        # Without where it comes from: that would hold on to the request, which holds on to it.
        principal, scope[_ENDED_KEY] = None, error.with_traceback(None)
    scope[_SCOPE_KEY] = principal
    return principal


@deciding
async def get_principal(connection: HTTPConnection) -> Principal:
    """Return who is asking.

    Raises:
        CredentialsMissingError: If the request does not say; it offers all ways to.
        AmbiguousCredentialsError: If it says so in more than one way.
        UnauthenticatedError: If what it says is not good.
        UnavailableError: If nobody can tell at the moment.
        ConfigurationError: If nobody has said which ways the application has.
    """
    principal = await find_principal(connection)
    if principal is None and _ENDED_KEY in connection.scope:
        raise connection.scope[_ENDED_KEY]
    if principal is None:
        raise CredentialsMissingError(challenge=authentication_of(connection).challenge)
    return principal


CurrentPrincipal = Annotated[Principal, Depends(get_principal)]
"""Who is asking; a request that does not say is refused (401)."""

OptionalPrincipal = Annotated[Principal | None, Depends(find_principal)]
"""Who is asking, or `None` if the request does not say; bad credentials are refused all the same.

A session that has ended is none: browsers keep sending its cookie.

It lets everybody in, so a route that has nothing else is to be marked `public`.
"""
