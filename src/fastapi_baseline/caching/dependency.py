"""How the routes of an application come by its cache."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.errors import ConfigurationError


# It waits for nothing, but a plain function would be run in a thread.
async def get_cache(connection: HTTPConnection) -> Cache:
    """Return the cache of the application that answers a request.

    Raises:
        ConfigurationError: If it has none.
    """
    cache = getattr(connection.app.state, "cache", None)
    if not isinstance(cache, Cache):
        raise ConfigurationError(
            "The application has no cache: create_app() and install() make one if the extra "
            "'cache' is installed."
        )
    return cache


AppCache = Annotated[Cache, Depends(get_cache)]
"""The cache of the application, as a parameter of a route."""
