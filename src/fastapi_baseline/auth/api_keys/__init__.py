"""Keys of programs: issued by the service itself, and kept in its database as digests.

    key = await keys.issue("nightly export", KeyOwner("exporter"), scopes=["orders:read"])

An application with `AUTH__API_KEYS__ENABLED` accepts them in the header `X-API-Key`. Import
`fastapi_baseline.auth.api_keys.models` where migrations look for models.
"""

import importlib
from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily
from fastapi_baseline._extras import optional

with optional("sqlalchemy", extra="persistence"):
    importlib.import_module("sqlalchemy")

if TYPE_CHECKING:
    from fastapi_baseline.auth.api_keys.authenticator import ApiKeyAuthenticator
    from fastapi_baseline.auth.api_keys.dependencies import CurrentApiKeys
    from fastapi_baseline.auth.api_keys.errors import (
        ApiKeyNotFoundError,
        InvalidApiKeyError,
        InvalidKeyDescriptionError,
        RepeatedApiKeyError,
    )
    from fastapi_baseline.auth.api_keys.models import ApiKey
    from fastapi_baseline.auth.api_keys.service import ApiKeys, IssuedKey, KeyOwner

__all__ = [
    "ApiKey",
    "ApiKeyAuthenticator",
    "ApiKeyNotFoundError",
    "ApiKeys",
    "CurrentApiKeys",
    "InvalidApiKeyError",
    "InvalidKeyDescriptionError",
    "IssuedKey",
    "KeyOwner",
    "RepeatedApiKeyError",
]

_HOMES = {
    "ApiKey": "models",
    "ApiKeyAuthenticator": "authenticator",
    "ApiKeyNotFoundError": "errors",
    "ApiKeys": "service",
    "CurrentApiKeys": "dependencies",
    "InvalidApiKeyError": "errors",
    "InvalidKeyDescriptionError": "errors",
    "IssuedKey": "service",
    "KeyOwner": "service",
    "RepeatedApiKeyError": "errors",
}

__getattr__, __dir__ = export_lazily(__name__, _HOMES)
