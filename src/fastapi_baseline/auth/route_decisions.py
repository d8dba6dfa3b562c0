"""Whether every route of an application has decided who may use it.

A route that neither asks who is asking nor is marked `public` was forgotten, and everybody can use
it. That is found before the first request.
"""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi_baseline.auth.authentication import Authentication
from fastapi_baseline.auth.dependencies import AROUND
from fastapi_baseline.auth.routes import RouteName, access_routes_of, mounted_apps_of
from fastapi_baseline.errors import BaselineError, ConfigurationError

__all__ = [
    "RouteName",
    "check_authenticators",
    "check_route_decisions",
    "find_guarded_public",
    "find_undecided",
    "prepare_mounted_apps",
]

logger = logging.getLogger("fastapi_baseline.auth")


def find_undecided(app: Any) -> list[RouteName]:
    """Return the routes that neither ask who is asking nor are marked as meant for everybody."""
    return [
        route.name
        for route in access_routes_of(app)
        if not route.is_guarded and not route.is_public
    ]


def find_guarded_public(app: Any) -> list[RouteName]:
    """Return the routes that are marked as meant for everybody, and refuse some all the same.

    The guard holds. Often it is one of their router, which was forgotten when they were marked.
    """
    return [route.name for route in access_routes_of(app) if route.is_guarded and route.is_public]


def check_route_decisions(app: Any, *, refuse: bool) -> None:
    """Refuse an application some of whose routes were forgotten, or warn of them.

    Scopes that are given to FastAPI's `Security`, and that nothing reads, are refused always: the
    route would look guarded.

    Raises:
        ConfigurationError: If there are any; the message names each.
    """
    _check_scopes_are_read(app)
    contradictory = find_guarded_public(app)
    if contradictory:
        logger.warning(
            "%s marked as public, and guarded all the same:%s",
            _count(contradictory, "route is", "routes are"),
            _list(contradictory),
        )
    undecided = find_undecided(app)
    if not undecided:
        return
    message = (
        f"{_count(undecided, 'route does', 'routes do')} not say who may use it. Give each a guard "
        f"such as CurrentPrincipal or RequireScopes, or mark it @public:{_list(undecided)}"
    )
    if refuse:
        raise ConfigurationError(message)
    logger.warning("%s", message)


def check_authenticators(app: Any, *, refuse: bool) -> None:
    """Refuse an application with guards and no way to pass them, or warn of it.

    Raises:
        ConfigurationError: If there is no way to say who one is, and a route asks for it.
    """
    found = getattr(app.state, "authentication", None)
    if isinstance(found, Authentication) and found.authenticators:
        return
    guarded = [route.name for route in access_routes_of(app) if route.asks_who]
    if not guarded:
        return
    message = (
        f"{_count(guarded, 'route asks', 'routes ask')} who is asking, and there is no way to say "
        "so: set AUTH__ISSUER, AUTH__API_KEYS__ENABLED or AUTH__SESSIONS__ENABLED."
    )
    if refuse:
        raise ConfigurationError(message)
    logger.warning("%s", message)


def prepare_mounted_apps(app: Any) -> None:
    """Let guards work in mounted applications as they do in the one around.

    Those that have no authentication of their own share its, and those that do not answer errors of
    the library answer them as it does. Call it before the first request: later, they do not look.
    """
    handler = app.exception_handlers.get(BaselineError)
    for mounted in mounted_apps_of(app):
        if hasattr(mounted, "state"):
            setattr(mounted.state, AROUND, app)
        handlers = getattr(mounted, "exception_handlers", None)
        if handlers is not None and handler is not None:
            handlers.setdefault(BaselineError, handler)


def _check_scopes_are_read(app: Any) -> None:
    unread = [route for route in access_routes_of(app) if route.unread_scopes]
    if unread:
        named = _list([f"{route.name}: {' '.join(route.unread_scopes)}" for route in unread])
        raise ConfigurationError(
            "Scopes that are given to Security() are not checked. Use "
            f"Depends(RequireScopes(all=[...])):{named}"
        )


def _count(found: Sequence[object], one: str, several: str) -> str:
    return f"{len(found)} {one if len(found) == 1 else several}"


def _list(found: Sequence[object]) -> str:
    return "".join(f"\n  {one}" for one in found)
