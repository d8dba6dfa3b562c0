"""What a client must be, so that it can be added."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast
from uuid import UUID

from fastapi_baseline.auth.server.client_descriptions import ClientDescription
from fastapi_baseline.auth.server.errors import InvalidClientDescriptionError
from fastapi_baseline.auth.server.models import CLIENT_ID_LENGTH
from fastapi_baseline.auth.server.redirect_uris import find_fault
from fastapi_baseline.auth.tokens.keys import import_keys
from fastapi_baseline.errors import FieldError

ASSERTION_ALGORITHMS = ("RS256", "ES256")
"""Which signatures count of clients that have keys of their own; asymmetric ones only."""

MAX_LISTED = 50
"""How many addresses, scopes and audiences a client has at most."""

_CLIENT_ID = re.compile(rf"[A-Za-z][A-Za-z0-9._-]{{0,{CLIENT_ID_LENGTH - 1}}}")
_METHODS = frozenset({"client_secret_basic", "client_secret_post", "none", "private_key_jwt"})
_GRANT_TYPES = frozenset({"authorization_code", "client_credentials", "refresh_token"})
_MAX_NAME = 100


def check_client(description: ClientDescription, *, known_scopes: frozenset[str]) -> None:
    """Refuse a client that would not be safe, or could do nothing.

    Raises:
        InvalidClientDescriptionError: With all that is wrong, in its fields and in its message.
    """
    found = [*_check_identity(description), *_check_use(description)]
    found += _check_lists(description, known_scopes)
    if found:
        fields = [FieldError(path=(name,), detail=why, code="invalid") for name, why in found]
        message = "; ".join(f"{name}: {why}" for name, why in found)
        raise InvalidClientDescriptionError(f"{message}.", fields=fields)


def is_client_id(text: str) -> bool:
    """Return whether a text may be the identifier of a client: never that of a user."""
    if not _CLIENT_ID.fullmatch(text):
        return False
    try:
        UUID(text)
    except ValueError:
        return True
    return False


def _check_identity(described: ClientDescription) -> Iterator[tuple[str, str]]:
    name = described.name.strip()
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        yield "name", f"has 1 to {_MAX_NAME} characters that can be printed"
    if described.client_id is not None and not is_client_id(described.client_id):
        yield (
            "client_id",
            "begins with a letter, has up to 64 of A-Z a-z 0-9 . _ -, and is no UUID",
        )
    if described.auth_method not in _METHODS:
        yield "auth_method", f"is one of {', '.join(sorted(_METHODS))}"
    if (described.auth_method == "private_key_jwt") != (described.jwks is not None):
        yield "jwks", "is there for private_key_jwt, and for nothing else"
    elif described.jwks is not None and not _has_keys(described.jwks):
        yield "jwks", "has no public key for RS256 or ES256, or a private one"


def _has_keys(jwks: Mapping[str, Any]) -> bool:
    listed: object = jwks.get("keys")
    if not isinstance(listed, list):
        return False
    ring = import_keys(dict(jwks), algorithms=ASSERTION_ALGORITHMS, issuer="a client")
    # All of them: a private key that was given away, or one that is not used, is a mistake.
    return 0 < ring.size == len(cast("list[object]", listed))


def _check_use(described: ClientDescription) -> Iterator[tuple[str, str]]:
    types, is_public = set(described.grant_types), described.auth_method == "none"
    if not types <= _GRANT_TYPES:
        yield "grant_types", f"are some of {', '.join(sorted(_GRANT_TYPES))}"
    if not types and not described.may_introspect:
        yield "grant_types", "are empty, so it could do nothing"
    if "refresh_token" in types and "authorization_code" not in types:
        yield "grant_types", "need authorization_code for refresh_token"
    if is_public and "client_credentials" in types:
        yield "grant_types", "have no client_credentials without a secret"
    if is_public and described.may_introspect:
        yield "may_introspect", "is for clients that can prove who they are"
    if ("authorization_code" in types) != bool(described.redirect_uris):
        yield "redirect_uris", "are there for authorization_code, and for nothing else"
    if "offline_access" in described.scopes and "refresh_token" not in types:
        yield "scopes", "have offline_access only with refresh_token among the grant types"


def _check_lists(
    described: ClientDescription, known_scopes: frozenset[str]
) -> Iterator[tuple[str, str]]:
    addresses = {
        "redirect_uris": described.redirect_uris,
        "post_logout_redirect_uris": described.post_logout_redirect_uris,
    }
    for name, uris in addresses.items():
        for fault in filter(None, map(find_fault, uris)):
            yield name, f"one {fault}"
    if unknown := sorted(set(described.scopes) - known_scopes):
        yield "scopes", f"are not known: {', '.join(unknown)} (AUTH__SERVER__SCOPES)"
    for audience in described.audiences:
        if not audience or not audience.isascii() or not audience.isprintable():
            yield "audiences", "are printable ASCII"
    listed = (*addresses.values(), described.scopes, described.audiences)
    if any(len(one) > MAX_LISTED for one in listed):
        yield "redirect_uris", f"and other lists have {MAX_LISTED} entries at most"
