"""`baseline auth client`: the programs that may ask for tokens."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from fastapi_baseline.auth.server import ClientDescription, RegisteredClient
from fastapi_baseline.auth.server.clients import OVERLAP
from fastapi_baseline.auth.server.models import ClientAuthMethod, GrantType, OAuthClient
from fastapi_baseline.cli.console import print_done, print_lines, print_notice
from fastapi_baseline.cli.issuing import with_server
from fastapi_baseline.cli.run import Target
from fastapi_baseline.errors import InvalidRequestError

_SCOPES_OF_USERS = ("openid", "profile", "email")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClient:
    """A client, as the options of the command describe it."""

    name: str
    client_id: str | None = None
    is_public: bool = False
    jwks: Path | None = None
    redirect_uris: Sequence[str] = ()
    post_logout_redirect_uris: Sequence[str] = ()
    scopes: Sequence[str] = ()
    audiences: Sequence[str] = ()
    is_first_party: bool = False
    may_introspect: bool = False

    def describe(self) -> ClientDescription:
        """Return it as the registry wants it, with what follows from the rest.

        Raises:
            InvalidRequestError: If its keys cannot be read.
        """
        scopes = self.scopes
        if self.redirect_uris and not scopes:
            scopes = _SCOPES_OF_USERS
        return ClientDescription(
            name=self.name,
            client_id=self.client_id,
            auth_method=self._auth_method(),
            grant_types=self._grant_types(),
            redirect_uris=self.redirect_uris,
            post_logout_redirect_uris=self.post_logout_redirect_uris,
            scopes=scopes,
            audiences=self.audiences,
            jwks=None if self.jwks is None else _read_keys(self.jwks),
            is_first_party=self.is_first_party,
            may_introspect=self.may_introspect,
        )

    def _auth_method(self) -> ClientAuthMethod:
        if self.is_public:
            return "none"
        return "client_secret_basic" if self.jwks is None else "private_key_jwt"

    def _grant_types(self) -> Sequence[GrantType]:
        if self.redirect_uris:
            has_refresh = "offline_access" in self.scopes
            return (
                ("authorization_code", "refresh_token") if has_refresh else ("authorization_code",)
            )
        # Who only asks about tokens needs none.
        return () if self.may_introspect and not self.scopes else ("client_credentials",)


def add_client(target: Target, new: NewClient, *, is_json: bool) -> None:
    """Add a client, and show its secret, if it has one.

    Raises:
        ConfigurationError: If the service issues no tokens.
        InvalidClientDescriptionError: If the client would not be safe, or could do nothing.
        ClientExistsError: If there is one with that identifier.
    """
    description = new.describe()
    added = with_server(target, lambda server: server.clients.add(description))
    _show_secret(added, is_json=is_json)


def list_clients(target: Target, *, is_json: bool) -> None:
    """Show all clients.

    Raises:
        ConfigurationError: If the service issues no tokens.
    """
    found = with_server(target, lambda server: server.clients.list())
    if is_json:
        _print_json([_as_dict(client) for client in found])
        return
    print_lines([_line(client) for client in found])
    if not found:
        print_done("There are no clients.")


def rotate_client_secret(
    target: Target, client_id: str, *, is_immediate: bool, is_json: bool
) -> None:
    """Give a client a new secret, and show it.

    Raises:
        ConfigurationError: If the service issues no tokens.
        ClientNotFoundError: If there is no such client.
        InvalidClientDescriptionError: If it has no secret.
    """
    overlap = timedelta(0) if is_immediate else OVERLAP
    changed = with_server(
        target, lambda server: server.clients.rotate_secret(client_id, overlap=overlap)
    )
    _show_secret(changed, is_json=is_json)
    if not is_immediate:
        print_notice(f"The one before is good for {OVERLAP.days} day longer.")


def remove_client(target: Target, client_id: str, *, is_json: bool) -> None:
    """Remove a client with all that it was granted.

    Raises:
        ConfigurationError: If the service issues no tokens.
        ClientNotFoundError: If there is no such client.
    """
    with_server(target, lambda server: server.clients.remove(client_id))
    if is_json:
        _print_json({"removed": client_id})
        return
    print_done(f"Removed: {client_id}. Its access tokens last until they expire, some minutes.")


def _show_secret(registered: RegisteredClient, *, is_json: bool) -> None:
    client, secret = registered.client, registered.secret
    text = None if secret is None else secret.get_secret_value()
    if is_json:
        _print_json({**_as_dict(client), "client_secret": text})
        return
    if text is None:
        print_notice("This is the client. It has no secret.")
        print_lines([f"client_id: {client.client_id}"])
        return
    print_notice("This is the client. Its secret is not shown again.")
    print_lines([f"client_id: {client.client_id}", f"client_secret: {text}"])


def _read_keys(path: Path) -> Mapping[str, Any]:
    try:
        keys: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidRequestError(f"{path} cannot be read, or is no JSON.") from error
    if not isinstance(keys, dict):
        raise InvalidRequestError(f'{path} is no JWK set: {{"keys": [...]}}')
    return cast("dict[str, Any]", keys)


def _print_json(value: object) -> None:
    print_lines([json.dumps(value, ensure_ascii=False)])


def _as_dict(client: OAuthClient) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "name": client.name,
        "auth_method": client.auth_method,
        "grant_types": client.grant_types,
        "redirect_uris": client.redirect_uris,
        "post_logout_redirect_uris": client.post_logout_redirect_uris,
        "scopes": client.scopes,
        "audiences": client.audiences,
        "is_first_party": client.is_first_party,
        "may_introspect": client.may_introspect,
        "created_at": client.created_at.isoformat(),
    }


def _line(client: OAuthClient) -> str:
    kind = "public" if client.is_public else client.auth_method
    own = "  first party" if client.is_first_party else ""
    may = " ".join(client.scopes) or "nothing in particular"
    return f"{client.client_id}  {client.name}  {kind}{own}  may {may}"
