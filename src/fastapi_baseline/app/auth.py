"""Who may use an application: the ways to say who one is that its settings name."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.middleware import Middleware

from fastapi_baseline.app.issuing import (
    describe,
    make_cors_layer,
    open_authorization_server,
    open_login,
    serve_documentation_client,
    trust,
)
from fastapi_baseline.app.parts import Parts
from fastapi_baseline.auth.authentication import Authentication, Authenticator
from fastapi_baseline.auth.deployment_checks import ISSUER_FINDINGS, SESSION_FINDINGS
from fastapi_baseline.auth.issuing_checks import LOGIN_FINDINGS, SERVER_FINDINGS
from fastapi_baseline.auth.route_decisions import (
    check_authenticators,
    check_route_decisions,
    prepare_mounted_apps,
)
from fastapi_baseline.auth.security_events import LogSecurityEvents
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.inspection import refusing
from fastapi_baseline.lifecycle import StatelessLifespan
from fastapi_baseline.settings import AuthSettings

# What `AUTH__ISSUER` is set to for the issuer that a machine of a developer has by itself.
_DEVELOPMENT = "development"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedAuth:
    """What authentication adds to an application.

    `ways` are those to say who one is, in the order in which they are offered. `inner_lifespans` are entered when all routes are there. `origins` are those of issuers, which
    the documentation pages may ask for tokens.
    """

    ways: list[Authenticator] = field(default_factory=list[Authenticator])
    lifespans: list[StatelessLifespan] = field(default_factory=list[StatelessLifespan])
    inner_lifespans: list[StatelessLifespan] = field(default_factory=list[StatelessLifespan])
    origins: list[str] = field(default_factory=list[str])
    cors: list[Middleware] = field(default_factory=list[Middleware])
    """What lets pages of clients call the authorization server, if there is one."""


def open_auth(app: FastAPI, parts: Parts) -> OpenedAuth:
    """Make what the settings name, for an application whose backends are open.

    Nothing connects yet: an issuer that is down keeps no service from starting.

    Raises:
        ConfigurationError: If what the settings name is not safe, or needs what there is not.
    """
    auth = parts.settings.auth
    meters = parts.telemetry.meter_provider
    events = app.state.security_events = LogSecurityEvents(meters)
    opened = OpenedAuth()
    # Each by itself, so that whoever inspects the service hears of all.
    if auth.has_sessions:
        with refusing(known_as=SESSION_FINDINGS):
            _open_sessions(app, parts)
    if auth.server.enabled:
        with refusing(known_as=SERVER_FINDINGS):
            _issue_tokens(app, parts, opened)
    if auth.all_issuers or hasattr(app.state, "authorization_server"):
        with refusing(known_as=ISSUER_FINDINGS):
            _accept_tokens(app, parts, opened)
    if auth.api_keys.enabled:
        with refusing():
            _accept_api_keys(app, parts, opened)
    if auth.all_providers and hasattr(app.state, "sessions"):
        with refusing(known_as=LOGIN_FINDINGS):
            opened.lifespans.append(open_login(app, parts).lifespan)
    if hasattr(app.state, "sessions"):
        _accept_sessions(app, opened)
    app.state.authentication = Authentication(opened.ways, clock=parts.clock, events=events)
    opened.inner_lifespans.append(_check_routes(parts))
    return opened


def _issue_tokens(app: FastAPI, parts: Parts, opened: OpenedAuth) -> None:
    server = open_authorization_server(app, parts)
    # When all routes are there, those of its users are.
    opened.inner_lifespans.append(server.lifespan)
    opened.inner_lifespans.append(serve_documentation_client(app, parts))
    opened.origins.append(_origin_of(server.public_url))
    opened.cors.append(make_cors_layer())


def _accept_tokens(app: FastAPI, parts: Parts, opened: OpenedAuth) -> None:
    # Only a service that verifies tokens pays for what does so.
    from fastapi_baseline.auth.tokens import (  # noqa: PLC0415
        make_bearer_tokens,
        make_protected_resource_router,
        preload,
    )

    settings, auth = parts.settings, parts.settings.auth
    sources: dict[str, Any] = {}
    if auth.issuer == _DEVELOPMENT:
        auth = _trust_this_machine(parts, opened, sources)
    server = getattr(app.state, "authorization_server", None)
    if server is not None:
        sources[server.issuer] = server.signing_keys
    tokens = make_bearer_tokens(
        auth,
        more_issuers=() if server is None else [trust(server)],
        more_schemes={} if server is None else describe(server),
        clock=parts.clock,
        meter_provider=parts.telemetry.meter_provider,
        events=app.state.security_events,
        key_sources=sources,
    )
    if settings.is_deployed:
        # There, a start may take a moment longer, and nobody should wait.
        preload()
    opened.ways.append(tokens)
    opened.lifespans.append(tokens.lifespan)
    issuers = [one.issuer for one in tokens.issuers]
    opened.origins.extend(dict.fromkeys(_origin_of(one) for one in issuers if one not in sources))
    if auth.resource is not None:
        app.include_router(
            make_protected_resource_router(
                resource=auth.resource, issuers=issuers, name=settings.service_name
            )
        )


def _trust_this_machine(parts: Parts, opened: OpenedAuth, sources: dict[str, Any]) -> AuthSettings:
    # Likewise, in development.
    from fastapi_baseline.auth.tokens.development import (  # noqa: PLC0415
        ISSUER,
        DevelopmentIssuer,
        resolve_development_issuer,
    )

    settings = parts.settings
    resolved = resolve_development_issuer(settings.auth, environment=settings.environment)
    development = DevelopmentIssuer(settings.service_name, clock=parts.clock)
    sources[ISSUER] = development
    if settings.environment == "development":
        # A test makes its own principals; the issuer has no key there, and refuses all tokens.
        opened.lifespans.append(development.lifespan)
    return resolved


def _accept_api_keys(app: FastAPI, parts: Parts, opened: OpenedAuth) -> None:
    if not hasattr(app.state, "database"):
        raise ConfigurationError("API keys are kept in a database: set DATABASE_URL.")
    # Likewise.
    from fastapi_baseline.auth.api_keys import ApiKeyAuthenticator, ApiKeys  # noqa: PLC0415

    settings, events = parts.settings.auth.api_keys, app.state.security_events
    keys = ApiKeys(app.state.database, settings=settings, clock=parts.clock, events=events)
    app.state.api_keys = keys
    opened.ways.append(ApiKeyAuthenticator(keys, settings=settings, events=events))
    opened.lifespans.append(keys.lifespan)


def _open_sessions(app: FastAPI, parts: Parts) -> None:
    # Likewise.
    from fastapi_baseline.auth.sessions import make_sessions  # noqa: PLC0415

    app.state.sessions = make_sessions(
        parts.settings.auth.sessions,
        database=getattr(app.state, "database", None),
        redis=getattr(app.state, "redis", None),
        namespace=parts.settings.service_name,
        clock=parts.clock,
        events=app.state.security_events,
    )


def _accept_sessions(app: FastAPI, opened: OpenedAuth) -> None:
    # Likewise.
    from fastapi_baseline.auth.sessions import SessionAuthenticator  # noqa: PLC0415

    opened.ways.append(SessionAuthenticator(app.state.sessions))


def _check_routes(parts: Parts) -> StatelessLifespan:
    settings = parts.settings
    refuse = settings.auth.refuse_undecided
    refuse = settings.is_deployed if refuse is None else refuse
    # A test makes many applications, and warnings of each would hide what it is about.
    is_looked_at = refuse or settings.environment != "test"

    @asynccontextmanager
    async def check_routes(app: Any) -> AsyncGenerator[None]:
        prepare_mounted_apps(app)
        if is_looked_at:
            with refusing():
                check_authenticators(app, refuse=refuse)
            if settings.auth.is_enabled:
                with refusing():
                    check_route_decisions(app, refuse=refuse)
        yield

    return check_routes


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
