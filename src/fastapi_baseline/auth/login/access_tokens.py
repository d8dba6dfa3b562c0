"""The access token of whoever is asking, for what the service asks others in their name."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from fastapi_baseline.access import deciding
from fastapi_baseline.auth.dependencies import authentication_of, get_principal
from fastapi_baseline.auth.login.application import Login
from fastapi_baseline.auth.login.session_errors import ProviderTokensMissingError
from fastapi_baseline.errors import UnauthenticatedError


@deciding
async def get_access_token(connection: HTTPConnection) -> str:
    """Return the access token of whoever is asking, refreshed if it is about to end.

    It is for the API that the provider has issued it for. It must not be sent anywhere else, nor to
    the browser. On SQLite, ask for it before the route writes: new tokens are kept in a transaction
    of their own.

    Raises:
        UnauthenticatedError: If nobody is asking, or they must sign in again.
        ProviderTokensMissingError: If they have not signed in with a provider.
        UnavailableError: If the provider does not answer, or what keeps the tokens.
    """
    principal = await get_principal(connection)
    if principal.transport != "session":
        raise ProviderTokensMissingError
    try:
        return await Login.of(connection).refresher.get(principal)
    except UnauthenticatedError as error:
        error.challenge = error.challenge or authentication_of(connection).find_challenge(
            connection
        )
        raise


ProviderAccessToken = Annotated[str, Depends(get_access_token)]
"""The access token of whoever is asking by a session; others are refused (401, 403)."""
