"""Where a database is: any usual spelling of its URL becomes one with a driver for asyncio."""

from collections.abc import Callable
from importlib.util import find_spec

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from fastapi_baseline.errors import ConfigurationError, MissingExtraError

_BACKENDS = {"postgres": "postgresql", "postgresql": "postgresql", "sqlite": "sqlite"}
_DRIVERS = {"postgresql": ("asyncpg", "psycopg"), "sqlite": ("aiosqlite",)}
_EXTRAS = {"asyncpg": "postgres", "psycopg": "psycopg", "aiosqlite": "sqlite"}


def is_installed(library: str) -> bool:
    """Return whether a library can be imported, without importing it."""
    return find_spec(library) is not None


def parse_url(text: str, *, has: Callable[[str], bool] = is_installed) -> URL:
    """Return the URL with a driver: `postgres://` and `postgresql://` take asyncpg, else psycopg.

    Raises:
        ConfigurationError: If it is not the URL of a PostgreSQL or SQLite database, or names a
            driver that is not for asyncio. The message repeats no part that may be secret.
        MissingExtraError: If the driver is not installed; the message names the extra.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Without the cause: it may repeat the password.
        message = (
            "The database URL cannot be read: expected postgresql://user:password@host/name or "
            "sqlite:///path/to/file.db (DATABASE_URL)."
        )
        raise ConfigurationError(message) from None
    scheme, _, driver = url.drivername.partition("+")
    backend = _BACKENDS.get(scheme)
    if backend is None:
        message = f"The scheme {scheme!r} of the database URL is not one of: postgresql, sqlite."
        raise ConfigurationError(message)
    drivers = _DRIVERS[backend]
    if driver and driver not in drivers:
        choices = ", ".join(drivers)
        message = f"The driver {driver!r} of the database URL is not one of: {choices}."
        raise ConfigurationError(message)
    candidates = (driver,) if driver else drivers
    chosen = next((name for name in candidates if has(name)), None)
    if chosen is None:
        extra = _EXTRAS[candidates[0]]
        message = (
            f"This database URL needs the library {candidates[0]!r}, which is not installed: "
            f"pip install 'fastapi-baseline[{extra}]'"
        )
        raise MissingExtraError(message)
    return url.set(drivername=f"{backend}+{chosen}")


def is_memory(url: URL) -> bool:
    """Return whether the URL names an SQLite database that lives in memory only."""
    database = url.database or ""
    return url.get_backend_name() == "sqlite" and (
        database in {"", ":memory:", "file::memory:"} or url.query.get("mode") == "memory"
    )
