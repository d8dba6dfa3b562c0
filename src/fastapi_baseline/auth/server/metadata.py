"""What clients have to know of the server, and the keys of its tokens (RFC 8414, RFC 7517).

Both documents say the same: where the endpoints are, and what works there, and nothing else. They
are answered from memory, and do not depend on anything that a request says.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fastapi_baseline.access import public
from fastapi_baseline.auth.server.application import AuthorizationServer
from fastapi_baseline.auth.server.client_checks import ASSERTION_ALGORITHMS
from fastapi_baseline.auth.users.sign_in import PASSWORD_ONLY, TWO_FACTORS

AUTHORIZE_PATH = "/oauth2/authorize"
TOKEN_PATH = "/oauth2/token"  # noqa: S105 -- a path
REVOKE_PATH = "/oauth2/revoke"
INTROSPECT_PATH = "/oauth2/introspect"
USERINFO_PATH = "/oauth2/userinfo"
JWKS_PATH = "/oauth2/jwks"
END_SESSION_PATH = "/oauth2/end-session"
OPENID_PATH = "/.well-known/openid-configuration"
"""Where the metadata are (OpenID Connect Discovery, section 4)."""
OAUTH_PATH = "/.well-known/oauth-authorization-server"
"""Where they are, too (RFC 8414, section 3)."""

_CONFIDENTIAL = ("client_secret_basic", "client_secret_post", "private_key_jwt")
_CLIENT_METHODS = (*_CONFIDENTIAL, "none")
_CACHED = "public, max-age=600"
_CLAIMS = (
    *("sub", "iss", "aud", "azp", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid"),
    *("at_hash", "email", "email_verified", "name"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What the metadata depend on."""

    issuer: str
    public_url: str
    scopes: tuple[str, ...]
    algorithms: tuple[str, ...]
    has_users: bool
    """Whether anybody can sign in: without, programs ask for themselves alone."""


def _facts_of(server: AuthorizationServer) -> _Facts:
    has_users = server.sessions is not None
    return _Facts(
        issuer=server.issuer,
        public_url=server.public_url,
        scopes=tuple(server.scopes if has_users else server.settings.scopes),
        algorithms=tuple(server.signing_keys.algorithms),
        has_users=has_users,
    )


def _describe(facts: _Facts) -> dict[str, Any]:
    methods = list(_CLIENT_METHODS if facts.has_users else _CONFIDENTIAL)
    grant_types = ["authorization_code", "client_credentials", "refresh_token"]
    return {
        "issuer": facts.issuer,
        "token_endpoint": f"{facts.public_url}{TOKEN_PATH}",
        "jwks_uri": f"{facts.public_url}{JWKS_PATH}",
        "revocation_endpoint": f"{facts.public_url}{REVOKE_PATH}",
        "introspection_endpoint": f"{facts.public_url}{INTROSPECT_PATH}",
        # What is empty is left out (RFC 8414, section 3.2), but for what is required.
        **({"scopes_supported": list(facts.scopes)} if facts.scopes else {}),
        "response_types_supported": ["code"] if facts.has_users else [],
        "grant_types_supported": grant_types if facts.has_users else ["client_credentials"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": list(_CONFIDENTIAL),
        "introspection_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        **(_describe_signing_in(facts) if facts.has_users else {}),
    }


def _describe_signing_in(facts: _Facts) -> dict[str, Any]:
    return {
        "authorization_endpoint": f"{facts.public_url}{AUTHORIZE_PATH}",
        "userinfo_endpoint": f"{facts.public_url}{USERINFO_PATH}",
        "end_session_endpoint": f"{facts.public_url}{END_SESSION_PATH}",
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(facts.algorithms),
        "acr_values_supported": [PASSWORD_ONLY, TWO_FACTORS],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claims_supported": list(_CLAIMS),
        # Said, since what is left out of these means something else (Discovery, section 3).
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


@lru_cache(maxsize=16)
def _write(facts: _Facts) -> tuple[bytes, str]:
    body = json.dumps(_describe(facts), separators=(",", ":")).encode()
    return body, _tag_of(body)


def _tag_of(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _answer(request: Request, body: bytes, tag: str, *, media_type: str) -> Response:
    headers = {"Cache-Control": _CACHED, "ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


@public
async def show_metadata(request: Request) -> Response:
    """Say what clients have to know of the server."""
    body, tag = _write(_facts_of(AuthorizationServer.of(request)))
    return _answer(request, body, tag, media_type="application/json")


@public
async def show_keys(request: Request) -> Response:
    """Say with which keys the tokens of the server are signed, will be, or were until lately."""
    keys = AuthorizationServer.of(request).signing_keys
    await keys.refresh()
    return _answer(request, keys.jwks, _tag_of(keys.jwks), media_type="application/jwk-set+json")


_KEPT = {"description": "What the asker has is what there is"}
_METADATA: Mapping[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}}},
    304: _KEPT,
}
_KEYS: Mapping[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/jwk-set+json": {"schema": {"type": "object"}}},
        "description": "The keys (RFC 7517)",
    },
    304: _KEPT,
}


def make_metadata_router() -> APIRouter:
    """Return the routes of the metadata and of the keys."""
    router = APIRouter(default_response_class=Response)
    for path, name in ((OPENID_PATH, "openid"), (OAUTH_PATH, "oauth")):
        summary = "Say what clients have to know of the server"
        responses = {**_METADATA}
        router.get(path, name=f"show_{name}_metadata", summary=summary, responses=responses)(
            show_metadata
        )
    router.get(JWKS_PATH, summary="Say with which keys tokens are signed", responses={**_KEYS})(
        show_keys
    )
    return router
