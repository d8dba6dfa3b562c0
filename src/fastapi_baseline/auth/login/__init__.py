"""Signing people in with OpenID providers: they get a session, and their tokens stay in the service.

`make_login` makes it of the settings, and `make_login_router` the routes. The names below are
imported when they are first used.
"""

from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily

if TYPE_CHECKING:
    from fastapi_baseline.auth.login.access_tokens import ProviderAccessToken, get_access_token
    from fastapi_baseline.auth.login.accounts import Accounts, AllAccounts, Identity
    from fastapi_baseline.auth.login.api_proxy import make_api_proxy_router
    from fastapi_baseline.auth.login.application import Login, make_login
    from fastapi_baseline.auth.login.database import DatabaseLoginStore
    from fastapi_baseline.auth.login.errors import (
        LoginProviderNotFoundError,
        LoginRefusedError,
        ProviderUnavailableError,
    )
    from fastapi_baseline.auth.login.memory import MemoryLoginStore
    from fastapi_baseline.auth.login.opening import make_login_store
    from fastapi_baseline.auth.login.provider_sessions import ProviderSession, ProviderSessions
    from fastapi_baseline.auth.login.redis import RedisLoginStore
    from fastapi_baseline.auth.login.refreshing import TokenRefresher
    from fastapi_baseline.auth.login.routes import make_login_router
    from fastapi_baseline.auth.login.session_errors import (
        ProviderTokensEndedError,
        ProviderTokensMissingError,
    )
    from fastapi_baseline.auth.login.store import LoginStore

__all__ = [
    "Accounts",
    "AllAccounts",
    "DatabaseLoginStore",
    "Identity",
    "Login",
    "LoginProviderNotFoundError",
    "LoginRefusedError",
    "LoginStore",
    "MemoryLoginStore",
    "ProviderAccessToken",
    "ProviderSession",
    "ProviderSessions",
    "ProviderTokensEndedError",
    "ProviderTokensMissingError",
    "ProviderUnavailableError",
    "RedisLoginStore",
    "TokenRefresher",
    "get_access_token",
    "make_api_proxy_router",
    "make_login",
    "make_login_router",
    "make_login_store",
]

_HOMES = {
    "Accounts": "accounts",
    "AllAccounts": "accounts",
    "DatabaseLoginStore": "database",
    "Identity": "accounts",
    "Login": "application",
    "LoginProviderNotFoundError": "errors",
    "LoginRefusedError": "errors",
    "LoginStore": "store",
    "MemoryLoginStore": "memory",
    "ProviderAccessToken": "access_tokens",
    "ProviderSession": "provider_sessions",
    "ProviderSessions": "provider_sessions",
    "ProviderTokensEndedError": "session_errors",
    "ProviderTokensMissingError": "session_errors",
    "ProviderUnavailableError": "errors",
    "RedisLoginStore": "redis",
    "TokenRefresher": "refreshing",
    "get_access_token": "access_tokens",
    "make_api_proxy_router": "api_proxy",
    "make_login": "application",
    "make_login_router": "routes",
    "make_login_store": "opening",
}

__getattr__, __dir__ = export_lazily(__name__, _HOMES)
