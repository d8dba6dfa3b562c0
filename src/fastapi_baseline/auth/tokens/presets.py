"""How the access tokens of well-known issuers differ from RFC 9068.

A profile says which types of token count, by what else an access token is told apart from other
tokens of the same issuer, and where the audience, the scopes, the roles and the client are. What a
profile relaxes it relaxes by name, and for its issuer only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, cast

from fastapi_baseline.auth.tokens.errors import InvalidTokenError
from fastapi_baseline.settings.auth import TokenPreset

Claims = Mapping[str, Any]
Audiences = frozenset[str]

_AT_JWT = frozenset({"at+jwt"})
_ANY_JWT = frozenset({"", "jwt", "at+jwt"})
_KINDS_OF_ACCESS = frozenset({"bearer", "dpop", "access", "access_token"})
_KINDS_OF_KEYCLOAK = frozenset({"Bearer", "DPoP"})
_NOTHING: frozenset[str] = frozenset()
# What an ID token may have (OpenID Connect Core, sections 2 and 3.3.2.11), and no access token has.
_MARKS_OF_ID_TOKENS = ("nonce", "at_hash", "c_hash", "s_hash")


def read_words(claims: Claims, name: str) -> frozenset[str]:
    """Return the words of a claim: a text with spaces in between, or a list of words.

    A word of a list stays what it is: `["admin read"]` is one word, which no scope is equal to.

    Raises:
        InvalidTokenError: If the claim is something else.
    """
    value = claims.get(name)
    if isinstance(value, str):
        # Only the space separates (RFC 6749, section 3.3); `split()` would take others for one.
        return frozenset(word for word in value.split(" ") if word)
    return _words_of(value)


def read_list(claims: Claims, name: str) -> frozenset[str]:
    """Return the words of a claim that is a list.

    Raises:
        InvalidTokenError: If the claim is something else.
    """
    return _words_of(claims.get(name))


def _words_of(value: object) -> frozenset[str]:
    if value is None:
        return _NOTHING
    words = cast("list[object]", value) if isinstance(value, list) else [None]
    if not all(isinstance(word, str) for word in words):
        raise InvalidTokenError("claims")
    return frozenset(cast("list[str]", words))


def _member(claims: Claims, name: str) -> Claims:
    value: object = claims.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidTokenError("claims")
    return cast("dict[str, Any]", value)


def _audience(claims: Claims) -> object:
    return claims.get("aud")


def _is_any(_claims: Claims) -> bool:
    return True


def _its_own(_claims: Claims) -> str | None:
    return None


def _scope(claims: Claims) -> frozenset[str]:
    return read_words(claims, "scope")


def _scp(claims: Claims) -> frozenset[str]:
    return read_words(claims, "scp")


def _roles(claims: Claims, _audiences: Audiences) -> frozenset[str]:
    return read_list(claims, "roles")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProfile:
    """What the access tokens of one kind of issuer look like."""

    types: frozenset[str] = _AT_JWT
    """What `typ` in the header may be, in lower case, without `application/`; empty if absent."""
    is_access_token: Callable[[Claims], bool] = _is_any
    """Whether the claims are those of an access token, where `typ` does not tell."""
    audience: Callable[[Claims], object] = _audience
    """For whom a token is, as it came."""
    scopes: Callable[[Claims], frozenset[str]] = _scope
    """What the client was granted."""
    roles: Callable[[Claims, Audiences], frozenset[str]] = _roles
    """What the subject is, for a service with these audiences."""
    clients: tuple[str, ...] = ("client_id", "azp")
    """Which claims name the client: the first of them that is there."""
    knower: Callable[[Claims], str | None] = _its_own
    """Who else knows the subject by this name, if it is not the issuer; it is their principal."""
    session: str | None = None
    """Which claim names the session that a token was asked for in, if it is one of the service."""


def _has_no_marks(claims: Claims) -> bool:
    return not any(mark in claims for mark in _MARKS_OF_ID_TOKENS)


def _is_of_auth0(claims: Claims) -> bool:
    # Its ID tokens do not name a client apart from their audience.
    return ("azp" in claims or "client_id" in claims) and _has_no_marks(claims)


def _is_of_keycloak(claims: Claims) -> bool:
    # Others of its tokens say `ID`, `Refresh`, `Offline` or `Logout`. Those that are bound to a key
    # say `DPoP`; what is bound is looked at for every issuer.
    kind = claims.get("typ")
    return isinstance(kind, str) and kind in _KINDS_OF_KEYCLOAK


def _roles_of_keycloak(claims: Claims, audiences: Audiences) -> frozenset[str]:
    """Return the roles of the realm, and those of clients that are this service.

    Those that somebody has at other clients say nothing here.
    """
    roles = read_list(_member(claims, "realm_access"), "roles")
    clients = _member(claims, "resource_access")
    for audience in audiences:
        if audience in clients:
            roles |= read_list(_member(clients, audience), "roles")
    return roles


def _is_of_entra(claims: Claims) -> bool:
    # An application that signs its users in and has an API, too, has one identifier for both, and
    # so its ID tokens have the audience of its access tokens; but they do not name a client.
    return ("azp" in claims or "appid" in claims) and _has_no_marks(claims)


def _permissions_of_auth0(claims: Claims, _audiences: Audiences) -> frozenset[str]:
    # What the user may, whatever the client was granted: so they are no scopes.
    return read_list(claims, "permissions")


def _is_of_okta(claims: Claims) -> bool:
    return "cid" in claims and _has_no_marks(claims)


def _groups_of_okta(claims: Claims, _audiences: Audiences) -> frozenset[str]:
    return read_list(claims, "groups")


def _is_of_cognito(claims: Claims) -> bool:
    return claims.get("token_use") == "access"


def _audience_of_cognito(claims: Claims) -> object:
    # There is none unless the client has asked for a resource; the client stands in for it.
    return claims["aud"] if "aud" in claims else claims.get("client_id")


def _groups_of_cognito(claims: Claims, _audiences: Audiences) -> frozenset[str]:
    return read_list(claims, "cognito:groups")


PROFILES: Mapping[TokenPreset, TokenProfile] = MappingProxyType(
    {
        "standard": TokenProfile(),
        "auth0": TokenProfile(
            types=_ANY_JWT,
            is_access_token=_is_of_auth0,
            roles=_permissions_of_auth0,
            clients=("azp", "client_id"),
        ),
        "cognito": TokenProfile(
            types=_ANY_JWT,
            is_access_token=_is_of_cognito,
            audience=_audience_of_cognito,
            roles=_groups_of_cognito,
            clients=("client_id",),
        ),
        "entra": TokenProfile(
            types=_ANY_JWT,
            is_access_token=_is_of_entra,
            scopes=_scp,
            clients=("azp", "appid"),
        ),
        "keycloak": TokenProfile(
            types=_ANY_JWT,
            is_access_token=_is_of_keycloak,
            roles=_roles_of_keycloak,
            clients=("azp", "client_id"),
        ),
        "okta": TokenProfile(
            types=_ANY_JWT,
            is_access_token=_is_of_okta,
            scopes=_scp,
            roles=_groups_of_okta,
            clients=("cid",),
        ),
    }
)
"""What the name of a preset stands for."""


def make_introspected(profile: TokenProfile) -> TokenProfile:
    """Return how an issuer describes a token when it is asked (RFC 7662, section 2.2).

    The names are those of the standard, whatever the tokens of the issuer say; roles have none.
    """
    return replace(
        profile,
        is_access_token=_is_introspected,
        audience=_audience,
        scopes=_scope,
        clients=("client_id", *profile.clients),
    )


def _is_introspected(claims: Claims) -> bool:
    # A refresh token is active, too. How issuers say what it is differs.
    kinds = (claims.get("token_type", "Bearer"), claims.get("token_use", "access"))
    return all(isinstance(kind, str) and kind.lower() in _KINDS_OF_ACCESS for kind in kinds)
