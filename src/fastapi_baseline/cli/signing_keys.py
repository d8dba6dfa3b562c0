"""`baseline auth keys`: what tokens are signed with."""

import json
from typing import Any

from fastapi_baseline.auth.server.signing_keys import ListedSigningKey
from fastapi_baseline.cli.console import print_done, print_lines
from fastapi_baseline.cli.issuing import with_server
from fastapi_baseline.cli.run import Target


def list_keys(target: Target, *, is_json: bool) -> None:
    """Show the keys that are published.

    Raises:
        ConfigurationError: If the service issues no tokens.
    """
    found = with_server(target, lambda server: server.signing_keys.list())
    if is_json:
        _print_json([_as_dict(key) for key in found])
        return
    print_lines([_line(key) for key in found])
    if not found:
        print_done("There are no keys: the first is made when the service starts.")


def rotate_keys(target: Target, *, is_immediate: bool, is_json: bool) -> None:
    """Publish a new key, and say from when on it signs.

    Raises:
        ConfigurationError: If the service issues no tokens.
        RotationPendingError: If one is published already that will sign.
    """
    key = with_server(target, lambda server: server.signing_keys.rotate(is_immediate=is_immediate))
    if is_json:
        _print_json(_as_dict(key))
    elif key.state == "next":
        print_done(f"Published: {key.kid}. It signs from {key.activates_at:%Y-%m-%d %H:%M} UTC on.")
    else:
        print_done(f"It signs: {key.kid}. Processes that run notice within a minute.")


def revoke_key(target: Target, kid: str, *, is_json: bool) -> None:
    """Believe nothing any more that a key has signed, and say which one signs now.

    Raises:
        ConfigurationError: If the service issues no tokens.
        SigningKeyNotFoundError: If there is no such key.
    """
    key = with_server(target, lambda server: server.signing_keys.revoke(kid))
    if is_json:
        _print_json({"revoked": kid, "active": _as_dict(key)})
        return
    print_done(f"Revoked: {kid}. It signs: {key.kid}. Processes that run notice within a minute.")


def _print_json(value: object) -> None:
    print_lines([json.dumps(value, ensure_ascii=False)])


def _as_dict(key: ListedSigningKey) -> dict[str, Any]:
    retires_at = key.retires_at
    return {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "state": key.state,
        "created_at": key.created_at.isoformat(),
        "activates_at": key.activates_at.isoformat(),
        "retires_at": None if retires_at is None else retires_at.isoformat(),
    }


def _line(key: ListedSigningKey) -> str:
    signs = f"signs from {key.activates_at:%Y-%m-%d %H:%M} UTC"
    goes = "" if key.retires_at is None else f"  goes {key.retires_at:%Y-%m-%d %H:%M} UTC"
    return f"{key.kid}  {key.algorithm}  {key.state}  {signs}{goes}"
