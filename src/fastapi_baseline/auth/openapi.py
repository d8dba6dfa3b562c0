"""What OpenAPI says of who may use what: security schemes, and what each operation asks for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from fastapi_baseline.auth.authentication import Authentication, HasSecuritySchemes
from fastapi_baseline.auth.dependencies import find_principal
from fastapi_baseline.auth.errors import (
    AmbiguousCredentialsError,
    CredentialsMissingError,
    InsufficientAuthenticationError,
    InsufficientRoleError,
    InsufficientScopeError,
)
from fastapi_baseline.auth.guards import RequireRoles, RequireScopes
from fastapi_baseline.auth.routes import AccessRoute, access_routes_of
from fastapi_baseline.auth.step_up import RequireRecentAuth
from fastapi_baseline.errors import BaselineError
from fastapi_baseline.problems import MEDIA_TYPE, problem_responses

_CHALLENGE: dict[str, Any] = {
    "description": "How to say who is asking, or what is missing (RFC 9110, section 11.6.1)",
    "schema": {"type": "string"},
}
_UNAUTHENTICATED = "401"
_MOST_ALTERNATIVES = 16


def make_bearer_scheme(description: str | None = None) -> dict[str, Any]:
    """Return the scheme of tokens in `Authorization` (RFC 6750): Swagger UI asks to paste one."""
    return _described({"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}, description)


def make_openid_connect_scheme(issuer: str, description: str | None = None) -> dict[str, Any]:
    """Return the scheme of an issuer's tokens: Swagger UI reads its metadata, and gets one there."""
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    return _described({"type": "openIdConnect", "openIdConnectUrl": url}, description)


def make_authorization_code_scheme(
    *,
    authorization_url: str,
    token_url: str,
    scopes: Mapping[str, str] | None = None,
    description: str | None = None,
) -> dict[str, Any]:
    """Return the scheme of an issuer whose addresses are known: Swagger UI gets a token there.

    It uses PKCE, as `prepare_documentation_pages` tells it.
    """
    flow = {
        "authorizationUrl": authorization_url,
        "tokenUrl": token_url,
        "scopes": dict(scopes or {}),
    }
    return _described({"type": "oauth2", "flows": {"authorizationCode": flow}}, description)


def make_api_key_scheme(
    name: str, *, location: str = "header", description: str | None = None
) -> dict[str, Any]:
    """Return the scheme of a key in a header, or in a cookie if that is the `location`."""
    return _described({"type": "apiKey", "in": location, "name": name}, description)


def prepare_documentation_pages(app: Any) -> None:
    """Have Swagger UI get tokens with PKCE; what the application says of it itself stays."""
    app.swagger_ui_init_oauth = {
        "usePkceWithAuthorizationCodeGrant": True,
        **(app.swagger_ui_init_oauth or {}),
    }


def document_security(app: Any, document: dict[str, Any]) -> None:
    """Add to an OpenAPI document which credentials there are, and which operations ask for them.

    An operation that is guarded names each way to say who is asking, with the scopes that are
    needed, and answers 401 and 403 with a problem. One that is `public` asks for nothing, also if
    something else in the document does. Doing it twice changes nothing.
    """
    found = getattr(app.state, "authentication", None)
    schemes = _schemes_of(found) if isinstance(found, Authentication) else {}
    if not schemes:
        return
    components = document.setdefault("components", {})
    components["securitySchemes"] = schemes | components.get("securitySchemes", {})
    paths: dict[str, Any] = document.get("paths", {})
    for route in access_routes_of(app):
        if not route.is_mounted:
            for method in route.name.methods:
                operation = paths.get(route.name.path, {}).get(method.lower())
                if operation is not None:
                    _document(operation, route, tuple(schemes))


def _schemes_of(authentication: Authentication) -> dict[str, dict[str, Any]]:
    schemes: dict[str, dict[str, Any]] = {}
    for authenticator in authentication.authenticators:
        if isinstance(authenticator, HasSecuritySchemes):
            schemes |= authenticator.security_schemes
        else:
            schemes[authenticator.scheme_name] = authenticator.scheme
    return schemes


def _document(operation: dict[str, Any], route: AccessRoute, schemes: Sequence[str]) -> None:
    if route.asks_who:
        wanted = [{name: list(scopes)} for scopes in _alternatives(route.calls) for name in schemes]
        _require(operation, wanted)
        _add_problems(operation, _errors_of(route.calls))
    elif find_principal in route.calls:
        _require(operation, [{}, *({name: []} for name in schemes)])
        _add_problems(operation, [CredentialsMissingError, AmbiguousCredentialsError])
    elif route.is_public:
        operation.setdefault("security", [])


def _require(operation: dict[str, Any], wanted: Iterable[dict[str, list[str]]]) -> None:
    """Name alternatives, besides those that FastAPI found among the dependencies."""
    named: list[dict[str, list[str]]] = operation.setdefault("security", [])
    named += [one for one in wanted if one not in named]


def _alternatives(calls: Iterable[object]) -> Iterator[tuple[str, ...]]:
    """Yield sets of scopes each of which is enough: one for each choice among those of `any`."""
    guards = [call.scopes for call in calls if isinstance(call, RequireScopes)]
    always = {scope for guard in guards for scope in guard.all}
    # Whoever has one anyway needs no other.
    choices = {guard.any for guard in guards if guard.any and not guard.any & always}
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > _MOST_ALTERNATIVES:
        choices.clear()
    found = {tuple(sorted(always.union(chosen))) for chosen in product(*choices)}
    yield from sorted(found)


def _errors_of(calls: Sequence[object]) -> list[type[BaselineError]]:
    errors: list[type[BaselineError]] = [CredentialsMissingError, AmbiguousCredentialsError]
    for kind, error in (
        (RequireRecentAuth, InsufficientAuthenticationError),
        (RequireScopes, InsufficientScopeError),
        (RequireRoles, InsufficientRoleError),
    ):
        if any(isinstance(call, kind) for call in calls):
            errors.append(error)
    return errors


def _add_problems(operation: dict[str, Any], errors: Sequence[type[BaselineError]]) -> None:
    responses: dict[str, Any] = operation.setdefault("responses", {})
    for status, added in problem_responses(*errors).items():
        response = responses.setdefault(str(status), added)
        if "$ref" in response:
            continue
        content = response.setdefault("content", {}).setdefault(MEDIA_TYPE, {})
        content.setdefault("schema", added["content"][MEDIA_TYPE]["schema"])
        examples = content.setdefault("examples", {})
        for code, example in added["content"][MEDIA_TYPE]["examples"].items():
            examples.setdefault(code, example)
        if InsufficientScopeError.code in examples or str(status) == _UNAUTHENTICATED:
            response.setdefault("headers", {}).setdefault("WWW-Authenticate", _CHALLENGE)


def _described(scheme: dict[str, Any], description: str | None) -> dict[str, Any]:
    return scheme if description is None else {**scheme, "description": description}
