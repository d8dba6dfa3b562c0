"""The keys of an application, for the routes that issue and revoke them."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from fastapi_baseline.auth.api_keys.service import ApiKeys
from fastapi_baseline.errors import ConfigurationError


async def get_api_keys(connection: HTTPConnection) -> ApiKeys:
    """Return the keys of the application that answers a request.

    Raises:
        ConfigurationError: If it has none.
    """
    found: object = getattr(connection.scope["app"].state, "api_keys", None)
    if not isinstance(found, ApiKeys):
        raise ConfigurationError("The application has no API keys: set AUTH__API_KEYS__ENABLED.")
    return found


CurrentApiKeys = Annotated[ApiKeys, Depends(get_api_keys)]
"""The keys of the application; it says nothing of who may use them."""
