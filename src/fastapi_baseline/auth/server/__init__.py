"""A small authorization server: tokens for the programs of a service, and for nobody else's.

Clients are added by command. They send their users here with a code challenge, and exchange the code
for tokens; or prove who they are, and get tokens of their own. `make_authorization_server` puts one
together, and `create_app()` does so if `AUTH__SERVER__ENABLED` says so.
"""

import importlib
from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily
from fastapi_baseline._extras import optional

with optional("authlib", extra="oauth2"):
    importlib.import_module("authlib")
with optional("sqlalchemy", extra="persistence"):
    importlib.import_module("sqlalchemy")

if TYPE_CHECKING:
    from fastapi_baseline.auth.server.application import (
        AuthorizationServer,
        make_authorization_server,
    )
    from fastapi_baseline.auth.server.authorization import find_return_targets
    from fastapi_baseline.auth.server.clients import (
        ClientDescription,
        ClientRegistry,
        RegisteredClient,
    )
    from fastapi_baseline.auth.server.errors import (
        ClientExistsError,
        ClientNotFoundError,
        GrantNotFoundError,
        InvalidClientDescriptionError,
        ProtocolError,
    )
    from fastapi_baseline.auth.server.grants import Approval, Grants
    from fastapi_baseline.auth.server.owners import (
        ApplicationUsers,
        ResourceOwner,
        ResourceOwners,
        owner_of,
    )
    from fastapi_baseline.auth.server.routes import make_authorization_server_router
    from fastapi_baseline.auth.server.signing_keys import SigningKeys

__all__ = [
    "ApplicationUsers",
    "Approval",
    "AuthorizationServer",
    "ClientDescription",
    "ClientExistsError",
    "ClientNotFoundError",
    "ClientRegistry",
    "GrantNotFoundError",
    "Grants",
    "InvalidClientDescriptionError",
    "ProtocolError",
    "RegisteredClient",
    "ResourceOwner",
    "ResourceOwners",
    "SigningKeys",
    "find_return_targets",
    "make_authorization_server",
    "make_authorization_server_router",
    "owner_of",
]

_HOMES = {
    "ApplicationUsers": "owners",
    "Approval": "grants",
    "AuthorizationServer": "application",
    "ClientDescription": "clients",
    "ClientExistsError": "errors",
    "ClientNotFoundError": "errors",
    "ClientRegistry": "clients",
    "GrantNotFoundError": "errors",
    "Grants": "grants",
    "InvalidClientDescriptionError": "errors",
    "ProtocolError": "errors",
    "RegisteredClient": "clients",
    "ResourceOwner": "owners",
    "ResourceOwners": "owners",
    "SigningKeys": "signing_keys",
    "find_return_targets": "authorization",
    "make_authorization_server": "application",
    "make_authorization_server_router": "routes",
    "owner_of": "owners",
}

__getattr__, __dir__ = export_lazily(__name__, _HOMES)
