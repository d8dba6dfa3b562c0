"""Signing in with providers, as one application has it: made of its settings and its parts."""

import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.dependencies import AROUND
from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.login.accounts import Accounts, AllAccounts
from fastapi_baseline.auth.login.client import ProviderClient
from fastapi_baseline.auth.login.provider_sessions import ProviderSessions
from fastapi_baseline.auth.login.providers import make_providers
from fastapi_baseline.auth.login.refreshing import TokenRefresher
from fastapi_baseline.auth.login.store import LoginStore
from fastapi_baseline.auth.login.transactions import Transactions
from fastapi_baseline.auth.security_events import SecurityEvent, SecurityEventName, SecurityEvents
from fastapi_baseline.auth.sessions.service import Sessions
from fastapi_baseline.auth.tokens.addresses import check_address
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings.auth import AuthSettings, LoginSettings

with optional("httpx2", extra="oauth2"):
    from httpx2 import AsyncBaseTransport

CALLBACK_PATH = "/auth/callback"
"""Where people come back to from a provider, below `AUTH__PUBLIC_URL`; providers have it on a list."""
LOGIN_PATH = "/auth/login"
"""Where signing in begins."""


class Login:
    """The sign-ins of one application; `Login.of(request)` in a route."""

    def __init__(
        self,
        clients: Mapping[str, ProviderClient],
        *,
        settings: LoginSettings,
        public_url: str,
        sessions: Sessions,
        store: LoginStore,
        provider_sessions: ProviderSessions,
        transactions: Transactions,
        clock: Clock,
        accounts: Accounts | None = None,
        events: SecurityEvents | None = None,
    ) -> None:
        """Sign people in with `clients`, by name; with the first one if nobody says which."""
        self.clients = clients
        self.settings = settings
        self.public_url = public_url
        self.sessions = sessions
        self.store = store
        self.provider_sessions = provider_sessions
        self.transactions = transactions
        self.clock = clock
        self.accounts: Accounts = accounts or AllAccounts()
        """Who may sign in; a service can put its own here: `app.state.login.accounts = ...`."""
        self.events = events
        self.refresher = TokenRefresher(
            provider_sessions,
            clients=clients,
            sessions=sessions,
            refresh_before=settings.refresh_before,
            clock=clock,
            events=events,
        )

    @classmethod
    def of(cls, connection: HTTPConnection) -> "Login":
        """Return the sign-ins of the application that answers a request.

        Raises:
            ConfigurationError: If it has none.
        """
        state = connection.app.state
        login = getattr(state, "login", None)
        if login is None and hasattr(state, AROUND):
            login = getattr(getattr(state, AROUND).state, "login", None)
        if not isinstance(login, cls):
            raise ConfigurationError(
                "The application signs nobody in with a provider: set AUTH__LOGIN__CLIENT_ID."
            )
        return login

    @property
    def redirect_uri(self) -> str:
        """Return where people come back to, whatever host their request names."""
        return f"{self.public_url}{CALLBACK_PATH}"

    def find_client(self, name: str | None) -> ProviderClient | None:
        """Return the client of the provider with this name; the first one without."""
        if name is None:
            return next(iter(self.clients.values()))
        return self.clients.get(name)

    def find_client_by_issuer(self, issuer: str) -> ProviderClient | None:
        """Return the client of the provider that is this issuer, to the letter."""
        found = (one for one in self.clients.values() if one.provider.issuer == issuer)
        return next(found, None)

    async def report(
        self, name: SecurityEventName, *, subject: str | None = None, **details: str
    ) -> None:
        """Record what has happened."""
        if self.events is None:
            return
        outcome = "failure" if name.endswith("_refused") else "success"
        await self.events.record(
            SecurityEvent(name=name, outcome=outcome, subject=subject, details=details)
        )

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncGenerator[None]:
        """Let refreshes that are under way end, and close the connections to providers."""
        try:
            yield
        finally:
            await self.refresher.close()
            for client in self.clients.values():
                await client.close()


def make_login(
    settings: AuthSettings,
    *,
    sessions: Sessions,
    store: LoginStore,
    keys: KeyRing,
    provider_sessions: ProviderSessions | None = None,
    clock: Clock | None = None,
    accounts: Accounts | None = None,
    events: SecurityEvents | None = None,
    token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    make_transport: Callable[[], AsyncBaseTransport] | None = None,
) -> Login:
    """Return what signs people in with the providers of the settings.

    Nothing is asked yet: a provider that is down keeps no service from starting.

    Raises:
        ConfigurationError: If it would not be safe, or the URL of the service is not known.
    """
    clock = clock or SystemClock()
    clients = {
        one.name: ProviderClient(
            one,
            settings=settings.tokens,
            clock=clock,
            token_bytes=token_bytes,
            make_transport=make_transport,
        )
        for one in make_providers(settings.all_providers)
    }
    transactions = Transactions(
        keys, lifetime=settings.login.transaction_lifetime, clock=clock, token_bytes=token_bytes
    )
    return Login(
        clients,
        settings=settings.login,
        public_url=_read_public_url(settings.public_url),
        sessions=sessions,
        store=store,
        provider_sessions=provider_sessions
        or ProviderSessions(store, keys=keys, clock=clock, events=events),
        transactions=transactions,
        clock=clock,
        accounts=accounts,
        events=events,
    )


def _read_public_url(url: str | None) -> str:
    if url is None:
        # It cannot be taken from a request: whoever sends one chooses its host.
        raise ConfigurationError(
            "Providers send people back to the service: set AUTH__PUBLIC_URL to the URL that "
            "browsers know it by."
        )
    check_address(url, what="AUTH__PUBLIC_URL")
    if urlsplit(url).query:
        raise ConfigurationError("AUTH__PUBLIC_URL must have no query.")
    return url.rstrip("/")
