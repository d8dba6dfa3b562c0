"""The users of one application, joined when it starts: what settings and its state say."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi.routing import iter_route_contexts

from fastapi_baseline.auth.encryption import KeyRing, make_key_ring
from fastapi_baseline.auth.security_events import LogSecurityEvents, SecurityEvents
from fastapi_baseline.auth.sessions import Sessions
from fastapi_baseline.auth.users.devices import KnownDevices
from fastapi_baseline.auth.users.hashing import PasswordHasher
from fastapi_baseline.auth.users.letters import LetterWriter
from fastapi_baseline.auth.users.mail import MailSender
from fastapi_baseline.auth.users.pending_sign_ins import PendingSignIns
from fastapi_baseline.auth.users.repository import UserRepository
from fastapi_baseline.auth.users.second_factor import SecondFactors
from fastapi_baseline.auth.users.self_service import SelfService
from fastapi_baseline.auth.users.service import UserService, UserT, make_user_service
from fastapi_baseline.auth.users.sign_in import SignIn
from fastapi_baseline.auth.users.throttles import Throttles, make_throttles
from fastapi_baseline.auth.users.trust import SessionRevoker
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings import Settings

_JOIN = "__fastapi_baseline_join_users__"

Join = Callable[..., SelfService[Any]]
"""Joins the users of an application, as its routes do when it starts."""


def remember_join(endpoint: object, join: Join) -> None:
    """Note on a function that answers requests how the users are joined that it is about."""
    setattr(endpoint, _JOIN, join)


def open_users(app: Any, **parts: Any) -> SelfService[Any]:
    """Return the users of an application that is not started, for commands that work on them.

    Letters are sent at once. `parts` take the place of those that its routes were made with.

    Raises:
        ConfigurationError: If it has no routes for users, or cannot have any.
    """
    for context in iter_route_contexts(app.routes):
        join: Join | None = getattr(getattr(context, "endpoint", None), _JOIN, None)
        if join is not None:
            return join(app, **parts)
    raise ConfigurationError("The service has no users of its own: no make_users_router().")


def join_users(
    app: Any,
    model: type[UserT],
    *,
    repository: type[UserRepository[UserT]] | None = None,
    mail: MailSender | None = None,
    letters: LetterWriter | None = None,
    hasher: PasswordHasher | None = None,
) -> SelfService[UserT]:
    """Return the users of an application that starts, by its settings, database and sessions.

    Raises:
        ConfigurationError: If it has no database or no sessions, no secret keys or nobody who sends
            letters where people depend on it, or settings that are not understood.
    """
    settings: Settings = app.state.baseline_settings
    database: Database | None = getattr(app.state, "database", None)
    sessions: Sessions | None = getattr(app.state, "sessions", None)
    if database is None or sessions is None:
        raise ConfigurationError(
            "Users are kept in a database and sign in with sessions: set DATABASE_URL and "
            "AUTH__SESSIONS__ENABLED=true."
        )
    events: SecurityEvents = getattr(app.state, "security_events", None) or LogSecurityEvents()
    authentication = getattr(app.state, "authentication", None)
    clock: Clock = getattr(authentication, "clock", None) or SystemClock()
    keys = make_key_ring(settings.auth.secret_keys, is_deployed=settings.is_deployed)
    second_factors = SecondFactors(
        database, keys=keys, clock=clock, service=settings.service_name, events=events
    )
    users = make_user_service(
        model,
        settings=settings,
        database=database,
        events=events,
        revokers=_revokers_of(app, sessions),
        second_factors=second_factors,
        repository=repository,
        mail=mail,
        letters=letters,
        hasher=hasher,
        clock=clock,
    )
    throttles = make_throttles(
        settings.auth.users,
        clock=clock,
        events=events,
        shared=getattr(app.state, "rate_limit_store", None),
        instances=settings.rate_limits.instances,
    )
    return make_self_service(
        users,
        sessions=sessions,
        second_factors=second_factors,
        throttles=throttles,
        keys=keys,
        clock=clock,
        events=events,
    )


def make_self_service(
    users: UserService[UserT],
    *,
    sessions: Sessions,
    second_factors: SecondFactors,
    throttles: Throttles,
    keys: KeyRing,
    clock: Clock,
    events: SecurityEvents,
) -> SelfService[UserT]:
    """Return what users do with their accounts, made of these parts."""
    sign_in = SignIn(
        users,
        sessions=sessions,
        second_factors=second_factors,
        throttles=throttles,
        devices=KnownDevices(keys, clock=clock),
        pending=PendingSignIns(keys, clock=clock),
        events=events,
    )
    return SelfService(
        users=users,
        sessions=sessions,
        second_factors=second_factors,
        throttles=throttles,
        sign_in=sign_in,
    )


def _revokers_of(app: Any, sessions: Sessions) -> Sequence[SessionRevoker]:
    api_keys: SessionRevoker | None = getattr(app.state, "api_keys", None)
    server: Any = getattr(app.state, "authorization_server", None)
    grants: SessionRevoker | None = None if server is None else server.grants
    return [sessions, *(one for one in (api_keys, grants) if one is not None)]
