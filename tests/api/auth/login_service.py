"""A service whose people sign in with one of two providers, and what it says of that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import Authentication
from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.login import (
    Accounts,
    Login,
    MemoryLoginStore,
    make_login,
    make_login_router,
)
from fastapi_baseline.auth.pages import make_pages
from fastapi_baseline.auth.sessions import (
    MemorySessionStore,
    SessionAuthenticator,
    Sessions,
    make_sessions_router,
)
from fastapi_baseline.settings import AuthSettings, SessionSettings
from fastapi_baseline.settings.auth import LoginProviderSettings, LoginSettings
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.login_provider import LoginProvider, make_transport
from tests.recorded_events import RecordedEvents

ORIGIN = "https://shop.test"
OTHER = "https://other.test"
KEY = "a-secret-of-32-characters-or-more"


@dataclass(kw_only=True)
class LoginService:
    """A service that signs people in, its two providers, and what it said."""

    app: FastAPI
    clock: ManualClock
    events: RecordedEvents
    provider: LoginProvider
    other: LoginProvider
    store: MemoryLoginStore

    @property
    def login(self) -> Login:
        login: Login = self.app.state.login
        return login


Service = TypeVar("Service", bound=LoginService)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What may differ from what tests of signing in begin with."""

    accounts: Accounts | None = None
    same_site: str = "lax"
    after_logout: str = "/"
    provider_key: Any = None
    provider_settings: Mapping[str, Any] | None = None


def make_login_app() -> FastAPI:
    """Return an application without anybody to sign in, which is put into its state."""
    settings = Settings(environment="test")
    app = create_app(settings)
    app.state.pages = make_pages(settings)
    app.include_router(make_login_router())
    app.include_router(make_sessions_router())
    return app


def put_login(kind: type[Service], app: FastAPI, options: Options) -> Service:
    """Put into the state of an application what signs people in, and return the service."""
    clock, events = ManualClock(), RecordedEvents()
    settings = SessionSettings.model_validate({"enabled": True, "same_site": options.same_site})
    sessions = Sessions(
        MemorySessionStore(clock=clock), settings=settings, clock=clock, events=events
    )
    provider = LoginProvider(clock=clock, key=options.provider_key)
    other = LoginProvider(OTHER, client_id="shop-2", client_secret="other secret", clock=clock)
    store = MemoryLoginStore(clock=clock)
    app.state.sessions = sessions
    app.state.authentication = Authentication(
        [SessionAuthenticator(sessions)], clock=clock, events=events
    )
    app.state.login = make_login(
        _make_settings(provider, other, options),
        sessions=sessions,
        store=store,
        keys=KeyRing([KEY]),
        clock=clock,
        accounts=options.accounts,
        events=events,
        make_transport=lambda: make_transport(provider, other),
    )
    return kind(app=app, clock=clock, events=events, provider=provider, other=other, store=store)


def _make_settings(provider: LoginProvider, other: LoginProvider, options: Options) -> AuthSettings:
    return AuthSettings(
        public_url=ORIGIN,
        login=LoginSettings(
            after_logout=options.after_logout,
            providers=tuple(
                LoginProviderSettings.model_validate(
                    {
                        "name": name,
                        "issuer": one.url,
                        "client_id": one.client_id,
                        "client_secret": one.client_secret,
                        **(options.provider_settings or {}),
                    }
                )
                for name, one in (("staff", provider), ("customers", other))
            ),
        ),
    )


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
