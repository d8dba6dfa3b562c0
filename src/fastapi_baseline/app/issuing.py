"""Signing people in with a provider, and issuing tokens, as the settings of an application say."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.middleware import Middleware

from fastapi_baseline.app.parts import Parts
from fastapi_baseline.errors import BaselineError, ConfigurationError
from fastapi_baseline.lifecycle import StatelessLifespan

logger = logging.getLogger(__name__)

DOCUMENTATION_CLIENT = "docs"
"""Who Swagger UI is for the authorization server."""


def open_login(app: FastAPI, parts: Parts) -> Any:
    """Make what signs people in with a provider, with its routes, and return it.

    Routes that the application has already stay, so that it can say who may sign in.

    Raises:
        ConfigurationError: If it would not be safe, or something is missing.
    """
    # Only a service that signs people in pays for what does so.
    from fastapi_baseline.auth.login import (  # noqa: PLC0415
        make_login,
        make_login_router,
        make_login_store,
    )
    from fastapi_baseline.auth.login.application import CALLBACK_PATH  # noqa: PLC0415
    from fastapi_baseline.auth.sessions import make_sessions_router  # noqa: PLC0415

    settings = parts.settings
    store = make_login_store(
        settings.auth.sessions,
        database=getattr(app.state, "database", None),
        redis=getattr(app.state, "redis", None),
        namespace=settings.service_name,
        clock=parts.clock,
    )
    login = app.state.login = make_login(
        settings.auth,
        sessions=app.state.sessions,
        store=store,
        keys=_keys_of(parts),
        clock=parts.clock,
        events=app.state.security_events,
    )
    open_pages(app, parts)
    if not _has_route(app, CALLBACK_PATH):
        app.include_router(make_login_router())
    if not _has_route(app, "/auth/sessions"):
        app.include_router(make_sessions_router())
    return login


def open_authorization_server(app: FastAPI, parts: Parts) -> Any:
    """Make what issues tokens, with its routes, and return it.

    Routes that the application has already stay, so that it can say whose users they are for.

    Raises:
        ConfigurationError: If it would not be safe, or there is no database.
    """
    # Likewise.
    from fastapi_baseline.auth.server import (  # noqa: PLC0415
        find_return_targets,
        make_authorization_server,
        make_authorization_server_router,
    )
    from fastapi_baseline.auth.server.application import TOKEN_PATH  # noqa: PLC0415

    database = getattr(app.state, "database", None)
    if database is None:
        raise ConfigurationError(
            "Clients and what they got are kept in a database: set DATABASE_URL."
        )
    server = app.state.authorization_server = make_authorization_server(
        parts.settings.auth,
        database=database,
        keys=_keys_of(parts),
        clock=parts.clock,
        events=app.state.security_events,
        sessions=getattr(app.state, "sessions", None),
    )
    open_pages(app, parts)
    app.state.return_targets = find_return_targets
    if not _has_route(app, TOKEN_PATH):
        app.include_router(make_authorization_server_router())
    return server


def serve_documentation_client(app: FastAPI, parts: Parts) -> StatelessLifespan:
    """Have the documentation pages get tokens as the client `docs`, which is there in development.

    Elsewhere it is added like any other client, or the application says which one it is.
    """
    app.swagger_ui_init_oauth = {
        "clientId": DOCUMENTATION_CLIENT,
        **(app.swagger_ui_init_oauth or {}),
    }

    @asynccontextmanager
    async def add_client(app: Any) -> AsyncGenerator[None]:
        path = app.swagger_ui_oauth2_redirect_url
        if parts.settings.environment == "development" and app.docs_url and path:
            await _ensure_documentation_client(app.state.authorization_server, path)
        yield

    return add_client


async def _ensure_documentation_client(server: Any, path: str) -> None:
    # Likewise.
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from fastapi_baseline.auth.server import ClientDescription  # noqa: PLC0415

    uri, scopes = server.url(path), sorted(server.scopes)
    try:
        found = await server.clients.find(DOCUMENTATION_CLIENT)
        if found is not None and (found.redirect_uris, found.scopes) == ([uri], scopes):
            return
        if found is not None:
            await server.clients.remove(DOCUMENTATION_CLIENT)
        await server.clients.add(
            ClientDescription(
                name="Documentation",
                client_id=DOCUMENTATION_CLIENT,
                auth_method="none",
                redirect_uris=[uri],
                scopes=scopes,
                is_first_party=True,
            )
        )
    except (BaselineError, SQLAlchemyError) as error:
        # Its tables may be missing still, and another process may have added it just now.
        logger.warning("The client %s was not added: %s", DOCUMENTATION_CLIENT, error)


def trust(server: Any) -> Any:
    """Return an authorization server as an issuer whose tokens are accepted."""
    # Likewise.
    from fastapi_baseline.auth.server.own_tokens import make_own_issuer  # noqa: PLC0415

    return make_own_issuer(server.issuer, audiences=server.audiences)


def describe(server: Any) -> dict[str, dict[str, Any]]:
    """Return the security scheme by which the documentation pages get tokens of a server."""
    # Likewise.
    from fastapi_baseline.auth.server.own_tokens import make_security_scheme  # noqa: PLC0415

    scheme = make_security_scheme(
        authorization_url=server.url("/oauth2/authorize"),
        token_url=server.url("/oauth2/token"),
        scopes=server.scopes,
    )
    return {"oauth2": scheme}


def make_cors_layer() -> Middleware:
    """Return the layer that lets pages of public clients fetch their tokens."""
    # Likewise.
    from fastapi_baseline.auth.server.cors import ClientCorsMiddleware  # noqa: PLC0415

    return Middleware(ClientCorsMiddleware)


def open_pages(app: FastAPI, parts: Parts) -> None:
    """Make the pages on which people sign in and agree, if there are none yet."""
    # Likewise.
    from fastapi_baseline.auth.pages import make_pages  # noqa: PLC0415

    if not hasattr(app.state, "pages"):
        app.state.pages = make_pages(parts.settings)


def _keys_of(parts: Parts) -> Any:
    # Likewise.
    from fastapi_baseline.auth.encryption import make_key_ring  # noqa: PLC0415

    settings = parts.settings
    return make_key_ring(settings.auth.secret_keys, is_deployed=settings.is_deployed)


def _has_route(app: FastAPI, path: str) -> bool:
    return any(context.path == path for context in iter_route_contexts(app.routes))
