"""What a route says about who may use it, in words that all features understand.

A dependency decides about access if it has the attribute `decides_access`, which is true; a route
that needs none is marked `public`. A route with neither has been forgotten.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

MarkedT = TypeVar("MarkedT", bound=Callable[..., Any])

_PUBLIC = "__fastapi_baseline_public__"
_DECIDES = "decides_access"


def public(endpoint: MarkedT) -> MarkedT:
    """Mark what answers requests as meant for everybody, and return it as it is.

        @router.get("/prices")
        @public
        async def list_prices() -> list[Price]: ...

    An application to be mounted can be marked, too: `app.mount("/files", public(StaticFiles(...)))`.
    It is a mark only: whoever is refused by a dependency of the route stays refused.
    """
    setattr(endpoint, _PUBLIC, True)
    return endpoint


@public
async def anybody() -> None:
    """Let everybody in: a dependency that marks what has it as `public`.

    It is for routers whose functions somebody else wrote, and for frontends:
    `app.include_router(router, dependencies=[Depends(anybody)])`.
    """


def deciding(dependency: MarkedT) -> MarkedT:
    """Mark a function that lets some in and others not, and return it as it is.

        @deciding
        async def check_signature(request: Request) -> None: ...

    What depends on one that is marked need not be, and nor need what finds out who is asking.
    """
    setattr(dependency, _DECIDES, True)
    return dependency


def is_public(endpoint: object) -> bool:
    """Return whether what answers requests is marked as meant for everybody."""
    while isinstance(endpoint, partial):
        endpoint = endpoint.func
    return getattr(endpoint, _PUBLIC, False) is True


def decides_access(dependency: object) -> bool:
    """Return whether a dependency lets some in and others not.

    A class does not: to depend on it makes an object of it, and asks that nothing.
    """
    return not isinstance(dependency, type) and getattr(dependency, _DECIDES, False) is True
