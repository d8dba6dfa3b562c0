"""The key that page cursors are signed with."""

from hashlib import sha256

from pydantic import SecretStr
from sqlalchemy import URL

from fastapi_baseline.errors import ConfigurationError

_CONTEXT = b"fastapi-baseline page cursors\0"


def cursor_key(configured: SecretStr | None, *, url: URL, is_deployed: bool) -> bytes:
    """Return the key that is configured, or for development one that follows from the URL.

    That one is the same in all processes, and no secret.

    Raises:
        ConfigurationError: If none is configured where people depend on it.
    """
    if configured is not None:
        return sha256(_CONTEXT + configured.get_secret_value().encode()).digest()
    if is_deployed:
        message = (
            "DATABASE__CURSOR_KEY is not set: page cursors are signed with it. Any 32 random "
            "characters do, the same for all processes."
        )
        raise ConfigurationError(message)
    address = url.set(password=None).render_as_string()
    return sha256(_CONTEXT + address.encode()).digest()
