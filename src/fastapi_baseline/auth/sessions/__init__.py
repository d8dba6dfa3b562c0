"""Sessions of browsers, which the service keeps itself: a cookie, and what it stands for.

`make_sessions` makes them of the settings, and `make_sessions_router` the routes about them. The
names below are imported when they are first used: a service pays for its own backend only.
"""

from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily

if TYPE_CHECKING:
    from fastapi_baseline.auth.sessions.authenticator import SessionAuthenticator
    from fastapi_baseline.auth.sessions.cookies import SessionCookie
    from fastapi_baseline.auth.sessions.csrf import CsrfProtection
    from fastapi_baseline.auth.sessions.database import DatabaseSessionStore
    from fastapi_baseline.auth.sessions.errors import (
        AmbiguousSessionError,
        CsrfError,
        SessionEndedError,
        SessionNotFoundError,
        SessionRequiredError,
        SessionsUnavailableError,
    )
    from fastapi_baseline.auth.sessions.form_tokens import (
        FORM_FIELD,
        is_form_token,
        make_form_token,
    )
    from fastapi_baseline.auth.sessions.memory import MemorySessionStore
    from fastapi_baseline.auth.sessions.opening import make_sessions
    from fastapi_baseline.auth.sessions.records import Owner, SessionRecord
    from fastapi_baseline.auth.sessions.redis import RedisSessionStore
    from fastapi_baseline.auth.sessions.routes import (
        SessionPrincipal,
        make_sessions_router,
        require_own_page,
    )
    from fastapi_baseline.auth.sessions.service import Sessions
    from fastapi_baseline.auth.sessions.store import SessionStore

__all__ = [
    "FORM_FIELD",
    "AmbiguousSessionError",
    "CsrfError",
    "CsrfProtection",
    "DatabaseSessionStore",
    "MemorySessionStore",
    "Owner",
    "RedisSessionStore",
    "SessionAuthenticator",
    "SessionCookie",
    "SessionEndedError",
    "SessionNotFoundError",
    "SessionPrincipal",
    "SessionRecord",
    "SessionRequiredError",
    "SessionStore",
    "Sessions",
    "SessionsUnavailableError",
    "is_form_token",
    "make_form_token",
    "make_sessions",
    "make_sessions_router",
    "require_own_page",
]

_HOMES = {
    "FORM_FIELD": "form_tokens",
    "AmbiguousSessionError": "errors",
    "CsrfError": "errors",
    "CsrfProtection": "csrf",
    "DatabaseSessionStore": "database",
    "MemorySessionStore": "memory",
    "Owner": "records",
    "RedisSessionStore": "redis",
    "SessionAuthenticator": "authenticator",
    "SessionCookie": "cookies",
    "SessionEndedError": "errors",
    "SessionNotFoundError": "errors",
    "SessionPrincipal": "routes",
    "SessionRecord": "records",
    "SessionRequiredError": "errors",
    "SessionStore": "store",
    "Sessions": "service",
    "SessionsUnavailableError": "errors",
    "is_form_token": "form_tokens",
    "make_form_token": "form_tokens",
    "make_sessions": "opening",
    "make_sessions_router": "routes",
    "require_own_page": "routes",
}

__getattr__, __dir__ = export_lazily(__name__, _HOMES)
