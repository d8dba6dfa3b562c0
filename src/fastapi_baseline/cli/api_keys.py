"""`baseline auth api-key`: the keys of programs."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi_baseline.auth.api_keys import ApiKey, ApiKeys, KeyOwner
from fastapi_baseline.cli.console import print_done, print_lines, print_notice, without_log
from fastapi_baseline.cli.grants import Grant
from fastapi_baseline.cli.run import Target, get_settings
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Database

T = TypeVar("T")


def issue_api_key(target: Target, name: str, grant: Grant) -> None:
    """Make a key, and print it: on standard output is the key alone.

    Raises:
        ConfigurationError: If the service has no keys, or no database.
        InvalidKeyDescriptionError: If the key cannot be made like this.
    """

    async def issue(keys: ApiKeys) -> tuple[str, str]:
        issued = await keys.issue(
            name,
            KeyOwner(grant.subject),
            scopes=grant.scopes,
            roles=grant.roles,
            lifetime=grant.lifetime,
        )
        return issued.record.id, issued.secret.get_secret_value()

    identifier, secret = _with_keys(target, issue)
    print_notice(f"This is key {identifier}. It is not shown again:")
    print_lines([secret])


def list_api_keys(target: Target, *, subject: str | None, is_all: bool, is_json: bool) -> None:
    """Show keys, those that are over only if `is_all`.

    Raises:
        ConfigurationError: If the service has no keys, or no database.
    """
    owner = None if subject is None else KeyOwner(subject)
    found = _with_keys(target, lambda keys: keys.list_keys(owner, includes_ended=is_all))
    if is_json:
        print_lines([json.dumps([_as_dict(key) for key in found], ensure_ascii=False)])
        return
    print_lines([_line(key) for key in found])
    if not found:
        print_done("There are no keys.")


def revoke_api_key(target: Target, identifier: str) -> None:
    """End a key.

    Raises:
        ConfigurationError: If the service has no keys, or no database.
        ApiKeyNotFoundError: If there is no such key.
    """
    _with_keys(target, lambda keys: keys.revoke(identifier))
    print_done(
        f"Revoked: {identifier}. Processes that run notice within AUTH__API_KEYS__CACHE_MAX_AGE."
    )


def _with_keys(target: Target, use: Callable[[ApiKeys], Coroutine[Any, Any, T]]) -> T:
    with without_log():
        settings = get_settings(target)
        if not settings.auth.api_keys.enabled:
            raise ConfigurationError(
                f"{target.app!r} has no API keys: set AUTH__API_KEYS__ENABLED=true."
            )

        async def run() -> T:
            database = Database.from_settings(settings)
            try:
                return await use(ApiKeys(database, settings=settings.auth.api_keys))
            finally:
                await database.dispose()

        return asyncio.run(run())


def _as_dict(key: ApiKey) -> dict[str, Any]:
    moments = {
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }
    return {
        "id": key.id,
        "name": key.name,
        "issuer": key.issuer,
        "subject": key.subject,
        "scopes": key.scopes,
        "roles": key.roles,
        **{name: None if at is None else at.isoformat() for name, at in moments.items()},
    }


def _line(key: ApiKey) -> str:
    used = "never used" if key.last_used_at is None else f"last used {key.last_used_at:%Y-%m-%d}"
    state = "" if key.revoked_at is None else "  revoked"
    ends = "" if key.expires_at is None else f"  until {key.expires_at:%Y-%m-%d}"
    may = " ".join([*key.scopes, *key.roles]) or "nothing in particular"
    return f"{key.id}  {key.name}  of {key.subject}  may {may}  {used}{ends}{state}"
