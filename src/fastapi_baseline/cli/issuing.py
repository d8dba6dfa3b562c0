"""The authorization server of a service, opened for one command."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi_baseline.auth.encryption import make_key_ring
from fastapi_baseline.auth.security_events import LogSecurityEvents
from fastapi_baseline.auth.server import AuthorizationServer, make_authorization_server
from fastapi_baseline.cli.console import without_log
from fastapi_baseline.cli.run import Target, get_settings
from fastapi_baseline.clock import SystemClock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings import Settings

T = TypeVar("T")


def with_server(target: Target, use: Callable[[AuthorizationServer], Coroutine[Any, Any, T]]) -> T:
    """Return what `use` returns of the authorization server of an application.

    Raises:
        ConfigurationError: If it issues no tokens, or has no database.
    """
    with without_log():
        settings = get_settings(target)
        if not settings.auth.server.enabled:
            raise ConfigurationError(
                f"{target.app!r} issues no tokens: set AUTH__SERVER__ENABLED=true."
            )
        return asyncio.run(_run(settings, use))


async def _run(
    settings: Settings, use: Callable[[AuthorizationServer], Coroutine[Any, Any, T]]
) -> T:
    database = Database.from_settings(settings)
    try:
        server = make_authorization_server(
            settings.auth,
            database=database,
            keys=make_key_ring(settings.auth.secret_keys, is_deployed=settings.is_deployed),
            clock=SystemClock(),
            events=LogSecurityEvents(),
        )
        return await use(server)
    finally:
        await database.dispose()
